// replay: the ledger again from the evidence log, with the code that made it, and what differs.

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "collector/api/commands.h"
#include "collector/api/setup.h"
#include "collector/fold/replay.h"
#include "collector/store/lmdb_store.h"
#include "common/exit_code.h"
#include "common/io/private_file.h"
#include "common/json.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

namespace fs = std::filesystem;

constexpr int kNotEqual = 1;

/// A folder of our own, removed with everything in it.
class TemporaryFolder {
 public:
  static Result<std::unique_ptr<TemporaryFolder>> make() {
    std::error_code error;
    std::string name = (fs::temp_directory_path(error) / "ledgerline-replay-XXXXXX").string();
    if (error || ::mkdtemp(name.data()) == nullptr) {
      return fail(
          Error(Errc::config, "no temporary folder can be made: set TMPDIR, or give --into FOLDER")
              .with("folder", name));
    }
    return std::unique_ptr<TemporaryFolder>(new TemporaryFolder(name));
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(name_, ignored);
  }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  explicit TemporaryFolder(std::string name) : name_(std::move(name)) {}
  std::string name_;
};

Status check_empty(const std::string& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) return {};
  const bool empty = fs::is_empty(folder, error);
  if (empty && !error) return {};
  return fail(Error(Errc::config, "a replay needs a new or an empty folder").with("into", folder));
}

/// Of the processor, so that what else the machine does is not counted.
class Stopwatch {
 public:
  [[nodiscard]] int64_t elapsed_ms() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 begun_)
        .count();
  }
  [[nodiscard]] int64_t processor_ms() const {
    return static_cast<int64_t>(std::clock() - clock_) * 1000 / CLOCKS_PER_SEC;
  }

 private:
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::clock_t clock_ = std::clock();
};

std::string per_second(uint64_t count, int64_t ms) {
  return std::to_string(count * 1000 / static_cast<uint64_t>(std::max<int64_t>(ms, 1)));
}

std::string seconds(int64_t ms) { return Decimal(ms, 3).text(); }

void print(const ReplayReport& report, const Stopwatch& watch, std::ostream& out) {
  out << "leaves " << report.leaves << " of " << report.log_leaves << ", batches " << report.batches
      << ", readings " << report.readings << ", bookings " << report.bookings << "\nseconds "
      << seconds(watch.elapsed_ms()) << ", of the processor " << seconds(watch.processor_ms())
      << ": " << per_second(report.readings, watch.processor_ms())
      << " readings/s\nledger hash there " << report.there.hex() << ", rows " << report.rows
      << "\n";
  if (report.complete()) out << "ledger hash here  " << report.here.hex() << "\n";
  if (report.complete() && !report.usage_compared)
    out << "usage was not compared: the collector went on folding; stop it to do so\n";
  for (const std::string& finding : report.findings) out << "  " << printable(finding) << "\n";
  if (report.more_findings > 0) out << "  and " << report.more_findings << " more\n";
  if (!report.complete()) out << "  the replay ended there\n";
  out << (report.equal() ? "EQUAL" : "NOT EQUAL") << "\n";
}

void print_json(const ReplayReport& report, const Stopwatch& watch, std::ostream& out) {
  const auto number = [](uint64_t value) { return Json::number(std::to_string(value)); };
  Json findings = Json::array();
  for (const std::string& finding : report.findings) findings.push(Json::string(finding));
  out << Json::object({{"equal", Json::boolean(report.equal())},
                       {"log_leaves", number(report.log_leaves)},
                       {"leaves", number(report.leaves)},
                       {"batches", number(report.batches)},
                       {"readings", number(report.readings)},
                       {"bookings", number(report.bookings)},
                       {"elapsed_ms", number(static_cast<uint64_t>(watch.elapsed_ms()))},
                       {"processor_ms", number(static_cast<uint64_t>(watch.processor_ms()))},
                       {"rows", number(report.rows)},
                       {"usage_compared", Json::boolean(report.usage_compared)},
                       {"there", Json::string(report.there.hex())},
                       {"here", report.complete() ? Json::string(report.here.hex()) : Json::null()},
                       {"findings", std::move(findings)},
                       {"more_findings", number(report.more_findings)}})
             .dump()
      << "\n";
}

}  // namespace

Result<int> replay(Store& source, Store& target, const PublicKey& collector,
                   const CommandLine& options, std::ostream& out) {
  const Stopwatch watch;
  TRY(const ReplayReport report, replay(source, target, collector));
  if (options.json) {
    print_json(report, watch, out);
  } else {
    print(report, watch, out);
  }
  return report.equal() ? static_cast<int>(kExitOk) : kNotEqual;
}

Result<int> replay(const CollectorConfig& config, const CommandLine& options, std::ostream& out) {
  TRY_VOID(check_empty(options.into));
  TRY(const auto source, open_existing_store(config));
  TRY(const std::string pem, io::read_private_file(config.key_file()));
  TRY(const auto signer, signer_from_pem(pem));
  std::unique_ptr<TemporaryFolder> temporary;
  if (options.into.empty()) {
    TRY(temporary, TemporaryFolder::make());
  }
  TRY(const auto target, open_lmdb_store({.folder = temporary ? temporary->name() : options.into,
                                          .map_size_bytes = config.map_size_bytes,
                                          .scratch = temporary != nullptr}));
  return replay(*source, *target, signer->public_key(), options, out);
}

}  // namespace ledgerline::collector
