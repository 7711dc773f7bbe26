#pragma once
// One line of the statsd protocol, with the tags and packed values of DogStatsD 1.1. Pure.
//
//   line  = name ":" value *(":" value) "|" type *("|" field)
//   type  = "c" counter | "g" gauge | "ms" "h" "d" timer | "s" set
//   field = "@" rate | "#" tag *("," tag) | "c:" container | "e:" external data
//   tag   = key [":" value]
// The last two fields tell where a line came from and are passed over.

#include <string>
#include <string_view>
#include <vector>

#include "agent/core/series_labels.h"

namespace ledgerline::agent {

enum class StatsdType { counter, gauge, timer, set };
/// "counter", "gauge", "timer", "set"
std::string_view to_string(StatsdType type);
/// Errc::reject names the four.
Result<StatsdType> parse_statsd_type(std::string_view text);

struct StatsdLine {
  static constexpr size_t kNameMax = 256;
  static constexpr size_t kValuesMax = 1024;
  static constexpr size_t kTagsMax = 64;

  std::string_view name;  // these are views of the line
  std::vector<std::string_view> values;
  StatsdType type = StatsdType::counter;
  std::string_view rate;  // empty: every event was sent
  Labels tags;
};

/// Errc::reject says what is wrong. Values and rate are not looked at.
Result<StatsdLine> parse_statsd_line(std::string_view line);

}  // namespace ledgerline::agent
