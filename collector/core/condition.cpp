#include "collector/core/condition.h"

#include <algorithm>

#include "common/check.h"

namespace ledgerline::collector {

namespace {

/// Means of steps enter a trend at this many more places than the readings have.
constexpr int kTrendPlaces = 3;

UsageValue merged(const WindowView& window) {
  UsageValue out;
  for (const StepSample* sample = window.begin; sample != window.end; ++sample)
    out.merge(sample->value);
  return out;
}

/// Least squares through (step, mean of the step), read `ahead` steps after the window's newest.
Fraction trend(const WindowView& window, int scale, int64_t ahead) {
  const int64_t origin = window.begin->step;
  BigInt sx = 0;
  BigInt sy = 0;
  BigInt sxx = 0;
  BigInt sxy = 0;
  for (const StepSample* sample = window.begin; sample != window.end; ++sample) {
    const BigInt x = sample->step - origin;
    const BigInt y = divide_half_even(to_big(sample->value.sum) * power_of_ten(kTrendPlaces),
                                      BigInt(sample->value.count));
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  const BigInt n = window.size();
  const BigInt spread = n * sxx - sx * sx;  // above 0: steps differ
  const BigInt slope = n * sxy - sx * sy;   // over spread
  const BigInt at = BigInt(std::prev(window.end)->step - origin) + ahead;
  return {sy * spread + slope * (n * at - sx), n * spread * power_of_ten(kTrendPlaces + scale)};
}

}  // namespace

std::optional<Fraction> window_value(const Condition& condition, const WindowView& window,
                                     int scale, int64_t ahead) {
  if (window.size() < condition.steps_min) return std::nullopt;
  const BigInt unit = power_of_ten(scale);
  if (condition.value == WindowValue::trend) {
    if (window.size() < 2) return std::nullopt;
    return trend(window, scale, ahead);
  }
  const UsageValue all = merged(window);
  switch (condition.value) {
    case WindowValue::sum:
      return Fraction{to_big(all.sum), unit};
    case WindowValue::count:
      return Fraction{BigInt(all.count), 1};
    default:
      break;
  }
  if (all.count == 0) return std::nullopt;
  switch (condition.value) {
    case WindowValue::mean:
      return Fraction{to_big(all.sum), unit * all.count};
    case WindowValue::min:
      return Fraction{BigInt(all.min), unit};
    case WindowValue::max:
      return Fraction{BigInt(all.max), unit};
    case WindowValue::last:
      return Fraction{BigInt(all.last), unit};
    default:
      break;
  }
  CHECK_INVARIANT(false);
  return std::nullopt;
}

bool is_met(const Condition& condition, const Fraction& value, bool met_before) {
  const int against = compare(value, met_before ? condition.clear : condition.limit);
  return condition.side == Condition::Side::above ? against > 0 : against < 0;
}

std::string_view to_string(WindowValue value) {
  switch (value) {
    case WindowValue::mean:
      return "mean";
    case WindowValue::min:
      return "min";
    case WindowValue::max:
      return "max";
    case WindowValue::last:
      return "last";
    case WindowValue::sum:
      return "sum";
    case WindowValue::count:
      return "count";
    case WindowValue::trend:
      return "trend";
  }
  return "unknown";
}

}  // namespace ledgerline::collector
