#include "collector/core/gap_acceptance.h"

#include <catch2/catch.hpp>

namespace ledgerline::collector {

namespace {

Timestamp minute(int64_t n) { return Timestamp(1'767'268'800'000 + n * 60'000); }

GapAcceptance example() {
  GapAcceptance out;
  out.tenant = "demo";
  out.device = "gw-1";
  out.from = minute(0);
  out.until = minute(60);
  out.by = "ann";
  out.at = minute(90);
  out.reason = "burnt";
  return out;
}

StreamProgress billing(std::optional<Timestamp> complete_through,
                       StreamStatus status = StreamStatus::open) {
  StreamProgress out;
  out.device = "gw-1";
  out.status = status;
  out.complete_through = complete_through;
  return out;
}

DeviceNeed need(std::vector<StreamProgress> streams) {
  return {.device = "gw-1",
          .required = minute(60),
          .link_ended = false,
          .streams = std::move(streams),
          .from = minute(0)};
}

AcceptedGap gap(int64_t from, int64_t until, const std::string& device = "gw-1") {
  return {.id = sha256(bytes_of(device + std::to_string(from) + " " + std::to_string(until))),
          .device = device,
          .from = minute(from),
          .until = minute(until)};
}

}  // namespace

TEST_CASE("a gap acceptance is compact JSON and read back as it was written", "[statement]") {
  CHECK(example().json() ==
        R"({"format":1,"tenant":"demo","device":"gw-1","from":"2026-01-01T12:00:00.000Z",)"
        R"("until":"2026-01-01T13:00:00.000Z","by":"ann","at":"2026-01-01T13:30:00.000Z",)"
        R"("reason":"burnt"})");
  REQUIRE(GapAcceptance::parse(example().json()));
  CHECK(GapAcceptance::parse(example().json())->json() == example().json());
  GapAcceptance bad = example();
  bad.until = bad.from;
  CHECK_FALSE(GapAcceptance::parse(bad.json()));
  bad = example();
  bad.reason.clear();
  CHECK_FALSE(GapAcceptance::parse(bad.json()));
  CHECK_FALSE(GapAcceptance::parse(" " + example().json()));
}

TEST_CASE("a period waits for a device until accepted gaps cover what it has not promised") {
  struct Row {
    const char* what;
    std::vector<StreamProgress> streams;
    std::vector<AcceptedGap> gaps;
    bool waits;
    size_t relied_on;
  };
  const Row rows[] = {
      {"nothing accepted", {billing(minute(20))}, {}, true, 0},
      {"promised, nothing accepted", {billing(minute(60))}, {}, false, 0},
      {"promised, a gap is not needed", {billing(minute(60))}, {gap(0, 60)}, false, 0},
      {"exactly what is missing", {billing(minute(20))}, {gap(20, 60)}, false, 1},
      {"more than is missing", {billing(minute(20))}, {gap(0, 90)}, false, 1},
      {"begins a minute late", {billing(minute(20))}, {gap(21, 60)}, true, 0},
      {"ends a minute early", {billing(minute(20))}, {gap(20, 59)}, true, 0},
      {"another device's", {billing(minute(20))}, {gap(20, 60, "gw-2")}, true, 0},
      {"two that meet", {billing(minute(20))}, {gap(40, 60), gap(10, 40)}, false, 2},
      {"two with a hole", {billing(minute(20))}, {gap(10, 39), gap(40, 60)}, true, 0},
      {"never heard", {billing({})}, {gap(0, 60)}, false, 1},
      {"never heard, not from the period's begin", {billing({})}, {gap(1, 60)}, true, 0},
      {"behind for longer than the period", {billing(minute(-500))}, {gap(0, 60)}, false, 1},
      {"no stream at all", {}, {gap(0, 60)}, false, 1},
      {"frozen", {billing(minute(20), StreamStatus::frozen)}, {gap(20, 60)}, false, 1},
      {"one of two streams is further behind",
       {billing(minute(50)), billing(minute(10))},
       {gap(20, 60)},
       true,
       1},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(waiting_for({need(row.streams)}, row.gaps).empty() != row.waits);
    CHECK(gaps_relied_on({need(row.streams)}, row.gaps).size() == row.relied_on);
  }
}

}  // namespace ledgerline::collector
