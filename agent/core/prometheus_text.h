#pragma once
// Prometheus text exposition format 0.0.4, read line by line. Pure.
//
//   line   = "# HELP " name text | "# TYPE " name type | "#" comment | sample | ""
//   sample = name ["{" [label *("," label) [","]] "}"] value [timestamp in ms]
//   label  = name "=" '"' text with \\ \" \n '"'

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "agent/core/series_labels.h"

namespace ledgerline::agent {

enum class PrometheusType { untyped, counter, gauge, histogram, summary };
std::string_view to_string(PrometheusType type);

struct PrometheusSample {
  std::string_view name;  // views of the line
  Labels labels;
  std::string_view value;  // as written; not looked at
};

struct PrometheusLimits {
  static constexpr size_t kNameMax = 256;
  static constexpr size_t kLabelsMax = 64;
  static constexpr size_t kLabelValueMax = 4096;
  static constexpr size_t kLineMax = 64 * 1024;
  static constexpr size_t kTypesMax = 20'000;
};

/// Errc::reject says what is wrong.
Result<PrometheusSample> parse_prometheus_sample(std::string_view line);

/// The types that the lines so far declared.
class PrometheusTypes {
 public:
  /// A line that begins with "#". Errc::reject for a TYPE line that is none.
  Status read(std::string_view comment);
  /// Of a sample by its name. What belongs to a histogram or summary by its suffix is a counter:
  /// NAME_bucket, NAME_count, NAME_sum.
  [[nodiscard]] PrometheusType of(std::string_view sample_name) const;

 private:
  std::map<std::string, PrometheusType, std::less<>> types_;
};

/// What a register takes of a value, cut to the scale: the difference of two cut values is off by
/// less than one step and never drifts. Errc::reject for NaN, infinity, what is no number or does
/// not fit 64 bits.
Result<int64_t> cut_value(std::string_view text, int scale);
/// The same for a level, rounded half to even.
Result<int64_t> rounded_value(std::string_view text, int scale);

}  // namespace ledgerline::agent
