#pragma once
// Gathers from the store what an evidence bundle needs (collector/core/bundle.h). Only reads; runs
// on the storage thread.

#include "collector/core/bundle.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

struct BundleRequest {
  std::string document;
  uint32_t line = 0;  // 0: all
  Timestamp at;
};

/// Errc::not_found where there is no such document or line, or no close statement names it;
/// Errc::corrupt where the store does not hold what the log says.
Result<Bytes> make_bundle(Store& store, Signer& collector, const BundleRequest& request);

}  // namespace ledgerline::collector
