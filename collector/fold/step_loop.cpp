#include "collector/fold/step_loop.h"

#include <sysexits.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/io/log.h"

namespace ledgerline::collector {

namespace {

/// False where the process has to stop.
bool survive(const StepLoop& loop, const Error& error) {
  ++*loop.errors;
  io::log_error(loop.name + "_failed", {io::kv("error", error)});
  return error.code() != Errc::full && error.code() != Errc::internal;
}

}  // namespace

boost::asio::awaitable<void> run_steps(StepLoop loop) {
  boost::asio::steady_timer timer(loop.runtime->context());
  for (;;) {
    if (loop.halted == nullptr || !*loop.halted) {
      const Timestamp now = loop.clock->now();
      auto work = [&step = loop.step, now] { return step(now); };
      auto account = co_await io::storage_call(*loop.runtime, work);
      if (!account && !survive(loop, account.error())) {
        loop.runtime->stop(EX_TEMPFAIL);
        co_return;
      }
      if (account && (*account)()) continue;
    }
    timer.expires_after(loop.interval);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
}

}  // namespace ledgerline::collector
