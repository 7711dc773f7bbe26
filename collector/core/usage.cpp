#include "collector/core/usage.h"

#include <algorithm>

namespace ledgerline::collector {

QuarterHour QuarterHour::of(Timestamp instant) {
  int64_t index = instant.unix_ms() / kLengthMs;
  if (instant.unix_ms() % kLengthMs < 0) --index;  // division truncates, quarter hours do not
  return {static_cast<int32_t>(index)};
}

void UsageValue::add(int64_t value, const ReadingOrder& order) {
  sum += value;
  if (count == 0 || value < min) min = value;
  if (count == 0 || value > max) max = value;
  if (count == 0 || order > last_order) {
    last = value;
    last_order = order;
  }
  ++count;
}

void UsageValue::merge(const UsageValue& other) {
  if (other.count == 0) return;
  if (count == 0) {
    *this = other;
    return;
  }
  sum += other.sum;
  count += other.count;
  min = std::min(min, other.min);
  max = std::max(max, other.max);
  if (other.last_order > last_order) {
    last = other.last;
    last_order = other.last_order;
  }
}

}  // namespace ledgerline::collector
