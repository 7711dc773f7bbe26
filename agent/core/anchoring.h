#pragma once
// Decides which time a device believes: when its stream gets a clock anchor, and when the wall
// clock is wrong. Readings are placed by anchors, promises count from them, and until a boot has
// one its readings wait (journal/journal_clock.cpp). Pure.

#include <optional>
#include <string_view>

#include "common/columns.h"

namespace ledgerline::agent {

enum class ClockVerdict : uint8_t {
  unchanged,            // the last anchor still says it
  believed,             // a new anchor: the boot's first, a step, or a time source now vouches
  impossible,           // before the floor, or after the year 9999
  unsynchronised_step,  // nobody vouches for it, and a synchronised anchor of this boot contradicts
};
std::string_view to_string(ClockVerdict verdict);

/// Less is what slewing towards the right time does, and readings do not mind it.
inline constexpr Duration kClockStep{500};
/// The floor is the collector's time. A device's own that nobody set lately may be behind it by
/// this much and is believed as it is.
inline constexpr Duration kFloorSlack = std::chrono::hours(1);

/// `floor`: the newest time that the collector signed for this stream. `last`: the boot's newest
/// anchor. A clock that a time source vouches for is believed below the floor too: then it was the
/// collector's that was wrong. To lose the time source alone changes nothing.
ClockVerdict judge_clock(Timestamp floor, const std::optional<ClockAnchor>& last,
                         const ClockAnchor& now);

/// The anchor that a boot of the agent begins with. `last`: of the same boot of the machine.
std::optional<ClockAnchor> first_anchor(Timestamp floor, const std::optional<ClockAnchor>& last,
                                        const ClockAnchor& now);

/// The wall clock's time at a monotonic time of the anchor's boot.
Timestamp time_by(const ClockAnchor& anchor, Monotonic at);

/// Remembers for how long the clock has not been believed, and how often that began.
class ClockDoubt {
 public:
  /// True where there is something to tell: a verdict that is not `unchanged`, once per step.
  bool note(ClockVerdict verdict, const ClockAnchor& now);

  [[nodiscard]] ClockVerdict why() const { return why_; }  // `unchanged`: there is no doubt
  [[nodiscard]] Monotonic since() const { return since_; }
  [[nodiscard]] uint64_t times() const { return times_; }

 private:
  ClockVerdict why_ = ClockVerdict::unchanged;
  ClockAnchor first_;  // what the clock showed when the doubt began
  Monotonic since_;
  uint64_t times_ = 0;
};

}  // namespace ledgerline::agent
