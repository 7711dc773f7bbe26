#include "collector/store/lmdb_store.h"

#include <algorithm>

#include "collector/store/embedded_store.h"
#include "common/io/lmdb.h"

namespace ledgerline::collector {

namespace {

bool before(ByteView a, ByteView b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

class LmdbKeyValueTxn final : public KeyValueTxn {
 public:
  explicit LmdbKeyValueTxn(io::LmdbTxn txn) : txn_(std::move(txn)) {}

  Result<std::optional<ByteView>> get(ByteView key) override { return txn_.get(key); }
  Status put(ByteView key, ByteView value) override { return txn_.put(key, value); }
  Result<bool> erase(ByteView key) override { return txn_.erase(key); }

  Status scan(ByteView from, ByteView to, const Visitor& visit) override {
    TRY(auto cursor, io::LmdbCursor::open(txn_));
    auto entry = cursor.seek(from);
    while (entry && *entry && before((*entry)->key, to)) {
      TRY(const bool go_on, visit((*entry)->key, (*entry)->value));
      if (!go_on) return {};
      entry = cursor.next();
    }
    if (!entry) return fail(std::move(entry).error());
    return {};
  }

  Result<std::optional<std::pair<Bytes, Bytes>>> last(ByteView from, ByteView to) override {
    TRY(auto cursor, io::LmdbCursor::open(txn_));
    TRY(const auto entry, cursor.before(to));
    if (!entry || before(entry->key, from)) return std::nullopt;
    return std::pair(copy_of(entry->key), copy_of(entry->value));
  }

  Status commit() override { return txn_.commit(); }

 private:
  io::LmdbTxn txn_;
};

class LmdbEngine final : public KeyValueEngine {
 public:
  explicit LmdbEngine(io::LmdbEnv env) : env_(std::move(env)) {}

  Result<std::unique_ptr<KeyValueTxn>> begin_read() override {
    TRY(auto txn, env_.begin_read());
    return std::make_unique<LmdbKeyValueTxn>(std::move(txn));
  }
  Result<std::unique_ptr<KeyValueTxn>> begin_write() override {
    TRY(auto txn, env_.begin_write());
    return std::make_unique<LmdbKeyValueTxn>(std::move(txn));
  }
  Result<StoreUsage> usage() override {
    TRY(const auto usage, env_.usage());
    return StoreUsage{.used_bytes = usage.used_bytes, .capacity_bytes = usage.map_bytes};
  }

 private:
  io::LmdbEnv env_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_lmdb_store(const LmdbStoreOptions& options) {
  io::LmdbEnv::Options env_options;
  env_options.folder = options.folder;
  env_options.map_size_bytes = options.map_size_bytes;
  env_options.scratch = options.scratch;
  TRY(auto env, io::LmdbEnv::open(env_options));
  return EmbeddedStore::open(std::make_unique<LmdbEngine>(std::move(env)));
}

}  // namespace ledgerline::collector
