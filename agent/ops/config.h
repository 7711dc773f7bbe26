#pragma once
// agent.toml. Every complaint names file:line:column and what is expected; relative paths are
// relative to the file's folder. The tables of inputs are only split off here: each input reads its
// own.

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/core/batcher.h"
#include "agent/core/retention.h"
#include "common/ids.h"
#include "common/machine.h"
#include "common/meter.h"
#include "common/time.h"
#include "common/toml.h"

namespace ledgerline::agent {

struct AgentConfig {
  std::string file;
  std::string folder;  // of the file: what relative paths start from
  Digest hash;         // SHA-256 of the file's text
  std::string tenant;
  std::string device;
  std::string state;  // folder

  std::string broker_host;
  uint16_t broker_port = 8883;
  std::string broker_ca;  // file; by default the authority that the enrolment named

  RetentionLimits retention;
  RetentionLimits diagnostic_retention;
  Duration commit_interval{0};
  BatchLimits batch;
  Duration heartbeat_interval{5000};
  Duration lateness{5000};

  std::vector<MeterRow> meters;                          // of apps; not numbered yet
  std::set<std::string, std::less<>> diagnostic_meters;  // names: those of class "diagnostic"
  std::vector<std::pair<std::string, std::vector<TomlTable>>>
      inputs;                 // name and tables, in the order of the known inputs
  std::string local_address;  // where the running agent answers our own commands; empty without
                              // [input.http]

  [[nodiscard]] std::string journal_folder(StreamClass stream_class = StreamClass::billing) const {
    return state + (stream_class == StreamClass::billing ? "/journal" : "/journal-diagnostic");
  }
  [[nodiscard]] std::string keys_folder() const { return state + "/keys"; }
};

/// `text` is the file's; the clock and the disk are not asked. Errc::config, also for journals that
/// `machine` cannot map.
Result<AgentConfig> parse_config(const std::string& text, const std::string& file,
                                 std::span<const std::string_view> input_names,
                                 const Machine& machine = {});
/// Errc::not_found where there is no such file.
Result<AgentConfig> read_config(const std::string& file,
                                std::span<const std::string_view> input_names);

/// `path` as it is where absolute, else below `folder`.
std::string resolve_path(const std::string& folder, const std::string& path);

}  // namespace ledgerline::agent
