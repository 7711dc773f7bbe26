#include "collector/connectors/throttle.h"

#include <algorithm>

#include "common/check.h"

namespace ledgerline::collector {

TokenBucket::TokenBucket(int64_t per_second, int64_t burst)
    : per_second_(per_second), burst_(burst), millitokens_(burst * 1000) {
  CHECK_INVARIANT(per_second >= 1 && burst >= 1);
}

Duration TokenBucket::take(Monotonic now) {
  if (started_ && now > at_) {
    // An hour is enough to fill any bucket and cannot overflow.
    const int64_t elapsed_ms = std::min<int64_t>((now - at_).count(), 3'600'000);
    millitokens_ = std::min(burst_ * 1000, millitokens_ + elapsed_ms * per_second_);
  }
  started_ = true;
  at_ = std::max(at_, now);
  millitokens_ -= 1000;
  if (millitokens_ >= 0) return Duration(0);
  return Duration((-millitokens_ + per_second_ - 1) / per_second_);
}

Duration CircuitBreaker::wait(Monotonic now) const {
  if (!open_ || now >= open_until_) return Duration(0);
  return open_until_ - now;
}

void CircuitBreaker::succeeded() {
  failures_ = 0;
  open_ = false;
  open_for_ = Duration(0);
}

bool CircuitBreaker::failed(Monotonic now) {
  ++failures_;
  if (failures_ < options_.failures_max) return false;
  open_for_ = open_ ? std::min(options_.open_max, open_for_ * 2) : options_.open_first;
  open_until_ = now + open_for_;
  const bool was_open = open_;
  open_ = true;
  return !was_open;
}

}  // namespace ledgerline::collector
