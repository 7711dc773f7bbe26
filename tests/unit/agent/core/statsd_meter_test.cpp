#include "agent/core/statsd_meter.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

const std::vector<MeterRow> kMeters = {
    {.number = 1, .name = "calls", .unit = "1"},
    {.number = 2, .name = "level", .unit = "1", .scale = 1, .kind = MeterKind::gauge},
    {.number = 3, .name = "jobs", .unit = "1"},
    {.number = 4, .name = "job.ms", .unit = "ms", .scale = 3},
    {.number = 5, .name = "job.slowest", .unit = "ms", .scale = 3, .kind = MeterKind::gauge},
    {.number = 6, .name = "job.fastest", .unit = "ms", .scale = 3, .kind = MeterKind::gauge},
    {.number = 7, .name = "users", .unit = "1", .kind = MeterKind::gauge},
};

std::vector<StatsdRule> rules() {
  const SeriesRule by_client{.subject = TextOrLabel{.label = "client", .text = ""},
                             .dimensions = {{"zone", {.label = "zone", .text = ""}}}};
  const auto timer = [](TimerStatistic statistic, const char* meter) {
    return StatsdRule{.name = "job",
                      .type = StatsdType::timer,
                      .statistic = statistic,
                      .meter = meter,
                      .series = {}};
  };
  return {
      {.name = "api.", .prefix = true, .meter = "calls", .series = by_client},
      {.name = "level", .type = StatsdType::gauge, .meter = "level", .series = {}},
      timer(TimerStatistic::count, "jobs"),
      timer(TimerStatistic::sum, "job.ms"),
      timer(TimerStatistic::max, "job.slowest"),
      timer(TimerStatistic::min, "job.fastest"),
      {.name = "users", .type = StatsdType::set, .meter = "users", .series = {}},
  };
}

constexpr int64_t kQuarterHour = 900'000;
IntervalBegin at(int64_t ms) { return {.wall = Timestamp(ms), .monotonic = {ms + 7}}; }

using Row = std::pair<uint32_t, int64_t>;  // meter and value

struct World {
  explicit World(StatsdLimits limits = {}) : meter(rules(), kMeters, at(0), limits) {}
  void send(const std::string& datagram) { meter.take(datagram, false); }
  /// What the interval that ends now is worth.
  std::vector<RecordItem> close(int64_t next_ms = 10'000) {
    meter.buffer().close(at(next_ms));
    const StatsdWindow* part = meter.buffer().take();
    return part == nullptr ? std::vector<RecordItem>() : part->readings();
  }
  std::vector<Row> rows(int64_t next_ms = 10'000) {
    std::vector<Row> out;
    for (const RecordItem& item : close(next_ms))
      out.emplace_back(item.reading.meter, item.reading.value);
    return out;
  }
  [[nodiscard]] std::string reason() const {
    return meter.bad().entries().empty() ? "" : meter.bad().entries().back().reason;
  }
  StatsdMeter meter;
};

TEST_CASE("an interval becomes one reading per series, at the time at which it began") {
  World w;
  w.send("api.get:1|c|#client:aqua\napi.put:2:3|c|#client:aqua,zone:eu\n");
  w.send("api.get:4|c|#client:aqua");

  const auto items = w.close();

  REQUIRE(items.size() == 2);
  CHECK(items[0].reading.subject == "aqua");
  CHECK(items[0].reading.value == 5);
  CHECK(items[0].reading.dimensions.empty());
  CHECK(items[0].reading.time_ms == 7);
  CHECK(items[0].reading.monotonic_time);
  CHECK(items[1].reading.value == 5);
  CHECK(items[1].reading.dimensions == DimensionSet{{"zone", "eu"}});
  CHECK(w.meter.counters().samples == 4);
  CHECK(w.meter.counters().lines == 3);
}

