#pragma once
// What turns devices and apps into readings. An input is one .cpp here plus its line in inputs.cpp:
// prepare() reads its table of the configuration and touches nothing, start() begins to work.
// Everything runs on the io thread; readings go to the RecordPort, which answers after the synced
// commit.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/promise_holds.h"
#include "agent/core/recorder.h"
#include "common/io/runtime.h"
#include "common/json.h"
#include "common/meter.h"
#include "common/time.h"
#include "common/toml.h"

namespace ledgerline::agent {

/// What the agent tells about itself to whoever asks through an input.
class ReportPort {
 public:
  virtual ~ReportPort() = default;
  /// A JSON object; `done` is called on the io thread.
  virtual void status(std::function<void(std::string)> done) = 0;
  /// Prometheus text format.
  virtual void metrics(std::function<void(std::string)> done) = 0;
};

/// Outlives the input.
struct InputContext {
  io::Runtime& runtime;
  Clock& clock;
  RecordPort& recorder;
  ReportPort& reports;
  PromiseHolds& holds;  // set in start() where there is something older than now to be read
  std::vector<MeterRow> app_meters;                     // [[meter]] of the configuration, numbered
  std::vector<MeterRow> own_meters;                     // what meters() asked for, numbered
  std::map<std::string, Bytes> bookmarks;               // of all inputs, as of the start
  std::map<std::string, Bytes> diagnostic_bookmarks{};  // the same of the diagnostic journal
};

class Input {
 public:
  virtual ~Input() = default;
  /// Meters that the input brings itself; their numbers are given by the journal.
  [[nodiscard]] virtual std::vector<MeterRow> meters() const { return {}; }
  /// Errc::config where an address is in use, a file is missing and the like.
  virtual Status start(const InputContext& context) = 0;
  /// Takes nothing new; what is under way is still answered.
  virtual void stop() {}
  /// Adds the input's counters in Prometheus text format.
  virtual void append_metrics(std::string& out) const = 0;
  /// What `status` shows of it; null where there is nothing to say.
  [[nodiscard]] virtual Json status() const { return Json::null(); }
};

/// What the configuration says of one kind of input.
struct InputOptions {
  std::vector<TomlTable> tables;     // [input.NAME] is one, [[input.NAME]] are several
  std::string folder;                // what relative paths start from
  std::vector<MeterRow> app_meters;  // [[meter]]; not numbered yet
  std::set<std::string, std::less<>> diagnostic_meters{};  // names: those of class "diagnostic"
};

struct InputKind {
  std::string_view name;  // of its table: [input.http]
  Result<std::unique_ptr<Input>> (*prepare)(InputOptions options);
};

/// Every input there is.
std::span<const InputKind> input_kinds();
/// nullptr where there is no such input.
const InputKind* find_input_kind(std::string_view name);

}  // namespace ledgerline::agent
