#pragma once
// A step that runs in the collector again and again: on the storage thread, at each tick, what it
// did logged and counted on the context's thread. Commerce, maintenance and account updates run in
// one each.

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <string>

#include "common/io/runtime.h"
#include "common/result.h"
#include "common/time.h"

namespace ledgerline::collector {

struct StepLoop {
  /// Accounts for what was done, on the context's thread; true where there is more to do at once.
  using Account = std::function<bool()>;

  io::Runtime* runtime = nullptr;  // these outlive the coroutine
  Clock* clock = nullptr;
  uint64_t* errors = nullptr;                      // steps that failed
  std::string name;                                // "<name>_failed" in the log
  std::function<Result<Account>(Timestamp)> step;  // on the storage thread
  Duration interval{1000};
  const bool* halted = nullptr;  // no step begins while it is true; outlives the coroutine
};

/// Spawn it by name. Ends never; stops the process where the store asks for it (Errc::full,
/// internal), with EX_TEMPFAIL so that a supervisor starts it again from the durable state.
boost::asio::awaitable<void> run_steps(StepLoop loop);

}  // namespace ledgerline::collector
