#pragma once
// The maintenance step as it runs in the collector: at each tick, on the storage thread, logged and
// counted.

#include <boost/asio/awaitable.hpp>
#include <functional>

#include "collector/fold/maintenance_runner.h"
#include "common/io/runtime.h"

namespace ledgerline::collector {

/// For /metrics; read and written on the context's thread.
struct MaintenanceCounters {
  uint64_t orders = 0;   // opened
  uint64_t updates = 0;  // further revisions of open ones
  uint64_t conflicts = 0;
  uint64_t errors = 0;
};

struct MaintenanceLoop {
  io::Runtime* runtime = nullptr;  // these four outlive the coroutine
  Clock* clock = nullptr;
  MaintenanceRunner* runner = nullptr;
  MaintenanceCounters* counters = nullptr;
  Duration interval{1000};
  std::function<void()> on_documents;  // there is something in the outbox
  const bool* halted = nullptr;        // as StepLoop's
};

/// As run_steps().
boost::asio::awaitable<void> run_maintenance(MaintenanceLoop loop);

}  // namespace ledgerline::collector
