#pragma once
// One condition of a maintenance rule, looked at one step: its value from the asset's samples, and
// whether it is met. Exact: means and straight lines are fractions of integers. Pure.

#include <boost/multiprecision/cpp_int.hpp>
#include <optional>
#include <vector>

#include "collector/core/maintenance_rule.h"
#include "collector/core/usage.h"

namespace ledgerline::collector {

/// Unbounded: fractions of sums of products outgrow 128 bits.
using BigInt = boost::multiprecision::cpp_int;

/// What an asset's series that fit a condition gave in one step of the rule. Integers at the
/// samples' scale.
struct Sample {
  int64_t step = 0;  // steps since 1970-01-01T00:00:00Z
  UsageValue value;
  friend bool operator==(const Sample&, const Sample&) = default;
};

struct Samples {
  int scale = 0;
  std::vector<Sample> samples;  // ascending by step, each with at least one reading
};

struct Fraction {
  BigInt numerator = 0;
  BigInt denominator = 1;  // above 0
};

/// <0, 0, >0.
int compare(const Fraction& value, const Decimal& limit);
/// Rounded half to even. Errc::reject where it needs more than 128 bits.
Result<Decimal> to_decimal(const Fraction& value, int scale);

/// The samples of the steps (step - length, step].
struct WindowView {
  const Sample* begin = nullptr;
  const Sample* end = nullptr;
  [[nodiscard]] size_t size() const { return static_cast<size_t>(end - begin); }
};

/// Nothing where the window has fewer than condition.steps_min steps with readings (at least 2 for
/// a trend). A sum and a count of no readings are 0 where steps_min is 0. `ahead` in steps.
std::optional<Fraction> window_value(const Condition& condition, const WindowView& window,
                                     int scale, int64_t ahead);

/// Hysteresis: `met_before` decides which of limit and clear the value is held against.
bool is_met(const Condition& condition, const Fraction& value, bool met_before);

}  // namespace ledgerline::collector
