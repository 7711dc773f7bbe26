#include "agent/core/line_mapping.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

Result<Timestamp> by_pattern(std::string_view pattern, std::string_view text) {
  return read_line_time({.form = LineTime::Form::pattern, .pattern = std::string(pattern)}, text);
}

TEST_CASE("times of every form") {
  using Form = LineTime::Form;
  const Timestamp start = *parse_rfc3339("2020-01-01T00:00:00Z");
  struct Case {
    LineTime rule;
    const char* text;
    const char* time;  // nullptr: refused
  };
  const LineTime ncsa{.form = Form::pattern, .pattern = std::string(kNcsaTimePattern)};
  const LineTime sql{.form = Form::pattern, .pattern = "%Y-%m-%d %H:%M:%S"};
  const LineTime fine{.form = Form::pattern, .pattern = "%d.%m.%Y %H:%M:%S,%f %z 100%%"};
  const LineTime steps{.form = Form::steps, .origin = start, .step = Duration(3'600'000)};
  const Case cases[] = {
      {ncsa, "17/May/2015:10:05:03 +0000", "2015-05-17T10:05:03.000Z"},
      {ncsa, "17/May/2015:10:05:03 +0230", "2015-05-17T07:35:03.000Z"},
      {ncsa, "31/Dec/2014:23:30:00 -0100", "2015-01-01T00:30:00.000Z"},
      {ncsa, "17/May/2015:10:05:60 +0000", "2015-05-17T10:05:59.000Z"},
      {ncsa, "17/Mai/2015:10:05:03 +0000", nullptr},
      {ncsa, "17/ayJ/2015:10:05:03 +0000", nullptr},
      {ncsa, "31/Feb/2015:10:05:03 +0000", nullptr},
      {ncsa, "17/May/2015:24:05:03 +0000", nullptr},
      {ncsa, "17/May/2015:10:05:03", nullptr},
      {ncsa, "17/May/2015:10:05:03 +0000 ", nullptr},
      {sql, "2015-01-03 07:00:00", "2015-01-03T07:00:00.000Z"},
      {sql, "2015-01-03T07:00:00", nullptr},
      {sql, "1969-12-31 23:59:59", nullptr},
      {sql, "", nullptr},
      {fine, "03.01.2015 07:00:00,1239 +02:00 100%", "2015-01-03T05:00:00.123Z"},
      {{.form = Form::rfc3339}, "2015-05-17T10:05:03.5+02:00", "2015-05-17T08:05:03.500Z"},
      {{.form = Form::rfc3339}, "yesterday", nullptr},
      {{.form = Form::unix_s}, "1431857103", "2015-05-17T10:05:03.000Z"},
      {{.form = Form::unix_s}, "1431857103.1239", "2015-05-17T10:05:03.123Z"},
      {{.form = Form::unix_s}, "-1", nullptr},
      {{.form = Form::unix_s}, "99999999999999999999999", nullptr},
      {{.form = Form::unix_ms}, "1431857103123", "2015-05-17T10:05:03.123Z"},
      {steps, "1", "2020-01-01T01:00:00.000Z"},
      {steps, "362", "2020-01-16T02:00:00.000Z"},
      {steps, "1.5", nullptr},
      {steps, "9223372036854775807", nullptr},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    const auto time = read_line_time(c.rule, c.text);
    if (c.time == nullptr) {
      CHECK_FALSE(time);
    } else {
      REQUIRE(time);
      CHECK(to_rfc3339(*time) == c.time);
    }
  }
  CHECK(by_pattern("%Y%m%d", "20150103"));
}

TEST_CASE("a time's pattern names a day and nothing unknown") {
  CHECK(check_time_pattern(kNcsaTimePattern));
  CHECK(check_time_pattern("%Y-%m-%d"));
  for (const char* pattern : {"%H:%M", "%Y-%m", "%Y-%m-%d %p", "%Y-%m-%d %", ""}) {
    INFO(pattern);
    CHECK_FALSE(check_time_pattern(pattern));
  }
}

const std::vector<MeterRow> kMeters = {
    {.number = 1, .name = "requests", .unit = "1"},
    {.number = 2, .name = "traffic", .unit = "By"},
    {.number = 3, .name = "energy", .unit = "kWh", .scale = 3, .kind = MeterKind::register_},
    {.number = 4, .name = "level", .unit = "%", .scale = 2, .kind = MeterKind::gauge},
};

LineRules access_rules() {
  return {
      .shape = {},
      .fields = {"client", "bytes", "time", "status"},
      .time = LineTime{.form = LineTime::Form::pattern, .pattern = std::string(kNcsaTimePattern)},
      .time_field = 2,
      .trust_time = true,
      .readings = {{.meter = "requests",
                    .value = {.field = {}, .text = "1"},
                    .skip = {},
                    .subject = TextOrField{.field = 0, .text = ""},
                    .dimensions = {{"status", {.field = 3, .text = ""}},
                                   {"site", {.field = {}, .text = "eu"}}}},
                   {.meter = "traffic",
                    .value = {.field = 1, .text = ""},
                    .skip = "-",
                    .subject = TextOrField{.field = 0, .text = ""},
                    .dimensions = {}}}};
}

