#pragma once
// The gaps that operators accepted, read from the evidence log once: statements are never changed
// and only added. Used on the storage thread only.

#include <map>
#include <string>
#include <vector>

#include "collector/core/periods.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

class AcceptedGaps {
 public:
  /// Of the tenant, in the order in which they were accepted, those logged since the last call too.
  /// An acceptance that is damaged or cannot be read accepts nothing.
  Result<std::vector<AcceptedGap>> read(Store& store, const std::string& tenant);

 private:
  uint64_t count_ = 0;
  std::map<std::string, std::vector<AcceptedGap>> by_tenant_;
};

}  // namespace ledgerline::collector
