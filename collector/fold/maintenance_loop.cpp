#include "collector/fold/maintenance_loop.h"

#include "collector/fold/step_loop.h"
#include "common/io/log.h"

namespace ledgerline::collector {

using io::kv;

namespace {

void account_for(const MaintenanceLoop& loop, const MaintenanceReport& report) {
  MaintenanceCounters& counters = *loop.counters;
  counters.conflicts += report.conflicts;
  counters.errors += report.failed.size();
  for (const auto& [pair, error] : report.failed)
    io::log_error("maintenance_rule_failed", {kv("rule", pair), kv("error", error)});
  for (const DocumentRow& order : report.orders) {
    ++(order.revision == 1 ? counters.orders : counters.updates);
    io::log_info("maintenance_order",
                 {kv("document", order.id), kv("revision", order.revision),
                  kv("asset", order.asset), kv("step_until", to_rfc3339(order.period_to))});
  }
  if (!report.orders.empty() && loop.on_documents) loop.on_documents();
}

}  // namespace

boost::asio::awaitable<void> run_maintenance(MaintenanceLoop loop) {
  const auto step = [loop](Timestamp now) -> Result<StepLoop::Account> {
    TRY(auto report, loop.runner->step(now));
    return [loop, report = std::move(report)] {
      account_for(loop, report);
      return report.more;
    };
  };
  return run_steps({.runtime = loop.runtime,
                    .clock = loop.clock,
                    .errors = &loop.counters->errors,
                    .name = "maintenance",
                    .step = step,
                    .interval = loop.interval,
                    .halted = loop.halted});
}

}  // namespace ledgerline::collector
