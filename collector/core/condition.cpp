#include "collector/core/condition.h"

#include <algorithm>

#include "common/check.h"

namespace ledgerline::collector {

namespace {

/// Means of steps enter a trend at this many more places than the readings have.
constexpr int kTrendPlaces = 3;

}  // namespace

void MovingWindow::move(int64_t after, int64_t upto) {
  const auto& all = samples_.samples;
  while (begin_ < end_ && all[begin_].step <= after) remove(begin_++);
  if (begin_ == end_) {
    const auto first =
        std::partition_point(all.begin() + static_cast<std::ptrdiff_t>(end_), all.end(),
                             [after](const StepSample& sample) { return sample.step <= after; });
    begin_ = end_ = static_cast<size_t>(first - all.begin());
    if (first != all.end()) origin_ = first->step;
  }
  while (end_ < all.size() && all[end_].step <= upto) add(end_++);
}

void MovingWindow::add(size_t index) {
  const auto& all = samples_.samples;
  count_in(all[index], 1);
  while (!extremes_.empty() && !is_beyond(all[extremes_.back()], all[index])) extremes_.pop_back();
  extremes_.push_back(index);
}

void MovingWindow::remove(size_t index) {
  count_in(samples_.samples[index], -1);
  if (extremes_.front() == index) extremes_.pop_front();
}

bool MovingWindow::is_beyond(const StepSample& a, const StepSample& b) const {
  if (condition_.value == WindowValue::min) return a.value.min < b.value.min;
  if (condition_.value == WindowValue::max) return a.value.max > b.value.max;
  return false;  // nothing but the newest is kept
}

void MovingWindow::count_in(const StepSample& sample, int sign) {
  count_ += sign < 0 ? -sample.value.count : sample.value.count;
  if (condition_.value != WindowValue::trend) {
    sum_ += sign * to_big(sample.value.sum);
    return;
  }
  const BigInt x = sample.step - origin_;
  const BigInt y = sign * divide_half_even(to_big(sample.value.sum) * power_of_ten(kTrendPlaces),
                                           BigInt(sample.value.count));
  sx_ += sign * x;
  sy_ += y;
  sxx_ += sign * x * x;
  sxy_ += x * y;
}

/// Least squares through (step, mean of the step), read `ahead` steps after the window's newest.
std::optional<Fraction> MovingWindow::trend() const {
  if (end_ - begin_ < 2) return std::nullopt;
  const BigInt n = end_ - begin_;
  const BigInt spread = n * sxx_ - sx_ * sx_;  // above 0: steps differ
  const BigInt slope = n * sxy_ - sx_ * sy_;   // over spread
  const BigInt at = BigInt(samples_.samples[end_ - 1].step - origin_) + ahead_;
  return Fraction{sy_ * spread + slope * (n * at - sx_),
                  n * spread * power_of_ten(kTrendPlaces + samples_.scale)};
}

std::optional<Fraction> MovingWindow::value() const {
  if (end_ - begin_ < condition_.steps_min) return std::nullopt;
  const BigInt unit = power_of_ten(samples_.scale);
  switch (condition_.value) {
    case WindowValue::trend:
      return trend();
    case WindowValue::sum:
      return Fraction{sum_, unit};
    case WindowValue::count:
      return Fraction{BigInt(count_), 1};
    default:
      break;
  }
  if (count_ == 0) return std::nullopt;
  const UsageValue& newest = samples_.samples[end_ - 1].value;
  const UsageValue& extreme = samples_.samples[extremes_.front()].value;
  switch (condition_.value) {
    case WindowValue::mean:
      return Fraction{sum_, unit * count_};
    case WindowValue::min:
      return Fraction{BigInt(extreme.min), unit};
    case WindowValue::max:
      return Fraction{BigInt(extreme.max), unit};
    case WindowValue::last:
      return Fraction{BigInt(newest.last), unit};
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
