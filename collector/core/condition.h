#pragma once
// One condition of a maintenance rule, looked at one step: its value from the asset's samples, and
// whether it is met. Exact: means and straight lines are fractions of integers. Pure.

#include <deque>
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

/// The samples of a span of steps that only moves forward. A move costs what comes and goes, not
/// what stays: a rule looks at every step, and its windows may be 10 000 of them long.
class MovingWindow {
 public:
  /// `condition` and `samples` outlive it; `ahead` in steps.
  MovingWindow(const Condition& condition, const Samples& samples, int64_t ahead)
      : condition_(condition), samples_(samples), ahead_(ahead) {}

  /// To the steps (after, upto]; neither is before that of the last move.
  void move(int64_t after, int64_t upto);

  /// Nothing where the window has fewer than condition.steps_min steps with readings (at least 2
  /// for a trend). A sum and a count of no readings are 0 where steps_min is 0.
  [[nodiscard]] std::optional<Fraction> value() const;

 private:
  void add(size_t index);
  void remove(size_t index);
  void count_in(const StepSample& sample, int sign);
  [[nodiscard]] bool is_beyond(const StepSample& a, const StepSample& b) const;
  [[nodiscard]] std::optional<Fraction> trend() const;

  const Condition& condition_;
  const Samples& samples_;
  int64_t ahead_;
  size_t begin_ = 0;  // of the window, in the samples
  size_t end_ = 0;
  // Of the window's samples, only those that the condition's value needs:
  BigInt sum_ = 0;
  uint64_t count_ = 0;
  std::deque<size_t> extremes_;  // min, max: the first is the extreme, each next the one behind it
  int64_t origin_ = 0;           // trend: x is a step minus this one
  BigInt sx_ = 0;
  BigInt sy_ = 0;
  BigInt sxx_ = 0;
  BigInt sxy_ = 0;
};

/// Hysteresis: `met_before` decides which of limit and clear the value is held against.
bool is_met(const Condition& condition, const Fraction& value, bool met_before);

}  // namespace ledgerline::collector