TEST_CASE("each type is worth what the documentation says") {
  struct Case {
    const char* datagram;
    std::vector<Row> rows;
  };
  const Case cases[] = {
      {"api.x:3|c|@0.1|#client:a", {{1, 30}}},
      {"api.x:3|c|@0.3|#client:a", {{1, 10}}},
      {"level:5|g\nlevel:7.5|g", {{2, 75}}},
      {"level:5|g\nlevel:+2|g\nlevel:-0.5|g", {{2, 65}}},
      {"level:-2|g", {{2, -20}}},
      {"job:1.5:4:2|ms", {{3, 3}, {4, 7500}, {5, 4000}, {6, 1500}}},
      {"job:1.5|h|@0.5", {{3, 2}, {4, 3000}, {5, 1500}, {6, 1500}}},
      {"users:eve|s\nusers:bob:eve|s", {{7, 2}}},
  };
  for (const Case& c : cases) {
    INFO(c.datagram);
    World w;
    w.send(c.datagram);
    CHECK(w.rows() == c.rows);
    CHECK(w.reason().empty());
  }
}

TEST_CASE("a gauge's last value is known beyond its interval") {
  World w;
  w.send("level:5|g");
  w.close();
  w.meter.buffer().recorded();

  w.send("level:+1|g");

  CHECK(w.rows(20'000) == std::vector<Row>{{2, 60}});
}

TEST_CASE("what cannot be counted exactly is a bad line, and none of it is counted") {
  struct Case {
    const char* datagram;
    const char* words;
  };
  const Case cases[] = {
      {"nonsense", "no \"|\""},
      {"api.x:1|c", "no \"client\""},
      {"api.x:1|c|#client:a,client:b", "stands twice"},
      {"api.x:1:x|c|#client:a", "\"x\""},
      {"api.x:1.5|c|#client:a", "decimal places"},
      {"api.x:-1|c|#client:a", "negative"},
      {"api.x:1|c|@0.3|#client:a", "divided by its sample rate"},
      {"api.x:1|c|@0|#client:a", "above 0"},
      {"api.x:1|c|@1.5|#client:a", "at most 1"},
      {"api.x:1|c|@often|#client:a", "not a decimal"},
      {"api.x:9223372036854775807|c|@0.1|#client:a", "too large"},
      {"api.x:1|g|#client:a", "it is a gauge, and the configuration says that it is a counter"},
      {"job:1:x|ms", "not a decimal"},
      {"level:+-1|g", "two signs"},
      {"level:1.55|g", "decimal places"},
      {"users:eve|s|@0.5", "a set cannot be sampled"},
      {"api.x:1|c|#client:a\x7f", "control character"},
  };
  for (const Case& c : cases) {
    INFO(c.datagram);
    World w;
    w.send(c.datagram);
    INFO(w.reason());
    CHECK(w.reason().find(c.words) != std::string::npos);
    CHECK(w.meter.counters().bad_lines == 1);
    CHECK(w.meter.counters().samples == 0);
    CHECK(w.rows().empty());
  }
}

TEST_CASE("a sum that does not fit is refused and the sum before stays") {
  World w;
  w.send("api.x:9223372036854775807|c|#client:a\napi.x:1|c|#client:a");

  CHECK(w.reason().find("64 bits") != std::string::npos);
  CHECK(w.rows() == std::vector<Row>{{1, 9223372036854775807}});
}

TEST_CASE("a metric that no rule maps is counted by name") {
  World w;
  w.send("other:1|c\nother:2|c\nmore:1|ms");

  CHECK(w.meter.counters().unmapped_lines == 3);
  CHECK(w.meter.unmapped() == std::map<std::string, uint64_t>{{"more", 1}, {"other", 2}});
  CHECK(w.meter.counters().bad_lines == 0);
}

TEST_CASE("the last line of a datagram that was cut is bad") {
  World w;
  w.meter.take("users:eve|s\nusers:bob|s", true);

  CHECK(w.meter.counters().bad_lines == 1);
  CHECK(w.rows() == std::vector<Row>{{7, 1}});
}

TEST_CASE("an interval is bounded in series and in members of sets") {
  World series({.series = 2});
  series.send("api.x:1|c|#client:a\napi.x:1|c|#client:b\napi.x:1|c|#client:c\napi.x:1|c|#client:a");
  CHECK(series.meter.counters().over_limit_lines == 1);
  CHECK(series.rows() == std::vector<Row>{{1, 2}, {1, 1}});

  World members({.members_per_series = 2});
  members.send("users:a:b:c:a|s");
  CHECK(members.meter.counters().over_limit_lines == 1);
  CHECK(members.rows() == std::vector<Row>{{7, 2}});
}

TEST_CASE("what was refused is kept, merged within its quarter hour, and holds the promise") {
  World w;
  w.send("api.x:1|c|#client:a\nlevel:1|g\njob:5|ms\nusers:eve|s");
  w.close(10'000);
  w.meter.buffer().put_back();
  w.send("api.x:2|c|#client:a\nlevel:2|g\njob:3|ms\nusers:eve:bob|s");
  CHECK(w.meter.buffer().begin() == Timestamp(0));

  const std::vector<Row> merged = {{1, 3},    {2, 20},   {3, 2}, {4, 8000},
                                   {5, 5000}, {6, 3000}, {7, 2}};
  CHECK(w.rows(20'000) == merged);
  CHECK(w.meter.buffer().begin() == Timestamp(0));

  // Refused again: what came meanwhile is newer.
  w.send("level:3|g");
  w.meter.buffer().close(at(30'000));
  w.meter.buffer().put_back();
  const auto items = w.meter.buffer().take()->readings();
  REQUIRE(items.size() == 7);
  CHECK(items[1].reading.value == 30);
  CHECK(items[1].reading.time_ms == 7);
  w.meter.buffer().recorded();
  CHECK(w.meter.buffer().begin() == Timestamp(30'000));
  CHECK(w.meter.buffer().dropped_samples() == 0);
}

TEST_CASE("intervals of two quarter hours stay two readings, in order") {
  World w;
  w.meter.buffer().close(at(kQuarterHour - 10'000));
  w.send("api.x:1|c|#client:a");
  CHECK(w.rows(kQuarterHour).size() == 1);
  w.meter.buffer().put_back();
  w.send("api.x:2|c|#client:a");

  CHECK(w.rows(kQuarterHour + 10'000) == std::vector<Row>{{1, 1}});
  w.meter.buffer().recorded();
  CHECK(w.meter.buffer().begin() == Timestamp(kQuarterHour));
  CHECK(w.meter.buffer().take()->readings()[0].reading.value == 2);
}

TEST_CASE("what is kept is bounded, and what found no room is counted") {
  World w({.kept_series = 2});
  w.send("api.x:1|c|#client:a\napi.x:1|c|#client:b");
  w.close();
  w.meter.buffer().put_back();
  w.send("api.x:1|c|#client:a\napi.x:1:1|c|#client:c");

  CHECK(w.rows(20'000) == std::vector<Row>{{1, 2}, {1, 1}});
  CHECK(w.meter.buffer().dropped_samples() == 2);
}

TEST_CASE("an interval of many series goes in requests that the recorder takes") {
  World w;
  for (int i = 0; i < 5'000; ++i) w.send("api.x:1|c|#client:" + std::to_string(i));
  CHECK(w.close().size() == 4'096);
  w.meter.buffer().recorded();
  CHECK(w.meter.buffer().take()->readings().size() == 904);
  w.meter.buffer().drop(0);
  CHECK(w.meter.buffer().taken().size() == 903);
  CHECK(w.meter.buffer().dropped_samples() == 1);
  w.meter.buffer().recorded();
  CHECK(w.meter.buffer().take() == nullptr);

  for (int i = 0; i < 5'000; ++i) w.send("api.x:1|c|#client:" + std::to_string(i));
  w.meter.buffer().close(at(20'000));
  CHECK(w.meter.buffer().take_all().size() == 2);
  CHECK(w.meter.buffer().take() == nullptr);
}

}  // namespace
}  // namespace ledgerline::agent
