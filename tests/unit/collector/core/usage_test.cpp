#include "collector/core/usage.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>
#include <vector>

#include "collector/core/completeness.h"
#include "collector/core/exception_upsert.h"

namespace ledgerline::collector {

TEST_CASE("a quarter hour holds its first instant and not its last", "[usage]") {
  const int64_t quarter = 15 * 60 * 1000;
  const std::vector<std::pair<int64_t, int32_t>> cases = {
      {0, 0}, {quarter - 1, 0}, {quarter, 1}, {-1, -1}, {-quarter, -1}, {-quarter - 1, -2}};
  for (const auto& [ms, index] : cases) {
    INFO(ms);
    REQUIRE(QuarterHour::of(Timestamp(ms)).index == index);
    REQUIRE(QuarterHour{index}.start() <= Timestamp(ms));
    REQUIRE(Timestamp(ms) < QuarterHour{index}.end());
  }
}

TEST_CASE("usage is the same in whatever order readings and parts arrive", "[usage]") {
  std::vector<std::pair<int64_t, ReadingOrder>> readings;
  for (int64_t i = 0; i < 6; ++i) {
    readings.push_back({i * i - 7, {.time_ms = i / 2, .stream = {}, .seq = static_cast<Seq>(i)}});
  }
  UsageValue expected;
  for (const auto& [value, order] : readings) expected.add(value, order);
  REQUIRE(expected.sum == 13);
  REQUIRE(expected.last == 18);

  std::sort(readings.begin(), readings.end());
  do {
    UsageValue left;
    UsageValue right;
    for (size_t i = 0; i < readings.size(); ++i) {
      (i % 3 == 0 ? left : right).add(readings[i].first, readings[i].second);
    }
    left.merge(right);
    REQUIRE(left == expected);
  } while (std::next_permutation(readings.begin(), readings.end()));
}

TEST_CASE("sums beyond 64 bits stay exact", "[usage]") {
  UsageValue usage;
  const int64_t most = std::numeric_limits<int64_t>::max();
  for (Seq n = 0; n < 5; ++n) usage.add(most, {.seq = n});
  REQUIRE(usage.sum == Int128(most) * 5);
}

TEST_CASE("promises wait for their readings, the oldest is never dropped", "[completeness]") {
  HeartbeatTrack track;
  Heartbeat heartbeat;
  for (uint64_t n = 1; n <= 40; ++n) {
    heartbeat.number = n;
    heartbeat.next_seq = 10 * n;
    heartbeat.complete_through = Timestamp(static_cast<int64_t>(1000 * n));
    REQUIRE(on_heartbeat(track, heartbeat, Timestamp(50'000), 0));
  }
  REQUIRE(track.waiting.size() == HeartbeatTrack::kWaitingMax);
  REQUIRE_FALSE(complete_through(track, 8).has_value());
  REQUIRE(complete_through(track, 9) == Timestamp(1000));
  REQUIRE(complete_through(track, 25) == Timestamp(2000));
  REQUIRE(complete_through(track, 1000) == Timestamp(40'000));
  REQUIRE_FALSE(on_heartbeat(track, heartbeat, Timestamp(50'000), 0));

  heartbeat.number = 41;
  heartbeat.next_seq = 1000;
  REQUIRE(on_heartbeat(track, heartbeat, Timestamp(50'000), 99));
  REQUIRE(track.covered->complete_through == Timestamp(10'000));
  REQUIRE(complete_through(track, 0) == Timestamp(10'000));  // what was complete stays complete
}

TEST_CASE("a promise holds up to its receipt, and grows as it is repeated", "[completeness]") {
  HeartbeatTrack track;
  Heartbeat heartbeat;
  heartbeat.complete_through = Timestamp(std::numeric_limits<int64_t>::max());

  heartbeat.number = 1;
  on_heartbeat(track, heartbeat, Timestamp(1000), 0);
  REQUIRE(complete_through(track, 0) == Timestamp(1000));
  heartbeat.number = 2;
  heartbeat.next_seq = 10;
  on_heartbeat(track, heartbeat, Timestamp(2000), 0);
  REQUIRE(complete_through(track, 0) == Timestamp(1000));
  REQUIRE(complete_through(track, 9) == Timestamp(2000));

  heartbeat.number = 3;
  heartbeat.complete_through = Timestamp(1500);  // the clock is right again
  on_heartbeat(track, heartbeat, Timestamp(3000), 9);
  REQUIRE(complete_through(track, 9) == Timestamp(2000));
}

TEST_CASE("a sighting adds to, replaces or clears an exception", "[exceptions]") {
  ExceptionRow row;
  row.id = "x";
  row.count = 2;
  row.value = *Decimal::parse("1.5");
  row.first_leaf = 5;
  row.last_leaf = 5;
  row.first_seen = Timestamp(10);
  row.last_seen = Timestamp(10);
  row.detail = "first";
  const auto stored = upserted(std::nullopt, {UpsertMode::add, row});
  REQUIRE(stored == row);

  row.first_leaf = 3;
  row.last_leaf = 3;
  row.last_seen = Timestamp(20);
  row.detail.clear();
  const auto added = upserted(stored, {UpsertMode::add, row});
  REQUIRE(added->count == 4);
  REQUIRE(added->value.text() == "3.0");
  REQUIRE(added->first_leaf == LeafNumber{3});
  REQUIRE(added->last_leaf == LeafNumber{5});
  REQUIRE(added->detail == "first");
  REQUIRE(added->last_seen == Timestamp(20));

  const auto replaced = upserted(added, {UpsertMode::replace, row});
  REQUIRE(replaced->count == 2);
  REQUIRE(replaced->first_seen == Timestamp(10));

  row.detail = "mapped";
  const auto cleared = upserted(replaced, {UpsertMode::clear, row});
  REQUIRE(cleared->state == ExceptionState::resolved);
  REQUIRE(cleared->resolution == "mapped");
  REQUIRE_FALSE(upserted(cleared, {UpsertMode::clear, row}).has_value());
  // One that closed itself opens itself again; what a person resolved holds for what they saw.
  REQUIRE(upserted(cleared, {UpsertMode::replace, row})->state == ExceptionState::open);
  auto by_person = cleared;
  by_person->resolved_by = "ann";
  REQUIRE_FALSE(upserted(by_person, {UpsertMode::replace, row}).has_value());
  REQUIRE(upserted(cleared, {UpsertMode::add, row})->state == ExceptionState::open);
  row.count = 9;
  REQUIRE(upserted(by_person, {UpsertMode::replace, row})->state == ExceptionState::open);
  REQUIRE_FALSE(upserted(std::nullopt, {UpsertMode::clear, row}).has_value());
}

}  // namespace ledgerline::collector
