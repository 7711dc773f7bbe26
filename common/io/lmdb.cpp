#include "common/io/lmdb.h"

#include <lmdb.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "common/check.h"
#include "common/io/system_error.h"
#include "common/machine.h"

namespace ledgerline::io {

namespace {

Errc code_of(int result) {
  switch (result) {
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
      return Errc::full;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
      return Errc::corrupt;
    case MDB_READERS_FULL:
      return Errc::retry;
    default:
      return Errc::internal;
  }
}

tl::unexpected<Error> failure(int result, const char* what) {
  return fail(code_of(result), std::string(what) + ": " + mdb_strerror(result));
}

/// LMDB's own numbers are negative.
Error cannot_open(int result) {
  const char* what = "the database cannot be opened";
  if (result > 0) return system_error(what, result);
  return failure(result, what).value();
}

MDB_val to_val(ByteView bytes) {
  // LMDB's MDB_val is not const, but neither keys nor values given to it are written to.
  return {bytes.size(), const_cast<uint8_t*>(bytes.data())};
}

ByteView to_view(const MDB_val& value) {
  return {static_cast<const uint8_t*>(value.mv_data), value.mv_size};
}

struct CloseEnv {
  void operator()(MDB_env* env) const { mdb_env_close(env); }
};
struct AbortTxn {
  void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
};

/// The unnamed database needs a transaction once to be opened; its handle then lasts as long as the
/// environment.
Result<unsigned> open_unnamed(MDB_env* env, bool read_only) {
  MDB_txn* raw = nullptr;
  if (const int r = mdb_txn_begin(env, nullptr, read_only ? MDB_RDONLY : 0, &raw); r != 0) {
    return failure(r, "the database cannot be read");
  }
  std::unique_ptr<MDB_txn, AbortTxn> txn(raw);
  MDB_dbi dbi = 0;
  if (const int r = mdb_dbi_open(txn.get(), nullptr, 0, &dbi); r != 0) {
    return failure(r, "the database cannot be read");
  }
  if (const int r = mdb_txn_commit(txn.release()); r != 0) {
    return failure(r, "the database cannot be opened");
  }
  return dbi;
}

Status make_private_folder(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail(no_folder("the database's folder cannot be made", errno).with("folder", folder));
}

}  // namespace

LmdbTxn::LmdbTxn(LmdbTxn&& other) noexcept
    : txn_(std::exchange(other.txn_, nullptr)), dbi_(other.dbi_) {}

LmdbTxn::~LmdbTxn() {
  if (txn_ != nullptr) mdb_txn_abort(txn_);
}

Result<std::optional<ByteView>> LmdbTxn::get(ByteView key) const {
  CHECK_INVARIANT(txn_ != nullptr);
  MDB_val k = to_val(key);
  MDB_val value{};
  const int r = mdb_get(txn_, dbi_, &k, &value);
  if (r == MDB_NOTFOUND) return std::nullopt;
  if (r != 0) return failure(r, "a value cannot be read");
  return to_view(value);
}

Status LmdbTxn::put(ByteView key, ByteView value) {
  CHECK_INVARIANT(txn_ != nullptr);
  MDB_val k = to_val(key);
  MDB_val v = to_val(value);
  if (const int r = mdb_put(txn_, dbi_, &k, &v, 0); r != 0) {
    return failure(r, "a value cannot be written");
  }
  return {};
}

Status LmdbTxn::append(ByteView key, ByteView value) {
  CHECK_INVARIANT(txn_ != nullptr);
  MDB_val k = to_val(key);
  MDB_val v = to_val(value);
  if (const int r = mdb_put(txn_, dbi_, &k, &v, MDB_APPEND); r != 0) {
    return failure(r, "a value cannot be appended");
  }
  return {};
}

Result<bool> LmdbTxn::erase(ByteView key) {
  CHECK_INVARIANT(txn_ != nullptr);
  MDB_val k = to_val(key);
  const int r = mdb_del(txn_, dbi_, &k, nullptr);
  if (r == MDB_NOTFOUND) return false;
  if (r != 0) return failure(r, "a value cannot be removed");
  return true;
}

Status LmdbTxn::commit() {
  CHECK_INVARIANT(txn_ != nullptr);
  // LMDB frees the transaction whether or not the commit worked.
  const int r = mdb_txn_commit(std::exchange(txn_, nullptr));
  if (r == 0) return {};
  // LMDB takes all pages before it writes the first; a full disk is found in between.
  const Errc code = r == MDB_MAP_FULL ? Errc::full : Errc::internal;
  return fail(code, std::string("a commit failed: ") + mdb_strerror(r));
}

Result<LmdbCursor> LmdbCursor::open(const LmdbTxn& txn) {
  CHECK_INVARIANT(txn.txn_ != nullptr);
  MDB_cursor* cursor = nullptr;
  if (const int r = mdb_cursor_open(txn.txn_, txn.dbi_, &cursor); r != 0) {
    return failure(r, "a cursor cannot be opened");
  }
  return LmdbCursor(cursor);
}

LmdbCursor::LmdbCursor(LmdbCursor&& other) noexcept
    : cursor_(std::exchange(other.cursor_, nullptr)) {}

LmdbCursor::~LmdbCursor() {
  if (cursor_ != nullptr) mdb_cursor_close(cursor_);
}

namespace {
Result<std::optional<LmdbCursor::Entry>> move_to(MDB_cursor* cursor, MDB_val key,
                                                 MDB_cursor_op operation) {
  MDB_val value{};
  const int r = mdb_cursor_get(cursor, &key, &value, operation);
  if (r == MDB_NOTFOUND) return std::nullopt;
  if (r != 0) return failure(r, "a cursor cannot be moved");
  return LmdbCursor::Entry{to_view(key), to_view(value)};
}
}  // namespace

Result<std::optional<LmdbCursor::Entry>> LmdbCursor::seek(ByteView key) {
  return move_to(cursor_, to_val(key), MDB_SET_RANGE);
}

Result<std::optional<LmdbCursor::Entry>> LmdbCursor::next() {
  return move_to(cursor_, {}, MDB_NEXT);
}

Result<std::optional<LmdbCursor::Entry>> LmdbCursor::before(ByteView key) {
  TRY(const auto at_or_after, move_to(cursor_, to_val(key), MDB_SET_RANGE));
  return move_to(cursor_, {}, at_or_after ? MDB_PREV : MDB_LAST);
}

Status LmdbCursor::erase() {
  if (const int r = mdb_cursor_del(cursor_, 0); r != 0) {
    return failure(r, "a value cannot be removed");
  }
  return {};
}

Result<LmdbEnv> LmdbEnv::open(const Options& options) {
  TRY(const size_t map_size, to_size(options.map_size_bytes));
  if (map_size > map_bytes_max()) {
    return fail(Error(Errc::config, "a database of this size cannot be mapped on this machine")
                    .with("map_size", std::to_string(map_size))
                    .with("map_size_max", std::to_string(map_bytes_max())));
  }
  if (!options.read_only) TRY_VOID(make_private_folder(options.folder));

  MDB_env* raw = nullptr;
  if (const int r = mdb_env_create(&raw); r != 0) return failure(r, "LMDB cannot be started");
  std::unique_ptr<MDB_env, CloseEnv> env(raw);
  if (const int r = mdb_env_set_mapsize(env.get(), map_size); r != 0) {
    return fail(Error(Errc::config, std::string("the map size is refused: ") + mdb_strerror(r))
                    .with("map_size", std::to_string(options.map_size_bytes)));
  }
  if (const int r = mdb_env_set_maxreaders(env.get(), options.readers_max); r != 0) {
    return failure(r, "the reader table cannot be sized");
  }
  // NOTLS ties a reader slot to its transaction and not to the thread: two reads may overlap on one
  // thread.
  const unsigned flags =
      MDB_NOTLS | (options.read_only ? MDB_RDONLY : 0U) | (options.scratch ? MDB_NOSYNC : 0U);
  if (const int r = mdb_env_open(env.get(), options.folder.c_str(), flags, 0600); r != 0) {
    return fail(cannot_open(r).with("folder", options.folder));
  }
  int dead = 0;
  if (const int r = mdb_reader_check(env.get(), &dead); r != 0) {
    return failure(r, "the reader table cannot be checked");
  }
  TRY(const unsigned dbi, open_unnamed(env.get(), options.read_only));
  return LmdbEnv(env.release(), dbi);
}

LmdbEnv::LmdbEnv(LmdbEnv&& other) noexcept
    : env_(std::exchange(other.env_, nullptr)), dbi_(other.dbi_) {}

LmdbEnv::~LmdbEnv() {
  if (env_ != nullptr) mdb_env_close(env_);
}

Result<LmdbTxn> LmdbEnv::begin_read() const {
  MDB_txn* txn = nullptr;
  if (const int r = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn); r != 0) {
    return failure(r, "a read transaction cannot begin");
  }
  return LmdbTxn(txn, dbi_);
}

Result<LmdbTxn> LmdbEnv::begin_write() {
  MDB_txn* txn = nullptr;
  if (const int r = mdb_txn_begin(env_, nullptr, 0, &txn); r != 0) {
    return failure(r, "a write transaction cannot begin");
  }
  return LmdbTxn(txn, dbi_);
}

Result<LmdbEnv::Usage> LmdbEnv::usage() const {
  MDB_stat stat{};
  MDB_envinfo info{};
  if (const int r = mdb_env_stat(env_, &stat); r != 0) return failure(r, "no statistics");
  if (const int r = mdb_env_info(env_, &info); r != 0) return failure(r, "no statistics");
  // The tree's own pages: exact and O(1), where walking the free list would not be.
  const uint64_t pages =
      static_cast<uint64_t>(stat.ms_branch_pages) + stat.ms_leaf_pages + stat.ms_overflow_pages;
  return Usage{.used_bytes = pages * stat.ms_psize, .map_bytes = info.me_mapsize};
}

}  // namespace ledgerline::io
