#pragma once
// Works on the outbox of one connector: claims a delivery (IN_FLIGHT is durable before a byte
// leaves), makes sure that what needs approval has it, lets the connector deliver it or look it up,
// and settles what came of it. Decides nothing (collector/core/delivery.h does). One delivery at a
// time per connector; connectors do not wait for each other. Lives on the context's thread.
//
// A crash anywhere leaves the delivery IN_FLIGHT; the next start, under a new epoch of the lease,
// makes it unknown, and unknown is looked up before anything is sent.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "collector/connectors/connector.h"
#include "collector/store/store.h"
#include "common/io/runtime.h"

namespace ledgerline::collector {

struct DispatchCounters {
  uint64_t attempts = 0;
  uint64_t look_ups = 0;
  uint64_t confirmed = 0;
  uint64_t rejected = 0;
  uint64_t retried = 0;
  uint64_t unknown = 0;
  uint64_t conflicts = 0;
  uint64_t held = 0;
  uint64_t recovered = 0;  // found IN_FLIGHT at the start
  uint64_t work_asked = 0;
  uint64_t work_unanswered = 0;  // not found there, or no answer that can be used
  uint64_t work_closed = 0;
};

struct DispatchOptions {
  std::string holder;  // of the lease: this collector, also after a restart
  Duration lease_lifetime = std::chrono::minutes(15);  // longer than any operation
  Duration idle{1000};                                 // between looks at an empty outbox
  std::function<uint32_t()> random;
  std::function<void(const Error&)> on_store_failure;  // the process ends
  WorkBook* work = nullptr;  // asked for open orders while the outbox is empty; outlives it
  Duration work_interval = std::chrono::minutes(1);  // between two looks at all open orders
};

class Dispatcher {
 public:
  Dispatcher(io::Runtime& runtime, Clock& clock, Store& store, std::unique_ptr<Connector> connector,
             DispatchOptions options);

  /// Spawn it by name. Ends only when the store failed.
  boost::asio::awaitable<void> run();
  /// There may be something in the outbox.
  void wake();

  [[nodiscard]] const Connector& connector() const { return *connector_; }
  [[nodiscard]] const DispatchCounters& counters() const { return counters_; }

 private:
  /// What a claimed delivery carries; nothing leaves where nobody approved it.
  struct Approved {
    DocumentRow document;
    std::optional<std::string> why_not;
  };

  boost::asio::awaitable<Status> take_lease();
  boost::asio::awaitable<Status> keep_lease();
  /// True where something was done.
  boost::asio::awaitable<Result<bool>> work_once();
  boost::asio::awaitable<Status> attempt(DeliveryRow claimed);
  /// Asks how far the people there are with one open order, so that a delivery never waits for all
  /// of them. True where there was one.
  boost::asio::awaitable<Result<bool>> watch_next();
  boost::asio::awaitable<Status> watch(OpenWork work);
  void note_unanswered(const OpenWork& work, const std::string& reason);
  boost::asio::awaitable<AttemptOutcome> perform(DeliveryRow claimed, Approved approved);
  boost::asio::awaitable<void> rest(Duration delay);
  void count(const DeliveryRow& claimed, const DeliveryDecision& decision);

  io::Runtime& runtime_;
  Clock& clock_;
  Store& store_;
  std::unique_ptr<Connector> connector_;
  DispatchOptions options_;
  boost::asio::steady_timer timer_;
  std::string lease_;
  uint64_t epoch_ = 0;  // 0: the lease is not ours
  Monotonic renew_at_;
  Monotonic watch_at_;
  std::deque<OpenWork> to_watch_;  // of this look at the work book
  DispatchCounters counters_;
};

}  // namespace ledgerline::collector
