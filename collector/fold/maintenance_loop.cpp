#include "collector/fold/maintenance_loop.h"

#include <sysexits.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

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
  boost::asio::steady_timer timer(loop.runtime->context());
  for (;;) {
    const Timestamp now = loop.clock->now();
    auto work = [runner = loop.runner, now] { return runner->step(now); };
    auto report = co_await io::storage_call(*loop.runtime, work);
    if (report) {
      account_for(loop, *report);
    } else {
      ++loop.counters->errors;
      io::log_error("maintenance_failed", {kv("error", report.error())});
      if (report.error().code() == Errc::full || report.error().code() == Errc::internal) {
        loop.runtime->stop(EX_TEMPFAIL);
        co_return;
      }
    }
    if (report && report->more) continue;
    timer.expires_after(loop.interval);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
}

}  // namespace ledgerline::collector
