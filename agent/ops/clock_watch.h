#pragma once
// Decides when the stream needs a new clock anchor: the wall clock was stepped against the
// monotonic one, or its quality changed. Pure.

#include <optional>

#include "common/columns.h"

namespace ledgerline::agent {

class ClockWatch {
 public:
  /// Less is what slewing towards the right time does, and readings do not mind it.
  static constexpr Duration kStep{500};

  explicit ClockWatch(const ClockAnchor& first) : last_(first) {}

  /// The anchor to record, if the clocks went apart since the last one.
  std::optional<ClockAnchor> observe(const ClockAnchor& now) {
    const Duration drift = (now.wall - last_.wall) - (now.monotonic - last_.monotonic);
    if (now.synchronised == last_.synchronised && drift <= kStep && drift >= -kStep)
      return std::nullopt;
    last_ = now;
    return now;
  }

 private:
  ClockAnchor last_;
};

}  // namespace ledgerline::agent
