#include "agent/core/coarse.h"

#include <catch2/catch.hpp>

using namespace ledgerline;
using namespace ledgerline::agent;

namespace {

constexpr int64_t kQuarterMs = 900'000;
constexpr int64_t kStartMs = 2'000'000 * kQuarterMs;

const MeterRows kMeters = {
    {1, {.number = 1, .name = "calls", .unit = "1", .kind = MeterKind::delta}},
    {2, {.number = 2, .name = "bytes", .unit = "By", .kind = MeterKind::register_}},
    {3, {.number = 3, .name = "level", .unit = "1", .kind = MeterKind::gauge}},
};

Reading calls(int64_t ms, int64_t value, std::string subject = "") {
  return {.meter = 1, .subject = std::move(subject), .time_ms = kStartMs + ms, .value = value};
}

struct Run {
  CoarseLimits limits;
  std::optional<ClockAnchor> anchor;
  Columns columns{.first_seq = 11};
  std::vector<std::pair<uint32_t, int64_t>> replaced;

  /// The seqs, or nothing where there was no room.
  std::vector<Seq> take(const std::vector<Reading>& readings, size_t open_bytes = 0) {
    ColumnsBuilder more(columns.next_seq());
    for (const auto& reading : readings) more.add(reading);
    auto merged = coarsen(
        columns, more.columns(),
        {.meters = kMeters, .anchor = anchor, .now = Timestamp(kStartMs), .open_bytes = open_bytes},
        limits);
    if (!merged) return {};
    columns = std::move(merged->run);
    replaced = std::move(merged->replaced);
    return merged->seqs;
  }
  [[nodiscard]] Coarsened said() const {
    REQUIRE(columns.records.size() == 1);
    return std::get<Coarsened>(columns.records.front().kind);
  }
};

}  // namespace

TEST_CASE("readings of one series and quarter hour become one, with the latest time") {
  Run run;

  REQUIRE(run.take({calls(0, 1), calls(5, 2), calls(kQuarterMs, 4)}) ==
          std::vector<Seq>{11, 11, 12});
  REQUIRE(run.take({calls(kQuarterMs + 7, 8), calls(kQuarterMs + 3, 16, "aqua")}) ==
          std::vector<Seq>{12, 13});

  REQUIRE(run.columns.values == std::vector<int64_t>{3, 12, 16});
  REQUIRE(run.columns.times[0] == kStartMs + 5);
  REQUIRE(run.said() == Coarsened{.readings = 3,
                                  .measurements = 5,
                                  .from = Timestamp(kStartMs),
                                  .to = Timestamp(kStartMs),
                                  .step = std::chrono::minutes(15)});
}

TEST_CASE("late and on time, wall clock and monotonic clock are never mixed") {
  Run run;
  Reading late = calls(0, 1);
  late.late = true;
  Reading monotonic = calls(0, 1);
  monotonic.monotonic_time = true;

  REQUIRE(run.take({calls(0, 1), late, monotonic}) == std::vector<Seq>{11, 12, 13});
}

TEST_CASE("monotonic times fall into the quarter hours of the wall clock") {
  Run run;
  run.anchor = {.monotonic = {0}, .wall = Timestamp(kStartMs - 1'000)};
  Reading before = calls(0, 1);
  before.monotonic_time = true;
  before.time_ms = 0;
  Reading after = before;
  after.time_ms = 1'000;

  REQUIRE(run.take({before, after}) == std::vector<Seq>{11, 12});
}

TEST_CASE("a register adds up its consumption and keeps the newest raw counter") {
  Run run;
  Reading first{.meter = 2, .time_ms = kStartMs, .value = 30, .register_value = 1'030};
  Reading reset{
      .meter = 2, .time_ms = kStartMs, .register_reset = true, .value = 7, .register_value = 7};
  Reading last{.meter = 2, .time_ms = kStartMs, .value = 3, .register_value = 10};

  run.take({first, reset, last});

  REQUIRE(run.columns.values == std::vector<int64_t>{40});
  REQUIRE(run.columns.registers == std::vector<int64_t>{10});
  REQUIRE(run.columns.flags == std::vector<uint8_t>{Columns::kFlagReset});
}

TEST_CASE("a gauge keeps the latest level and tells what it replaced") {
  Run run;
  const auto level = [](int64_t ms, int64_t value) {
    return Reading{.meter = 3, .time_ms = kStartMs + ms, .value = value};
  };

  run.take({level(5, 70), level(9, 80), level(7, 75)});

  REQUIRE(run.columns.values == std::vector<int64_t>{80});
  REQUIRE(run.replaced == std::vector<std::pair<uint32_t, int64_t>>{{3, 70}, {3, 75}});
}

TEST_CASE("the step doubles as rows fill up, and standing rows keep their seqs") {
  Run run{.limits = {.rows_per_step = 2}};

  const auto seqs = run.take({calls(0, 1), calls(kQuarterMs, 1), calls(2 * kQuarterMs, 1),
                              calls(3 * kQuarterMs, 1), calls(4 * kQuarterMs, 1),
                              calls(7 * kQuarterMs, 1), calls(8 * kQuarterMs, 1)});

  REQUIRE(seqs == std::vector<Seq>{11, 12, 13, 13, 14, 14, 15});
  REQUIRE(run.said().step == std::chrono::hours(1));
}

TEST_CASE("without room a known series still adds up, a new one is refused and nothing changes") {
  Run run{.limits = {.rows_max = 2}};
  run.take({calls(0, 1), calls(0, 1, "aqua")});
  const Columns before = run.columns;

  REQUIRE(run.take({calls(0, 1), calls(0, 1, "borealis")}).empty());
  REQUIRE(run.columns == before);
  REQUIRE(run.take({calls(99 * kQuarterMs, 5, "aqua")}) == std::vector<Seq>{12});
  REQUIRE(run.columns.values == std::vector<int64_t>{1, 6});

  Run by_bytes{.limits = {.bytes_max = 100}};
  by_bytes.take({calls(0, 1)});
  REQUIRE(by_bytes.take({calls(0, 1, "aqua")}, 100).empty());
  REQUIRE(by_bytes.take({calls(99 * kQuarterMs, 1)}, 100) == std::vector<Seq>{11});
}

TEST_CASE("a sum that would overflow begins a row of its own") {
  Run run;
  const int64_t most = std::numeric_limits<int64_t>::max();

  REQUIRE(run.take({calls(0, most), calls(1, 1)}) == std::vector<Seq>{11, 12});
}

TEST_CASE("a reading that joins a row from far away widens the step that is said") {
  Run run{.limits = {.rows_max = 1}};
  run.take({calls(0, 1)});
  REQUIRE(run.said().step == std::chrono::minutes(15));

  REQUIRE(run.take({calls(5 * kQuarterMs, 2)}) == std::vector<Seq>{11});
  REQUIRE(run.said().step == std::chrono::minutes(15 * 8));

  REQUIRE(run.take({calls(6 * kQuarterMs, 2)}) == std::vector<Seq>{11});
  REQUIRE(run.said().step == std::chrono::minutes(15 * 8));
}
