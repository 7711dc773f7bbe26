#pragma once
// What the embedded store needs of an ordered map of bytes with transactions. Two engines: LMDB
// (lmdb_store.cpp) and a map in memory (memory_store.cpp), so that tests without a disk run the
// same tables, keys and records as the product.

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "collector/store/store.h"
#include "common/bytes.h"

namespace ledgerline::collector {

/// Destruction without commit() leaves no trace.
class KeyValueTxn {
 public:
  virtual ~KeyValueTxn() = default;

  /// The view is valid until the next put or erase, or the end of the transaction.
  virtual Result<std::optional<ByteView>> get(ByteView key) = 0;
  virtual Status put(ByteView key, ByteView value) = 0;
  virtual Result<bool> erase(ByteView key) = 0;

  /// False ends the walk.
  using Visitor = std::function<Result<bool>(ByteView key, ByteView value)>;
  /// Entries with from <= key < to, ascending. The visitor must not write.
  virtual Status scan(ByteView from, ByteView to, const Visitor& visit) = 0;
  /// The entry with the greatest key in [from, to), copied.
  virtual Result<std::optional<std::pair<Bytes, Bytes>>> last(ByteView from, ByteView to) = 0;

  virtual Status commit() = 0;
};

class KeyValueEngine {
 public:
  virtual ~KeyValueEngine() = default;
  virtual Result<std::unique_ptr<KeyValueTxn>> begin_read() = 0;
  /// Waits for the writer of another handle or process.
  virtual Result<std::unique_ptr<KeyValueTxn>> begin_write() = 0;
  virtual Result<StoreUsage> usage() = 0;
};

}  // namespace ledgerline::collector
