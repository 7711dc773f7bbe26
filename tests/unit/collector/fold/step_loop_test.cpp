#include "collector/fold/step_loop.h"

#include <sysexits.h>

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <vector>

#include "common/io/system.h"

namespace ledgerline::collector {
namespace {

TEST_CASE("a step is repeated, at once while there is more, and ends the process with the store") {
  io::Runtime runtime;
  io::SystemClock clock;
  uint64_t errors = 0;
  std::vector<std::string> seen;
  const std::vector<std::pair<std::string, Result<bool>>> steps = {
      {"more", true},
      {"no more", false},
      {"bad input", fail(Errc::config, "no tenant")},
      {"no more again", false},
      {"store", fail(Errc::internal, "the store failed")}};
  size_t next = 0;
  StepLoop loop{.runtime = &runtime, .clock = &clock, .errors = &errors, .name = "test"};
  loop.interval = Duration(0);
  loop.step = [&](Timestamp) -> Result<StepLoop::Account> {
    const auto& [name, more] = steps.at(next++);
    seen.push_back(name);
    if (!more) return fail(more.error());
    return [&seen, more = *more] {
      seen.emplace_back("accounted for");
      return more;
    };
  };
  runtime.spawn("test", run_steps(loop));

  CHECK(runtime.run() == EX_TEMPFAIL);
  CHECK(errors == 2);
  CHECK(seen == std::vector<std::string>{"more", "accounted for", "no more", "accounted for",
                                         "bad input", "no more again", "accounted for", "store"});
}

TEST_CASE("no step begins while it is halted") {
  io::Runtime runtime;
  io::SystemClock clock;
  uint64_t errors = 0;
  bool halted = true;
  bool was_halted = false;
  StepLoop loop{.runtime = &runtime, .clock = &clock, .errors = &errors, .name = "test"};
  loop.interval = Duration(0);
  loop.halted = &halted;
  loop.step = [&](Timestamp) -> Result<StepLoop::Account> {
    was_halted = halted;
    return fail(Errc::internal, "ends the process");
  };
  runtime.spawn("test", run_steps(loop));
  boost::asio::post(runtime.context(), [&] { halted = false; });

  CHECK(runtime.run() == EX_TEMPFAIL);
  CHECK_FALSE(was_halted);
}

}  // namespace
}  // namespace ledgerline::collector
