#pragma once
// One condition of a maintenance rule, looked at one step: its value from the asset's samples, and
// whether it is met. Exact: means and straight lines are fractions of integers. Pure.

#include <optional>
#include <vector>

#include "collector/core/maintenance_rule.h"
#include "collector/core/usage.h"
#include "common/fraction.h"

namespace ledgerline::collector {

/// What an asset's series that fit a condition gave in one step of the rule. Integers at the
/// samples' scale.
struct StepSample {
  int64_t step = 0;  // steps since 1970-01-01T00:00:00Z
  UsageValue value;
  friend bool operator==(const StepSample&, const StepSample&) = default;
};

struct Samples {
  int scale = 0;
  std::vector<StepSample> samples;  // ascending by step, each with at least one reading
};

/// The samples of the steps (step - length, step].
struct WindowView {
  const StepSample* begin = nullptr;
  const StepSample* end = nullptr;
  [[nodiscard]] size_t size() const { return static_cast<size_t>(end - begin); }
};

/// Nothing where the window has fewer than condition.steps_min steps with readings (at least 2 for
/// a trend). A sum and a count of no readings are 0 where steps_min is 0. `ahead` in steps.
std::optional<Fraction> window_value(const Condition& condition, const WindowView& window,
                                     int scale, int64_t ahead);

/// Hysteresis: `met_before` decides which of limit and clear the value is held against.
bool is_met(const Condition& condition, const Fraction& value, bool met_before);

}  // namespace ledgerline::collector
