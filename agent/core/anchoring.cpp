#include "agent/core/anchoring.h"

namespace ledgerline::agent {

namespace {

constexpr Timestamp kLatest{253'402'300'799'999};  // the last millisecond of the year 9999

bool stepped(const ClockAnchor& from, const ClockAnchor& to) {
  const Duration apart = (to.wall - from.wall) - (to.monotonic - from.monotonic);
  return apart > kClockStep || apart < -kClockStep;
}

bool is_impossible(Timestamp floor, const ClockAnchor& now) {
  if (now.wall < Timestamp() || now.wall > kLatest) return true;
  return !now.synchronised && now.wall < floor - kFloorSlack;
}

}  // namespace

std::string_view to_string(ClockVerdict verdict) {
  switch (verdict) {
    case ClockVerdict::unchanged:
      return "unchanged";
    case ClockVerdict::believed:
      return "believed";
    case ClockVerdict::impossible:
      return "impossible";
    case ClockVerdict::unsynchronised_step:
      return "unsynchronised_step";
  }
  return "";
}

ClockVerdict judge_clock(Timestamp floor, const std::optional<ClockAnchor>& last,
                         const ClockAnchor& now) {
  if (is_impossible(floor, now)) return ClockVerdict::impossible;
  if (!last) return ClockVerdict::believed;
  const bool vouched_since = now.synchronised && !last->synchronised;
  if (!stepped(*last, now)) return vouched_since ? ClockVerdict::believed : ClockVerdict::unchanged;
  return last->synchronised && !now.synchronised ? ClockVerdict::unsynchronised_step
                                                 : ClockVerdict::believed;
}

std::optional<ClockAnchor> first_anchor(Timestamp floor, const std::optional<ClockAnchor>& last,
                                        const ClockAnchor& now) {
  return judge_clock(floor, last, now) == ClockVerdict::believed ? now : last;
}

Timestamp time_by(const ClockAnchor& anchor, Monotonic at) {
  return anchor.wall + (at - anchor.monotonic);
}

bool ClockDoubt::note(ClockVerdict verdict, const ClockAnchor& now) {
  const bool doubt =
      verdict == ClockVerdict::impossible || verdict == ClockVerdict::unsynchronised_step;
  if (!doubt) {
    why_ = ClockVerdict::unchanged;
    return verdict == ClockVerdict::believed;
  }
  if (why_ == verdict && !stepped(first_, now)) return false;
  if (why_ == ClockVerdict::unchanged) since_ = now.monotonic;
  why_ = verdict;
  first_ = now;
  ++times_;
  return true;
}

}  // namespace ledgerline::agent
