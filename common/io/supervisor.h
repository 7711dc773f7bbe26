#pragma once
// The service manager that started us, in systemd's words (sd_notify(3), without its library): that
// we are ready, how we are in one line, that we are alive, that we are ending. Silent where nobody
// listens (no NOTIFY_SOCKET). On the context's thread.
//
// The watchdog is fed by work and not by a timer: a round runs `work`, a read of what is durable,
// on the storage thread and comes back to the context; only then WATCHDOG=1 is said. Whichever of
// the two hangs is not fed, and the manager starts us again from what is durable. One round is
// under way at a time.

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "common/io/runtime.h"
#include "common/result.h"
#include "common/time.h"

namespace ledgerline::io {

struct SupervisorSettings {
  std::string socket;  // a path, or '@' and a name that is no file; empty: nobody listens
  std::optional<std::chrono::microseconds> watchdog;  // nothing: nobody waits for WATCHDOG=1
};

/// From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; a watchdog of another process is none of
/// ours. Errc::config names the variable that cannot be read.
Result<SupervisorSettings> supervisor_settings(
    const std::function<const char*(const char*)>& environment, int64_t pid);
/// The same from this process's environment.
Result<SupervisorSettings> supervisor_settings();

/// How often a round begins: four in the time that the manager waits.
Duration round_interval(const SupervisorSettings& settings);

class Supervisor {
 public:
  struct Options {
    SupervisorSettings settings;
    std::function<Status()> work;  // on the storage thread
    std::function<void(const Error&)> on_failure;
    std::function<std::string()> status;  // one line for a person, on the context's thread
  };

  Supervisor(Runtime& runtime, Options options);

  /// Call it when the inputs listen: READY=1 is said as soon as the first round has come back.
  void start();
  /// STOPPING=1; no round begins any more.
  void stop();

 private:
  void begin_round();
  void end_round(const Status& worked);
  bool say(const std::string& state);

  Runtime& runtime_;
  Options options_;
  boost::asio::steady_timer timer_;
  bool ready_ = false;
  bool stopping_ = false;
  std::string last_status_;
};

}  // namespace ledgerline::io
