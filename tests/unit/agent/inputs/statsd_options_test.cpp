#include "agent/inputs/statsd_options.h"

#include <catch2/catch.hpp>

#include "agent/inputs/statsd.h"

namespace ledgerline::agent {
namespace {

const std::vector<MeterRow> kMeters = {
    {.name = "api.requests", .unit = "1"},
    {.name = "level", .unit = "1", .kind = MeterKind::gauge},
    {.name = "share", .unit = "1", .scale = 2, .kind = MeterKind::gauge},
    {.name = "bytes", .unit = "By", .kind = MeterKind::register_},
    {.name = "trips", .unit = "1", .forward_ids = true},
};

const std::string kGood = R"(socket = "run/statsd.sock"
interval = "30s"

[[metric]]
match = "api.requests.*"
type = "counter"
meter = "api.requests"
subject = { tag = "client" }
dimensions = { zone = { tag = "zone" }, site = "eu" }

[[metric]]
match = "job"
type = "timer"
statistic = "max"
meter = "level"
)";

Result<StatsdOptions> read(const std::string& text) {
  auto table = TomlTable::parse(text, "agent.toml");
  if (!table) FAIL(table.error().text());
  return read_statsd_options(*table, "/etc/ledgerline", kMeters);
}

std::string replaced(const std::string& from, const std::string& to) {
  std::string out = kGood;
  const size_t at = out.find(from);
  REQUIRE(at != std::string::npos);
  return out.replace(at, from.size(), to);
}

TEST_CASE("statsd is configured as written") {
  const auto options = read(kGood);

  if (!options) FAIL(options.error().text());
  CHECK(options->socket == "/etc/ledgerline/run/statsd.sock");
  CHECK(options->listen.empty());
  CHECK(options->interval == std::chrono::seconds(30));
  REQUIRE(options->rules.size() == 2);
  CHECK(options->rules[0].name == "api.requests.");
  CHECK(options->rules[0].prefix);
  CHECK(options->rules[0].series.subject->label == "client");
  CHECK(options->rules[0].series.dimensions.size() == 2);
  CHECK_FALSE(options->rules[1].prefix);
  CHECK(options->rules[1].statistic == TimerStatistic::max);
}

TEST_CASE("without an address statsd listens on this machine's usual port") {
  const auto options = read(replaced("socket = \"run/statsd.sock\"\n", ""));
  REQUIRE(options);
  CHECK(options->listen == "127.0.0.1:8125");
}

TEST_CASE("every mistake of statsd's table is named with its place") {
  struct Case {
    const char* from;
    const char* to;
    const char* words;
  };
  const Case cases[] = {
      {"socket = \"run/statsd.sock\"", "socket = \"\"", "agent.toml:1:1: a socket's path"},
      {"socket = \"run/statsd.sock\"", "listen = \"\"", "agent.toml:1:1: an address"},
      {"socket = \"run/statsd.sock\"", "listen = \"0.0.0.0:8125\"", "agent.toml:1:1:"},
      {"\"30s\"", "\"7s\"", "agent.toml:2:1: interval is between"},
      {"\"30s\"", "\"90s\"", "interval is between"},
      {"\"api.requests.*\"", "\"*\"", "agent.toml:5:1: match is"},
      {"\"api.requests.*\"", "\"api.*.get\"", "match is"},
      {"\"counter\"", "\"count\"", "agent.toml:6:1: type is"},
      {"type = \"counter\"", "type = \"counter\"\nstatistic = \"sum\"",
       "for type = \"timer\" only"},
      {"\"max\"", "\"mean\"", "agent.toml:14:1: statistic is"},
      {"statistic = \"max\"\n", "", "missing key \"statistic\""},
      {"meter = \"api.requests\"", "meter = \"api.request\"", "did you mean \"api.requests\"?"},
      {"meter = \"api.requests\"", "meter = \"trips\"", "a statsd line has none"},
      {"meter = \"api.requests\"", "meter = \"bytes\"", "kind delta or event, not register"},
      {"meter = \"api.requests\"", "meter = \"level\"", "kind delta or event, not gauge"},
      {"meter = \"level\"", "meter = \"api.requests\"", "kind gauge, not delta"},
      {"type = \"timer\"\nstatistic = \"max\"\nmeter = \"level\"",
       "type = \"set\"\nmeter = \"share\"", "scale = 0"},
      {"\"client\" }", "\"\" }", "agent.toml:8:13: a tag has a name"},
      {"subject = { tag", "subject = { tg", "missing key \"tag\""},
      {"site = \"eu\"", "site = \"\"", "site is not empty"},
      {"interval", "intervall", "did you mean \"interval\"?"},
  };
  for (const Case& c : cases) {
    INFO(c.to);
    const auto options = read(replaced(c.from, c.to));
    REQUIRE_FALSE(options);
    INFO(options.error().text());
    CHECK(options.error().text().find(c.words) != std::string::npos);
    CHECK(options.error().code() == Errc::config);
  }
  CHECK_FALSE(read("listen = \"127.0.0.1:0\"\n"));
}

TEST_CASE("one meter holds one statistic and counts no line twice") {
  struct Case {
    const char* match;
    const char* type;
    const char* meter;
    const char* words;
  };
  const Case cases[] = {
      {"queue", "gauge\"", "level", "another statistic"},
      {"other", "timer\"\nstatistic = \"min\"", "level", "another statistic"},
      {"job", "timer\"\nstatistic = \"max\"", "level", "\"job\" goes to the meter"},
      {"jo*", "timer\"\nstatistic = \"max\"", "level", "count twice"},
      {"api.requests.get", "counter\"", "api.requests", "\"api.requests.*\" goes to"},
      {"api.requests.g*", "counter\"", "api.requests", "count twice"},
      {"api.*", "counter\"", "api.requests", "count twice"},
      {"api.req", "counter\"", "api.requests", ""},
      {"jobs*", "timer\"\nstatistic = \"max\"", "level", ""},
      {"api.requests.get", "timer\"\nstatistic = \"count\"", "api.requests", ""},
  };
  for (const Case& c : cases) {
    INFO(c.match << " " << c.type);
    const auto options = read(kGood + "\n[[metric]]\nmatch = \"" + c.match + "\"\ntype = \"" +
                              c.type + "\nmeter = \"" + c.meter + "\"\n");
    if (!options) INFO(options.error().text());
    REQUIRE(options.has_value() == std::string_view(c.words).empty());
    if (!options) CHECK(options.error().text().find(c.words) != std::string::npos);
  }
}

TEST_CASE("there is one statsd input") {
  const auto table = TomlTable::parse(kGood, "agent.toml");
  REQUIRE(table);

  CHECK(prepare_statsd_input({.tables = {*table}, .folder = "/", .app_meters = kMeters}));
  CHECK_FALSE(
      prepare_statsd_input({.tables = {*table, *table}, .folder = "/", .app_meters = kMeters}));
}

}  // namespace
}  // namespace ledgerline::agent
