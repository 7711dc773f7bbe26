#pragma once
// The commercial step as it runs in the collector: at each tick, on the storage thread, logged and
// counted.

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "collector/fold/commerce_runner.h"
#include "common/io/runtime.h"

namespace ledgerline::collector {

/// For /metrics; read and written on the context's thread.
struct CommerceCounters {
  uint64_t documents = 0;
  uint64_t periods_closed = 0;
  uint64_t periods_adjusted = 0;
  uint64_t touches_settled = 0;
  uint64_t exceptions_written = 0;
  uint64_t conflicts = 0;
  uint64_t errors = 0;
  std::vector<CommerceReport::Held> held;  // of the newest step
};

struct CommerceLoop {
  io::Runtime* runtime = nullptr;  // these four outlive the coroutine
  Clock* clock = nullptr;
  CommerceRunner* runner = nullptr;
  CommerceCounters* counters = nullptr;
  Duration interval{1000};
  std::function<void()> on_documents;  // there is something in the outbox
  std::function<void()> on_leaves;     // the log has grown
};

/// As run_steps().
boost::asio::awaitable<void> run_commerce(CommerceLoop loop);

/// catalog.d: every *.toml of the folder in the order of names. Errc::config where there is none.
Result<std::vector<CatalogFile>> catalog_files(const std::string& folder);
/// The same, read; Errc::config also where it does not check.
Result<Catalog> load_catalog(const std::string& folder, const CatalogOptions& options);

}  // namespace ledgerline::collector
