#pragma once
// [input.statsd] of the configuration.

#include "agent/core/statsd_meter.h"
#include "agent/inputs/inputs.h"

namespace ledgerline::agent {

struct StatsdOptions {
  std::string listen;  // empty: none
  std::string socket;  // empty: none
  Duration interval{10'000};
  std::vector<StatsdRule> rules;
};

/// Errc::config names the place in the configuration.
Result<StatsdOptions> read_statsd_options(TomlTable& table, const std::string& folder,
                                          const std::vector<MeterRow>& meters);

}  // namespace ledgerline::agent
