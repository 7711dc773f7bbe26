#pragma once
// The collector's counters in the Prometheus text format. Pure.

#include <string>
#include <vector>

#include "collector/dispatch/dispatcher.h"
#include "collector/fold/account_loop.h"
#include "collector/fold/commerce_loop.h"
#include "collector/fold/maintenance_loop.h"
#include "collector/intake/intake.h"

namespace ledgerline::collector {

struct FoldCounters {
  uint64_t leaves = 0;
  uint64_t readings = 0;
  uint64_t exceptions = 0;
  LeafNumber cursor = 0;
  bool stalled = false;  // on damage in the store; custody goes on
};

std::string metrics_text(const IntakeStatus& intake, const FoldCounters& fold,
                         const CommerceCounters& commerce, const MaintenanceCounters& maintenance,
                         const AccountCounters& accounts,
                         const std::vector<const Dispatcher*>& dispatchers);

}  // namespace ledgerline::collector
