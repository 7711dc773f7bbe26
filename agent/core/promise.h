#pragma once
// Which time a heartbeat's promise of completeness counts from. A promise is never taken back, so
// a clock that jumps ahead by mistake must not raise it to where every later reading is late. Pure.

#include <optional>

#include "common/time.h"

namespace ledgerline::agent {

class PromiseClock {
 public:
  /// More than this ahead of the time that passed is a step.
  static constexpr Duration kStep = std::chrono::minutes(1);
  /// A step that a time source does not vouch for is believed after this long: somebody set the
  /// clock right by hand.
  static constexpr Duration kDoubt = std::chrono::minutes(10);

  /// The wall clock, or after a step ahead what it would show without it. The first call of a
  /// process believes the clock.
  Timestamp time(Timestamp wall, Monotonic now, bool synchronised) {
    const Timestamp expected = wall_ + (now - at_);
    const bool stepped = known_ && wall > expected + kStep;
    if (stepped && !synchronised) {
      if (!stepped_at_) stepped_at_ = now;
      if (now - *stepped_at_ < kDoubt) return expected;
    }
    known_ = true;
    wall_ = wall;
    at_ = now;
    stepped_at_.reset();
    return wall;
  }

 private:
  bool known_ = false;
  Timestamp wall_;  // as believed last
  Monotonic at_;
  std::optional<Monotonic> stepped_at_;
};

}  // namespace ledgerline::agent
