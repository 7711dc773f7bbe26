#include "collector/fold/commerce_loop.h"

#include <algorithm>
#include <filesystem>

#include "collector/fold/step_loop.h"
#include "common/io/log.h"
#include "common/io/system.h"
#include "common/io/system_error.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kCatalogFilesMax = 10'000;

void account_for(const CommerceLoop& loop, const CommerceReport& report) {
  CommerceCounters& counters = *loop.counters;
  counters.documents += report.documents.size();
  counters.periods_closed += report.periods_closed;
  counters.periods_adjusted += report.periods_adjusted;
  counters.touches_settled += report.touches_settled;
  counters.exceptions_written += report.exceptions_written;
  counters.conflicts += report.conflicts;
  counters.held = report.held;
  counters.errors += report.failed.size();
  for (const auto& [contract, error] : report.failed) {
    io::log_error("contract_failed", {io::kv("contract", contract), io::kv("error", error)});
  }
  for (const DocumentRow& document : report.documents) {
    io::log_info("document_made",
                 {io::kv("document", document.id), io::kv("contract", document.contract),
                  io::kv("period_from", to_rfc3339(document.period_from)),
                  io::kv("total", document.total.text()), io::kv("currency", document.currency),
                  io::kv("state", document.state == DocumentState::approved ? "approved"
                                                                            : "waiting_approval")});
  }
  for (const CommerceReport::Held& held : report.held) {
    io::log_debug("period_waits",
                  {io::kv("contract", held.contract),
                   io::kv("until", to_rfc3339(held.period.until)), io::kv("reason", held.reason)});
  }
  if (!report.documents.empty() && loop.on_documents) loop.on_documents();
  const bool logged = report.periods_closed + report.periods_adjusted > 0;
  if (logged && loop.on_leaves) loop.on_leaves();
}

}  // namespace

boost::asio::awaitable<void> run_commerce(CommerceLoop loop) {
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
                    .name = "commerce",
                    .step = step,
                    .interval = loop.interval,
                    .halted = loop.halted});
}

Result<std::vector<CatalogFile>> catalog_files(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<std::string> paths;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error)) {
    if (entry->path().extension() == ".toml") paths.push_back(entry->path().string());
    if (paths.size() > kCatalogFilesMax)
      return fail(Error(Errc::config, "too many catalog files").with("folder", folder));
  }
  if (error)
    return fail(io::system_error("the catalog folder cannot be read", error.value())
                    .with("folder", folder));
  if (paths.empty())
    return fail(
        Error(Errc::config, "the catalog folder holds no *.toml file").with("folder", folder));
  std::sort(paths.begin(), paths.end());
  std::vector<CatalogFile> files;
  for (const std::string& path : paths) {
    TRY(std::string text, io::read_file(path));
    files.push_back({path, std::move(text)});
  }
  return files;
}

Result<Catalog> load_catalog(const std::string& folder, const CatalogOptions& options) {
  TRY(const auto files, catalog_files(folder));
  return Catalog::read(files, options);
}

}  // namespace ledgerline::collector
