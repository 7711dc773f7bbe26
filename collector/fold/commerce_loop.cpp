#include "collector/fold/commerce_loop.h"

#include <sysexits.h>
#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>

#include "common/io/log.h"
#include "common/io/system.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kCatalogFilesMax = 10'000;

void account_for(const CommerceLoop& loop, const CommerceReport& report) {
  CommerceCounters& counters = *loop.counters;
  counters.documents += report.documents.size();
  counters.periods_closed += report.periods_closed;
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
}

/// False where the process has to stop.
bool survive(const CommerceLoop& loop, const Error& error) {
  ++loop.counters->errors;
  io::log_error("commerce_failed", {io::kv("error", error)});
  return error.code() != Errc::full && error.code() != Errc::internal;
}

}  // namespace

boost::asio::awaitable<void> run_commerce(CommerceLoop loop) {
  boost::asio::steady_timer timer(loop.runtime->context());
  for (;;) {
    const Timestamp now = loop.clock->now();
    auto work = [runner = loop.runner, now] { return runner->step(now); };
    auto report = co_await io::storage_call(*loop.runtime, work);
    if (report) {
      account_for(loop, *report);
    } else if (!survive(loop, report.error())) {
      loop.runtime->stop(EX_TEMPFAIL);
      co_return;
    }
    if (report && report->more) continue;
    timer.expires_after(loop.interval);
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
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
    return fail(Error(Errc::config, "the catalog folder cannot be read: " + error.message())
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
