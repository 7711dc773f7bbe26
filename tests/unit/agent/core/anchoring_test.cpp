#include "agent/core/anchoring.h"

#include <catch2/catch.hpp>
#include <limits>

namespace ledgerline::agent {
namespace {

using namespace std::chrono_literals;
using Verdict = ClockVerdict;

constexpr Timestamp kNow{1'800'000'000'000};
constexpr Timestamp kFloor = kNow - 24h;
constexpr Duration kDay = 24h;

ClockAnchor clocks(Duration monotonic, Timestamp wall, bool synchronised = false) {
  return {.monotonic = {monotonic.count()}, .wall = wall, .synchronised = synchronised};
}

TEST_CASE("a boot's first clock is believed unless the collector's signature proves it wrong") {
  struct Case {
    const char* what;
    Timestamp wall;
    bool synchronised;
    Verdict verdict;
  };
  const Case cases[] = {
      {"now", kNow, false, Verdict::believed},
      {"at the floor", kFloor, false, Verdict::believed},
      {"slow, as clocks are", kFloor - 1h, false, Verdict::believed},
      {"before the floor", kFloor - 1h - Duration(1), false, Verdict::impossible},
      {"1970", Timestamp(5'000), false, Verdict::impossible},
      {"1901, a wrapped 32-bit time", Timestamp(-2'147'483'648'000), false, Verdict::impossible},
      {"the last millisecond of 9999", Timestamp(253'402'300'799'999), false, Verdict::believed},
      {"the year 10000", Timestamp(253'402'300'800'000), false, Verdict::impossible},
      {"any clock's end", Timestamp(std::numeric_limits<int64_t>::max()), true,
       Verdict::impossible},
      {"any clock's begin", Timestamp(std::numeric_limits<int64_t>::min()), true,
       Verdict::impossible},
      {"a time source against the collector", kFloor - kDay, true, Verdict::believed},
      {"far ahead, but possible", kNow + 40 * kDay, false, Verdict::believed},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    CHECK(judge_clock(kFloor, std::nullopt, clocks(100ms, c.wall, c.synchronised)) == c.verdict);
  }
}

TEST_CASE("a clock that was stepped needs an anchor, one that drifts does not") {
  struct Case {
    Duration wall;  // since the last anchor, where the monotonic clock counted 5 s
    bool was_synchronised;
    bool synchronised;
    Verdict verdict;
  };
  const Case cases[] = {
      {5000ms, true, true, Verdict::unchanged},
      {5500ms, true, true, Verdict::unchanged},
      {4500ms, true, true, Verdict::unchanged},
      {5501ms, true, true, Verdict::believed},
      {4499ms, true, true, Verdict::believed},
      {5000ms, false, true, Verdict::believed},   // a time source vouches now
      {5000ms, true, false, Verdict::unchanged},  // it is lost, and the time is as good as before
      {5501ms, true, false, Verdict::unsynchronised_step},
      {40 * kDay, true, false, Verdict::unsynchronised_step},
      {-kDay, true, false, Verdict::unsynchronised_step},
      {-40 * kDay, true, false, Verdict::impossible},
      {40 * kDay, false, false, Verdict::believed},
      {-kDay, false, false, Verdict::believed},
      {-40 * kDay, false, false, Verdict::impossible},
      {-40 * kDay, true, true, Verdict::believed},
  };
  for (const Case& c : cases) {
    INFO(c.wall.count() << " " << c.was_synchronised << " " << c.synchronised);
    const ClockAnchor last = clocks(100ms, kNow, c.was_synchronised);
    CHECK(judge_clock(kFloor, last, clocks(5100ms, kNow + c.wall, c.synchronised)) == c.verdict);
  }
}

TEST_CASE("a process that starts again keeps the time of its machine's boot") {
  const ClockAnchor last = clocks(1000ms, kNow, true);
  CHECK(first_anchor(kFloor, std::nullopt, clocks(5000ms, Timestamp(0))) == std::nullopt);
  CHECK(first_anchor(kFloor, last, clocks(5000ms, Timestamp(0))) == last);
  CHECK(first_anchor(kFloor, last, clocks(5000ms, kNow + kDay)) == last);
  CHECK(first_anchor(kFloor, last, clocks(5000ms, kNow + 4s)) == last);
  const ClockAnchor set = clocks(5000ms, kNow + kDay, true);
  CHECK(first_anchor(kFloor, last, set) == set);
  CHECK(time_by(last, {6'000}) == kNow + 5s);
  CHECK(time_by(last, {0}) == kNow - 1s);
}

TEST_CASE("a doubt is told and counted once per step, and lasts until the clock is believed") {
  ClockDoubt doubt;
  CHECK_FALSE(doubt.note(Verdict::unchanged, clocks(0s, kNow)));
  CHECK(doubt.note(Verdict::impossible, clocks(1s, Timestamp(0))));
  CHECK_FALSE(doubt.note(Verdict::impossible, clocks(2s, Timestamp(1'000))));
  CHECK(doubt.note(Verdict::impossible, clocks(3s, Timestamp(86'400'000))));  // another step
  CHECK(doubt.why() == Verdict::impossible);
  CHECK(doubt.since() == Monotonic{1'000});
  CHECK(doubt.times() == 2);

  CHECK(doubt.note(Verdict::believed, clocks(4s, kNow)));
  CHECK(doubt.why() == Verdict::unchanged);
  CHECK(doubt.note(Verdict::unsynchronised_step, clocks(5s, kNow + kDay)));
  CHECK(doubt.since() == Monotonic{5'000});
  CHECK_FALSE(doubt.note(Verdict::unchanged, clocks(6s, kNow)));
  CHECK(doubt.why() == Verdict::unchanged);
  CHECK(doubt.times() == 3);
}

}  // namespace
}  // namespace ledgerline::agent
