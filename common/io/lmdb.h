#pragma once
// The seam to LMDB. Default flags (measured: NOSYNC and NOMETASYNC lose acknowledged commits;
// WRITEMAP gains nothing) but for a scratch database, one unnamed database, keys in memcmp order.
// One thread writes; a view never outlives its transaction. A failed commit is not retried
// in-process: the caller stops and the next start opens the durable state.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/bytes.h"
#include "common/result.h"

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

namespace ledgerline::io {

class LmdbEnv;

/// A read or write transaction. Destruction without commit() aborts.
class LmdbTxn {
 public:
  LmdbTxn(LmdbTxn&& other) noexcept;
  LmdbTxn& operator=(LmdbTxn&&) = delete;
  ~LmdbTxn();

  /// A view into the map, valid until the transaction ends or, in a write transaction, until the
  /// next put or del.
  [[nodiscard]] Result<std::optional<ByteView>> get(ByteView key) const;
  Status put(ByteView key, ByteView value);
  /// For keys that grow: MDB_APPEND. Errc::internal where the key is not beyond the last one.
  Status append(ByteView key, ByteView value);
  /// True where the key was there.
  Result<bool> erase(ByteView key);
  /// Durable when it returns. Errc::full for a full map: nothing was written, as if it were given
  /// up. Errc::internal otherwise: restart.
  Status commit();

 private:
  friend class LmdbEnv;
  friend class LmdbCursor;
  LmdbTxn(MDB_txn* txn, unsigned dbi) : txn_(txn), dbi_(dbi) {}
  MDB_txn* txn_;
  unsigned dbi_;
};

/// Walks keys in order. Must end before its transaction.
class LmdbCursor {
 public:
  static Result<LmdbCursor> open(const LmdbTxn& txn);
  LmdbCursor(LmdbCursor&& other) noexcept;
  LmdbCursor& operator=(LmdbCursor&&) = delete;
  ~LmdbCursor();

  struct Entry {
    ByteView key;
    ByteView value;
  };
  /// The first entry with a key >= `key`, the next one, the last one below `key`; nothing at the
  /// end.
  Result<std::optional<Entry>> seek(ByteView key);
  Result<std::optional<Entry>> next();
  Result<std::optional<Entry>> before(ByteView key);
  /// Removes the entry the cursor stands on (write transactions).
  Status erase();

 private:
  explicit LmdbCursor(MDB_cursor* cursor) : cursor_(cursor) {}
  MDB_cursor* cursor_;
};

class LmdbEnv {
 public:
  struct Options {
    std::string folder;  // made with mode 0700 where absent
    uint64_t map_size_bytes =
        0;  // the ceiling of the file; Errc::config where size_t cannot hold it
    bool read_only = false;
    /// Never waits for the disk: a database that goes with its process, or is made again.
    bool scratch = false;
    unsigned readers_max = 126;
  };
  /// Clears reader slots of dead processes. Errc::corrupt for a file that is no LMDB file of this
  /// machine's word size; what the system refuses, as of code_of_errno().
  static Result<LmdbEnv> open(const Options& options);
  LmdbEnv(LmdbEnv&& other) noexcept;
  LmdbEnv& operator=(LmdbEnv&&) = delete;
  ~LmdbEnv();

  Result<LmdbTxn> begin_read() const;
  Result<LmdbTxn> begin_write();

  struct Usage {
    uint64_t used_bytes = 0;  // pages in use, without the free list's
    uint64_t map_bytes = 0;
  };
  [[nodiscard]] Result<Usage> usage() const;

 private:
  LmdbEnv(MDB_env* env, unsigned dbi) : env_(env), dbi_(dbi) {}
  MDB_env* env_;
  unsigned dbi_;
};

}  // namespace ledgerline::io
