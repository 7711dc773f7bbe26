#pragma once
// The storage port on LMDB: the product's store. One process's handle is used from one thread, the
// storage thread; other processes may hold the same folder open. Keys and values: keys.h,
// record_codec.h.

#include <string>

#include "collector/store/store.h"

namespace ledgerline::collector {

struct LmdbStoreOptions {
  std::string folder;
  uint64_t map_size_bytes = uint64_t{64} << 30;
  bool scratch = false;  // not durable: goes with its process, or is made again
};

/// Errc::config for a store of a newer version, Errc::corrupt for a damaged file; for a folder that
/// cannot be used, as of io::code_of_errno().
Result<std::unique_ptr<Store>> open_lmdb_store(const LmdbStoreOptions& options);

}  // namespace ledgerline::collector
