#include "collector/store/memory_store.h"

#include <map>
#include <mutex>
#include <utility>

#include "collector/store/embedded_store.h"
#include "common/check.h"

namespace ledgerline::collector {

class MemoryDatabase {
 public:
  std::mutex mutex;  // held for a transaction's lifetime
  std::map<Bytes, Bytes> entries;
  uint64_t read = 0;
  std::optional<CommitFault> fault;
  std::function<void()> before_write;
};

namespace {

/// Writes in place and remembers what was there, so that an abort can put it back.
class MemoryTxn final : public KeyValueTxn {
 public:
  explicit MemoryTxn(MemoryDatabase& database) : database_(database), lock_(database.mutex) {}
  MemoryTxn(const MemoryTxn&) = delete;
  MemoryTxn& operator=(const MemoryTxn&) = delete;
  ~MemoryTxn() override {
    for (auto& [key, value] : before_) {
      if (value) {
        database_.entries[key] = std::move(*value);
      } else {
        database_.entries.erase(key);
      }
    }
  }

  Result<std::optional<ByteView>> get(ByteView key) override {
    ++database_.read;
    const auto found = database_.entries.find(copy_of(key));
    if (found == database_.entries.end()) return std::nullopt;
    return ByteView(found->second);
  }

  Status put(ByteView key, ByteView value) override {
    remember(copy_of(key));
    database_.entries[copy_of(key)] = copy_of(value);
    return {};
  }

  Result<bool> erase(ByteView key) override {
    remember(copy_of(key));
    return database_.entries.erase(copy_of(key)) != 0;
  }

  Status scan(ByteView from, ByteView to, const Visitor& visit) override {
    const Bytes end = copy_of(to);
    for (auto at = database_.entries.lower_bound(copy_of(from)); at != database_.entries.end();
         ++at) {
      if (at->first >= end) break;
      ++database_.read;
      TRY(const bool go_on, visit(at->first, at->second));
      if (!go_on) break;
    }
    return {};
  }

  Result<std::optional<std::pair<Bytes, Bytes>>> last(ByteView from, ByteView to) override {
    auto at = database_.entries.lower_bound(copy_of(to));
    if (at == database_.entries.begin()) return std::nullopt;
    --at;
    if (at->first < copy_of(from)) return std::nullopt;
    return std::pair(at->first, at->second);
  }

  Status commit() override {
    const auto fault = std::exchange(database_.fault, std::nullopt);
    if (fault != CommitFault::before) before_.clear();
    if (fault) return fail(Errc::internal, "the process died");
    return {};
  }

 private:
  void remember(const Bytes& key) {
    if (before_.contains(key)) return;
    const auto found = database_.entries.find(key);
    before_.emplace(key,
                    found == database_.entries.end() ? std::nullopt : std::optional(found->second));
  }

  MemoryDatabase& database_;
  std::lock_guard<std::mutex> lock_;
  std::map<Bytes, std::optional<Bytes>> before_;
};

class MemoryEngine final : public KeyValueEngine {
 public:
  explicit MemoryEngine(std::shared_ptr<MemoryDatabase> database)
      : database_(std::move(database)) {}

  Result<std::unique_ptr<KeyValueTxn>> begin_read() override {
    return std::make_unique<MemoryTxn>(*database_);
  }
  Result<std::unique_ptr<KeyValueTxn>> begin_write() override {
    if (const auto action = std::exchange(database_->before_write, nullptr)) action();
    return std::make_unique<MemoryTxn>(*database_);
  }
  Result<StoreUsage> usage() override {
    const std::lock_guard lock(database_->mutex);
    uint64_t bytes = 0;
    for (const auto& [key, value] : database_->entries) bytes += key.size() + value.size();
    return StoreUsage{.used_bytes = bytes, .capacity_bytes = 0};
  }

 private:
  std::shared_ptr<MemoryDatabase> database_;  // shared by the handles, as processes share a file
};

}  // namespace

std::shared_ptr<MemoryDatabase> make_memory_database() {
  return std::make_shared<MemoryDatabase>();
}

std::unique_ptr<Store> open_memory_store(std::shared_ptr<MemoryDatabase> database) {
  auto store = EmbeddedStore::open(std::make_unique<MemoryEngine>(std::move(database)));
  CHECK_INVARIANT(store.has_value());
  return std::move(*store);
}

bool flip_bit(MemoryDatabase& database, uint8_t table, size_t n, size_t bit) {
  const std::lock_guard lock(database.mutex);
  for (auto& [key, value] : database.entries) {
    if (key.front() != table || n-- != 0) continue;
    const size_t at = bit % (value.size() * 8);
    value[at / 8] = static_cast<uint8_t>(value[at / 8] ^ (1U << (at % 8)));
    return true;
  }
  return false;
}

void set_commit_fault(MemoryDatabase& database, std::optional<CommitFault> fault) {
  const std::lock_guard lock(database.mutex);
  database.fault = fault;
}

void before_next_write(MemoryDatabase& database, std::function<void()> action) {
  const std::lock_guard lock(database.mutex);
  database.before_write = std::move(action);
}

uint64_t entries_read(MemoryDatabase& database) {
  const std::lock_guard lock(database.mutex);
  return database.read;
}

}  // namespace ledgerline::collector
