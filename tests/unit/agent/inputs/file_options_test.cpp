#include "agent/inputs/file_options.h"

#include <catch2/catch.hpp>

#include "agent/inputs/file.h"

namespace ledgerline::agent {
namespace {

const std::vector<MeterRow> kMeters = {
    {.name = "api.requests", .unit = "1"},
    {.name = "api.bytes", .unit = "By"},
    {.name = "trips", .unit = "1", .forward_ids = true},
};

const std::string kGood = R"(path = "log/access.log"
format = "combined"
time = { field = "time", format = "ncsa" }

[[reading]]
meter = "api.requests"
value = "1"
subject = { field = "client" }
dimensions = { status = { field = "status" }, site = "eu" }

[[reading]]
meter = "api.bytes"
value = { field = "bytes", skip = "-" }
subject = { field = "client" }
)";

Result<FileOptions> read(const std::string& text) {
  auto table = TomlTable::parse(text, "agent.toml");
  if (!table) FAIL(table.error().text());
  return read_file_options(*table, "/etc/ledgerline", kMeters);
}

std::string replaced(const std::string& from, const std::string& to) {
  std::string out = kGood;
  const size_t at = out.find(from);
  REQUIRE(at != std::string::npos);
  return out.replace(at, from.size(), to);
}

TEST_CASE("a followed file is configured as written") {
  const auto options = read(kGood);

  if (!options) FAIL(options.error().text());
  CHECK(options->path == "/etc/ledgerline/log/access.log");
  CHECK(options->rules.fields == std::vector<std::string>{"time", "client", "status", "bytes"});
  CHECK(options->rules.trust_time);
  REQUIRE(options->rules.readings.size() == 2);
  CHECK(options->rules.readings[0].value.text == "1");
  CHECK(options->rules.readings[0].dimensions.size() == 2);
  CHECK(options->rules.readings[1].skip == "-");
}

TEST_CASE("a file's meters are of one class") {
  const auto read_with = [](const std::set<std::string, std::less<>>& diagnostic) {
    auto table = TomlTable::parse(kGood, "agent.toml");
    return read_file_options(*table, "/etc/ledgerline", kMeters, diagnostic);
  };
  CHECK(read_with({})->stream_class == StreamClass::billing);
  CHECK(read_with({"api.requests", "api.bytes"})->stream_class == StreamClass::diagnostic);
  const auto mixed = read_with({"api.bytes"});
  REQUIRE_FALSE(mixed);
  CHECK(mixed.error().code() == Errc::config);
  CHECK_THAT(mixed.error().text(), Catch::Contains("api.requests") &&
                                       Catch::Contains("api.bytes") &&
                                       Catch::Contains("agent.toml:"));
}

TEST_CASE("columns, steps and patterns") {
  CHECK(read(R"(path = "/a"
format = "columns"
time = { field = "2", format = "steps", origin = "2020-01-01T00:00:00Z", step = "1h" }
[[reading]]
meter = "api.bytes"
value = { field = "3" }
)"));
  CHECK(read(R"(path = "/a"
format = "columns"
separator = ","
header = true
time = { field = "datetime", format = "%Y-%m-%d %H:%M:%S" }
trust_time = false
[[reading]]
meter = "api.requests"
value = "1"
)"));
}

TEST_CASE("every mistake is named with its place") {
  struct Case {
    const char* from;
    const char* to;
    const char* words;
  };
  const Case cases[] = {
      {"log/access.log", "", "agent.toml:1:1: path"},
      {"\"combined\"", "\"combine\"", "agent.toml:2:1: format is"},
      {"\"ncsa\"", "\"nsca\"", "agent.toml:3:26: a time's format is"},
      {"\"ncsa\"", "\"steps\"", "missing key \"origin\""},
      {"field = \"time\"", "field = \"tame\"", "did you mean \"time\"?"},
      {"\"api.requests\"", "\"api.request\"", "did you mean \"api.requests\"?"},
      {"\"api.requests\"", "\"trips\"", "forwards ids"},
      {"value = \"1\"", "value = 1", "agent.toml:7:1: prices and quantities are quoted"},
      {"value = \"1\"", "value = \"1.5\"", "decimal places"},
      {"value = \"1\"", "value = \"-1\"", "only a gauge"},
      {"value = \"1\"", "valeu = \"1\"", "missing key \"value\""},
      {"{ field = \"client\" }\ndim", "{ field = \"cleint\" }\ndim",
       "agent.toml:8:13: a combined line has no field \"cleint\"; did you mean \"client\"?"},
      {"skip = \"-\"", "skipp = \"-\"", "did you mean \"skip\"?"},
      {"skip = \"-\"", "skip = 0", "is not a quoted text"},
      {"site = \"eu\"", "site = 5", "is not a quoted text"},
      {"time = {", "header = true\ntime = {", "for format = \"columns\" only"},
      {"time = { field = \"time\", format = \"ncsa\" }", "trust_time = true", "to trust"},
      {"\"combined\"", "\"columns\"", "called by its number"},
  };
  for (const Case& c : cases) {
    INFO(c.to);
    const auto options = read(replaced(c.from, c.to));
    REQUIRE_FALSE(options);
    INFO(options.error().text());
    CHECK(options.error().text().find(c.words) != std::string::npos);
    CHECK(options.error().code() == Errc::config);
  }
  CHECK_FALSE(read("path = \"/a\"\nformat = \"json\"\n"));
}

TEST_CASE("a file is followed once") {
  const auto table = TomlTable::parse(kGood, "agent.toml");
  REQUIRE(table);

  CHECK(prepare_file_input({.tables = {*table}, .folder = "/", .app_meters = kMeters}));
  CHECK_FALSE(
      prepare_file_input({.tables = {*table, *table}, .folder = "/", .app_meters = kMeters}));
}

}  // namespace
}  // namespace ledgerline::agent
