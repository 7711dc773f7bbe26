#include "collector/fold/account_loop.h"

#include "collector/fold/step_loop.h"
#include "common/io/log.h"

namespace ledgerline::collector {

using io::kv;

namespace {

void account_for(const AccountLoop& loop, const AccountReport& report) {
  AccountCounters& counters = *loop.counters;
  counters.periods_summed += report.summed;
  counters.conflicts += report.conflicts;
  counters.errors += report.failed.size();
  for (const auto& [pair, error] : report.failed)
    io::log_error("account_rule_failed", {kv("rule", pair), kv("error", error)});
  for (const DocumentRow& document : report.documents) {
    ++(document.kind == kOpportunity ? counters.opportunities : counters.updates);
    io::log_info("account_document",
                 {kv("document", document.id), kv("kind", document.kind),
                  kv("revision", document.revision), kv("contract", document.contract)});
  }
  if (!report.documents.empty() && loop.on_documents) loop.on_documents();
}

}  // namespace

boost::asio::awaitable<void> run_accounts(AccountLoop loop) {
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
                    .name = "accounts",
                    .step = step,
                    .interval = loop.interval,
                    .halted = loop.halted});
}

}  // namespace ledgerline::collector
