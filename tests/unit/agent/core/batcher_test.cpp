#include "agent/core/batcher.h"

#include <catch2/catch.hpp>

using namespace ledgerline;
using namespace ledgerline::agent;

namespace {
const BatchLimits kLimits{.readings_max = 1'000, .age_max = Duration(5'000)};
}

TEST_CASE("nothing recorded is never due") {
  REQUIRE(should_seal({1'000'000}, {}, kLimits) == SealReason::none);
}

TEST_CASE("readings are due by count, records, bytes or age, whichever comes first") {
  struct Case {
    Unsealed unsealed;
    int64_t now;
    SealReason due;
  };
  const std::vector<Case> cases = {
      {{.readings = 1, .oldest = {0}}, 4'999, SealReason::none},
      {{.readings = 1, .oldest = {0}}, 5'000, SealReason::age},
      {{.records = 1, .oldest = {0}}, 5'000, SealReason::age},
      {{.readings = 999, .oldest = {0}}, 0, SealReason::none},
      {{.readings = 1'000, .oldest = {0}}, 0, SealReason::readings},
      {{.records = 128, .oldest = {0}}, 0, SealReason::records},
      {{.readings = 1, .plain_bytes = 768 << 10, .oldest = {0}}, 0, SealReason::bytes},
  };
  for (const auto& c : cases) {
    CAPTURE(c.unsealed.readings, c.unsealed.records, c.unsealed.plain_bytes, c.now);
    REQUIRE(should_seal({c.now}, c.unsealed, kLimits) == c.due);
  }
}

TEST_CASE("a run joins a batch only where all limits hold") {
  const Unsealed batch{.readings = 900, .records = 100, .plain_bytes = 700 << 10};
  REQUIRE(fits(batch, {.readings = 100}, kLimits));
  REQUIRE(!fits(batch, {.readings = 101}, kLimits));
  REQUIRE(!fits(batch, {.records = 29}, kLimits));
  REQUIRE(!fits(batch, {.plain_bytes = 69 << 10}, kLimits));
}

TEST_CASE("halves hold everything of the run, in the order of the stream") {
  ColumnsBuilder builder(10);
  builder.add(ClockAnchor{.monotonic = {1}, .wall = Timestamp(1), .synchronised = true});
  for (int i = 0; i < 5; ++i) {
    if (i == 3) builder.add(ClockAnchor{.monotonic = {2}, .wall = Timestamp(2)});
    builder.add(Reading{.meter = 1, .subject = "s" + std::to_string(i), .time_ms = i, .value = i});
  }
  const Columns whole = builder.take();

  const auto [first, second] = halve(whole);

  REQUIRE(first.size() == 2);
  REQUIRE(first.records.size() == 1);
  REQUIRE(second.first_seq == 12);
  REQUIRE(second.size() == 3);
  ColumnsBuilder again(10);
  again.append(first);
  again.append(second);
  REQUIRE(again.columns() == whole);
}

TEST_CASE("a run of records only is halved too") {
  ColumnsBuilder builder(4);
  for (int i = 0; i < 3; ++i) builder.add(ClockAnchor{.monotonic = {i}, .wall = Timestamp(i)});

  const auto [first, second] = halve(builder.columns());

  REQUIRE(first.records.size() == 1);
  REQUIRE(second.records.size() == 2);
  REQUIRE(second.first_seq == 4);
}

TEST_CASE("a run joins a batch by subject only where a section is left for each subject") {
  const auto run = [](int from, int to) {
    ColumnsBuilder builder(1);
    for (int i = from; i < to; ++i)
      builder.add(Reading{.meter = 1, .subject = "s" + std::to_string(i), .value = i});
    builder.add(Reading{.meter = 1, .value = 1});
    return builder.take();
  };
  BatchLimits limits = kLimits;
  REQUIRE(sections_fit(run(0, 60), run(0, 200), limits));

  limits.sections = Sections::by_subject;
  REQUIRE(sections_fit(run(0, 60), run(57, 63), limits));
  REQUIRE(!sections_fit(run(0, 60), run(57, 64), limits));
  REQUIRE(sections_fit(run(0, 63), run(0, 0), limits));
  REQUIRE(!sections_fit(run(0, 64), run(0, 0), limits));
}

TEST_CASE("a run is cut behind a reading, and what stands before the next one goes with it") {
  ColumnsBuilder builder(10);
  builder.add(ClockAnchor{.monotonic = {1}, .wall = Timestamp(1)});
  for (int i = 0; i < 4; ++i) {
    if (i == 2) builder.add(ClockAnchor{.monotonic = {2}, .wall = Timestamp(2)});
    builder.add(Reading{.meter = 1, .time_ms = i, .value = i});
  }
  const Columns whole = builder.take();

  for (size_t readings = 0; readings < 4; ++readings) {
    const auto [first, second] = cut(whole, readings);
    REQUIRE(first.size() == readings);
    REQUIRE(first.records.size() == (readings == 0 ? 0 : readings <= 2 ? 1 : 2));
    ColumnsBuilder again(10);
    again.append(first);
    again.append(second);
    REQUIRE(again.columns() == whole);
  }
}
