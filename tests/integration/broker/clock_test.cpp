// From a journal whose machine woke without a time to the collector's fold: each reading lies in
// the quarter hour in which it was measured, or is named.
#include <catch2/catch.hpp>

#include "collector/core/folding.h"
#include "tests/unit/agent/journal/fixture.h"

namespace ledgerline::agent {
namespace {

using namespace std::chrono_literals;
using test::Device;

/// A gateway that starts with a clock of its own, and what the collector makes of its batches.
struct Gateway {
  explicit Gateway(Timestamp wall) {
    device.clock.mono = {3'000};
    device.clock.wall = wall;
    device.machine = "boot-1";
    device.open();
  }

  /// `value` at what is true now, whatever the clock shows.
  void meter(Timestamp now, int64_t value) {
    device.clock.wall = device.clock.wall + (now - truth);
    device.clock.mono = device.clock.mono + (now - truth);
    truth = now;
    RecordItem item = test::calls(value);
    item.reading.time_ms = device.clock.mono.ms;
    item.reading.monotonic_time = true;
    device.seqs(test::request({item}));
  }

  void learns_the_time(bool synchronised = true) {
    device.clock.wall = truth;
    device.synchronised = synchronised;
    REQUIRE(device.observe_clocks() == ClockVerdict::believed);
  }

  /// Quarter hour -> sum of what is usage, and what is not by kind.
  void fold() {
    device.seal();
    collector::StreamFoldState state;
    for (const auto& batch : device.batches()) {
      const auto out = fold_batch(state,
                                  {.tenant = "demo",
                                   .device = "app-1",
                                   .stream = device.grant.stream,
                                   .number = batch.number,
                                   .leaf = batch.number,
                                   .received_at = truth + 1min},
                                  batch.sealed);
      for (const auto& usage : out.usage) {
        const Timestamp begin(usage.quarter.index * collector::QuarterHour::kLengthMs);
        quarters[to_rfc3339(begin).substr(0, 16)] += static_cast<int64_t>(usage.value.sum);
      }
      for (const auto& exception : out.exceptions)
        flagged[exception.row.kind] += static_cast<int64_t>(exception.row.count);
    }
  }

  Device device;
  Timestamp truth{};
  std::map<std::string, int64_t> quarters;
  std::map<std::string, int64_t> flagged;
};

using Sums = std::map<std::string, int64_t>;

Timestamp at(const char* text) {
  const auto time = parse_rfc3339(text);
  REQUIRE(time.has_value());
  return *time;
}

TEST_CASE("readings of 1970 lie in their quarter hours once the time is known") {
  Gateway gateway(Timestamp(0));
  gateway.truth = at("2027-03-28T00:55:00Z");  // the clocks of Europe go forward five minutes later
  gateway.meter(at("2027-03-28T00:59:59.999Z"), 1);
  gateway.meter(at("2027-03-28T01:00:00Z"), 2);
  gateway.meter(at("2027-03-28T01:14:59Z"), 4);
  gateway.meter(at("2027-04-11T07:30:00Z"), 8);  // two weeks later
  gateway.learns_the_time();
  gateway.meter(at("2027-04-11T07:45:00Z"), 16);

  gateway.fold();

  CHECK(gateway.quarters == Sums{{"2027-03-28T00:45", 1},
                                 {"2027-03-28T01:00", 6},
                                 {"2027-04-11T07:30", 8},
                                 {"2027-04-11T07:45", 16}});
  CHECK(gateway.flagged.empty());
}

TEST_CASE("a time past the end of 32 bits is a time like any other") {
  Gateway gateway(Timestamp(0));
  gateway.truth = at("2038-01-19T03:14:00Z");
  gateway.meter(at("2038-01-19T03:14:07Z"), 1);
  gateway.meter(at("2038-01-19T03:15:08Z"), 2);
  gateway.learns_the_time();
  gateway.meter(at("2038-01-19T03:30:00Z"), 4);

  gateway.fold();

  CHECK(gateway.quarters ==
        Sums{{"2038-01-19T03:00", 1}, {"2038-01-19T03:15", 2}, {"2038-01-19T03:30", 4}});
  CHECK(gateway.flagged.empty());
}

TEST_CASE("a boot that never had the time is named and counted, nothing of it is lost") {
  Gateway gateway(Timestamp(0));
  gateway.truth = at("2027-04-01T10:00:00Z");
  gateway.meter(gateway.truth, 1);
  gateway.meter(gateway.truth + 1h, 2);
  gateway.device.machine = "boot-2";
  gateway.device.clock.wall = gateway.truth;
  gateway.device.open();
  gateway.meter(gateway.truth + 1s, 4);

  gateway.fold();

  CHECK(gateway.quarters == Sums{{"2027-04-01T11:00", 4}});
  CHECK(gateway.flagged == Sums{{"unplaced_time", 2}});
}

TEST_CASE("steps of 40 days are believed, flagged or refused by who vouches for the clock") {
  const Timestamp noon = at("2027-04-01T12:00:00Z");
  Gateway gateway(noon);
  gateway.truth = noon;
  gateway.meter(noon, 1);
  const auto step_and_meter = [&](Duration step) {
    gateway.device.clock.wall = gateway.device.clock.wall + step;
    gateway.device.observe_clocks();
    gateway.meter(gateway.truth + 15min, 2);
    gateway.device.clock.wall = gateway.truth;
    gateway.device.observe_clocks();
    gateway.meter(gateway.truth + 15min, 4);
  };

  SECTION("ahead, and nobody ever vouched") {
    step_and_meter(40 * 24h);
    gateway.fold();
    CHECK(gateway.quarters == Sums{{"2027-04-01T12:00", 1}, {"2027-04-01T12:30", 4}});
    CHECK(gateway.flagged == Sums{{"implausible_time", 1}});
  }
  SECTION("ahead, where the time before was synchronised") {
    gateway.learns_the_time();
    gateway.device.synchronised = false;
    step_and_meter(40 * 24h);
    gateway.fold();
    CHECK(gateway.quarters ==
          Sums{{"2027-04-01T12:00", 1}, {"2027-04-01T12:15", 2}, {"2027-04-01T12:30", 4}});
    CHECK(gateway.flagged.empty());
  }
  SECTION("back, behind what the collector signed") {
    step_and_meter(-400 * 24h);
    gateway.fold();
    CHECK(gateway.quarters ==
          Sums{{"2027-04-01T12:00", 1}, {"2027-04-01T12:15", 2}, {"2027-04-01T12:30", 4}});
    CHECK(gateway.flagged.empty());
  }
  SECTION("back, but not behind it: what was metered meanwhile lies there") {
    step_and_meter(-40 * 24h);
    gateway.fold();
    CHECK(gateway.quarters ==
          Sums{{"2027-02-20T12:15", 2}, {"2027-04-01T12:00", 1}, {"2027-04-01T12:30", 4}});
    CHECK(gateway.flagged.empty());
  }
}

}  // namespace
}  // namespace ledgerline::agent