std::string access_line(const std::string& bytes, const std::string& second = "03") {
  return "10.0.0.1 - - [17/May/2015:10:05:" + second + " +0000] \"GET / HTTP/1.1\" 200 " + bytes;
}

TEST_CASE("a line gives one reading per rule, at its own time") {
  LineMapper mapper(access_rules(), kMeters);
  std::vector<RecordItem> items;
  std::optional<Timestamp> newest;

  REQUIRE(mapper.map(access_line("7"), {5}, items, newest));

  REQUIRE(items.size() == 2);
  CHECK(items[0].reading.meter == 1);
  CHECK(items[0].reading.value == 1);
  CHECK(items[0].reading.subject == "10.0.0.1");
  CHECK(items[0].reading.dimensions == DimensionSet{{"status", "200"}, {"site", "eu"}});
  CHECK(items[0].reading.time_ms == parse_rfc3339("2015-05-17T10:05:03Z")->unix_ms());
  CHECK_FALSE(items[0].reading.monotonic_time);
  CHECK(items[1].reading.meter == 2);
  CHECK(items[1].reading.value == 7);
  CHECK(items[0].key.empty());
}

TEST_CASE("a value that is to be skipped leaves the line's other readings") {
  LineMapper mapper(access_rules(), kMeters);
  std::vector<RecordItem> items;
  std::optional<Timestamp> newest;

  REQUIRE(mapper.map(access_line("-"), {5}, items, newest));

  REQUIRE(items.size() == 1);
  CHECK(items[0].reading.meter == 1);
}

TEST_CASE("times may go backwards, the newest is kept") {
  LineMapper mapper(access_rules(), kMeters);
  std::vector<RecordItem> items;
  std::optional<Timestamp> newest;

  for (const char* second : {"03", "47", "12"})
    REQUIRE(mapper.map(access_line("7", second), {5}, items, newest));

  CHECK(newest == *parse_rfc3339("2015-05-17T10:05:47Z"));
  CHECK(items[4].reading.time_ms == parse_rfc3339("2015-05-17T10:05:12Z")->unix_ms());
}

TEST_CASE("where the line's time is not trusted, a reading's time is when it was read") {
  LineRules rules = access_rules();
  rules.trust_time = false;
  LineMapper mapper(rules, kMeters);
  std::vector<RecordItem> items;
  std::optional<Timestamp> newest;

  REQUIRE(mapper.map(access_line("7"), {5}, items, newest));

  CHECK(items[0].reading.monotonic_time);
  CHECK(items[0].reading.time_ms == 5);
  CHECK_FALSE(newest);
  CHECK_FALSE(mapper.map(access_line("7", "99"), {5}, items, newest));
}

TEST_CASE("a line is taken with all its readings or with none") {
  LineMapper mapper(access_rules(), kMeters);
  std::vector<RecordItem> items;
  std::optional<Timestamp> newest;

  for (const char* bytes : {"x", "-7", "1.5", "99999999999999999999", "1e3"}) {
    INFO(bytes);
    const auto mapped = mapper.map(access_line(bytes), {5}, items, newest);
    REQUIRE_FALSE(mapped);
    CHECK(mapped.error().message().find(bytes) != std::string::npos);
    CHECK(items.empty());
    CHECK_FALSE(newest);
  }
}

TEST_CASE("registers carry the raw counter, gauges may be negative, values are exact") {
  LineRules rules{.shape = {.format = LineFormat::columns},
                  .fields = {"1", "2"},
                  .time = {},
                  .readings = {{.meter = "energy", .value = {.field = 0, .text = ""}},
                               {.meter = "level", .value = {.field = 1, .text = ""}}}};
  LineMapper mapper(rules, kMeters);
  std::vector<RecordItem> items;
  std::optional<Timestamp> newest;

  REQUIRE(mapper.map("12.345 -0.5", {5}, items, newest));
  CHECK(items[0].reading.register_value == 12345);
  CHECK(items[0].reading.value == 0);
  CHECK(items[1].reading.value == -50);
  CHECK(items[0].reading.subject.empty());

  const auto mapped = mapper.map("1 0.123", {5}, items, newest);
  REQUIRE_FALSE(mapped);
  CHECK(mapped.error().message().find("2 decimal places") != std::string::npos);
}

TEST_CASE("an empty or unprintable subject is no subject") {
  LineRules rules{.shape = {.format = LineFormat::columns, .separator = ","},
                  .fields = {"1"},
                  .time = {},
                  .readings = {{.meter = "requests",
                                .value = {.field = {}, .text = "1"},
                                .skip = {},
                                .subject = TextOrField{.field = 0, .text = ""}}}};
  LineMapper mapper(rules, kMeters);
  std::vector<RecordItem> items;
  std::optional<Timestamp> newest;

  CHECK_FALSE(mapper.map(",x", {5}, items, newest));
  CHECK_FALSE(mapper.map("a\x01,x", {5}, items, newest));
  CHECK_FALSE(mapper.map(std::string(5000, 'a'), {5}, items, newest));
  CHECK(mapper.map("a,x", {5}, items, newest));
}

}  // namespace
}  // namespace ledgerline::agent
