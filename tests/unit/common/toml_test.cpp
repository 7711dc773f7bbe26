#include "common/toml.h"

#include <catch2/catch.hpp>

namespace ledgerline {
namespace {

TomlTable open(std::string_view text) {
  auto table = TomlTable::parse(text, "x.toml");
  REQUIRE(table);
  return *table;
}

template <class T>
std::string complaint(const Result<T>& result) {
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::config);
  return result.error().text();
}

TEST_CASE("values of every type are read back") {
  auto table = open(
      "name = \"pump\"\ncount = 7\non = true\nprice = \"0.0035\"\nwait = \"250ms\"\nquota = "
      "\"64KiB\"\nplain = 4096\n"
      "at = \"2026-01-01T00:00:00+01:00\"\nbare = 2026-01-01T00:00:00+01:00\nlist = [\"a\", "
      "\"b\"]\n"
      "[labels]\nsite = \"north\"\n[[meter]]\nname = \"m1\"\n[[meter]]\nname = \"m2\"\n");

  CHECK(*table.string("name") == "pump");
  CHECK(*table.integer("count", 0, 10) == 7);
  CHECK(*table.boolean("on"));
  CHECK(table.decimal("price")->text() == "0.0035");
  CHECK(*table.duration("wait") == Duration(250));
  CHECK(*table.size("quota") == 65536);
  CHECK(*table.size("plain") == 4096);
  CHECK(to_rfc3339(*table.timestamp("at")) == "2025-12-31T23:00:00.000Z");
  CHECK(*table.timestamp("bare") == *table.timestamp("at"));
  CHECK(*table.strings("list") == std::vector<std::string>{"a", "b"});
  CHECK(table.string_map("labels")->at(0) == std::pair<std::string, std::string>{"site", "north"});
  auto meters = table.tables("meter");
  REQUIRE(meters);
  REQUIRE(meters->size() == 2);
  CHECK(*(*meters)[1].string("name") == "m2");
  CHECK(table.finish());
}

TEST_CASE("absent keys take their default") {
  auto table = open("");

  CHECK(*table.string("a", "fallback") == "fallback");
  CHECK(*table.integer("b", 0, 9, 5) == 5);
  CHECK(*table.boolean("c", true));
  CHECK(*table.duration("d", Duration(5)) == Duration(5));
  CHECK(*table.size("e", 9) == 9);
  CHECK(table.strings("f")->empty());
  CHECK(table.tables("g")->empty());
  CHECK(table.string_map("h")->empty());
  CHECK_FALSE(table.has("a"));
}

TEST_CASE("a wrong value is named with file, line and column") {
  auto table = open(
      "\nname = 1\n  count = 11\nprice = 0.35\nwait = \"5 s\"\nquota = \"1MB\"\nat = "
      "\"yesterday\"\nlocal = 2026-01-01\n");

  CHECK(complaint(table.string("name")) == "x.toml:2:1: \"name\" is not a quoted text");
  CHECK(complaint(table.integer("count", 0, 10)) ==
        "x.toml:3:3: \"count\" is not between 0 and 10");
  CHECK(complaint(table.decimal("price")) ==
        "x.toml:4:1: prices and quantities are quoted: price = \"0.35\"");
  CHECK(complaint(table.duration("wait")).substr(0, 12) == "x.toml:5:1: ");
  CHECK(complaint(table.size("quota")).substr(0, 12) == "x.toml:6:1: ");
  CHECK(complaint(table.timestamp("at")).substr(0, 12) == "x.toml:7:1: ");
  CHECK(complaint(table.timestamp("local")).substr(0, 12) == "x.toml:8:1: ");
  CHECK(complaint(table.table("name")) == "x.toml:2:1: \"name\" is not a table [name]");
  CHECK(complaint(table.tables("name")) == "x.toml:2:1: \"name\" is not a list of tables [[name]]");
  CHECK(complaint(table.strings("name")) == "x.toml:2:1: \"name\" is not a list of quoted texts");
}

TEST_CASE("a quoted number that is no exact decimal is refused with the reason") {
  auto table = open("a = \"1e3\"\nb = \"\"\nc = \"1.2345678901234567890\"\n");

  CHECK(complaint(table.decimal("a")).find("exponent") != std::string::npos);
  CHECK(complaint(table.decimal("b")).find("not a decimal number") != std::string::npos);
  CHECK(complaint(table.decimal("c")).find("18 decimal places") != std::string::npos);
}

TEST_CASE("a missing key is named at its table") {
  auto table = open("[broker]\nport = 1\n\n[[meter]]\nunit = \"1\"\n");
  auto broker = table.table("broker");
  auto meters = table.tables("meter");

  CHECK(complaint(broker->string("host")) == "x.toml:1:1: missing key \"host\"");
  CHECK(complaint(meters->at(0).string("name")).substr(0, 9) == "x.toml:4:");
  CHECK(complaint(table.string("tenant")) == "x.toml:1:1: missing key \"tenant\"");
}

TEST_CASE("a key nobody reads is refused with the nearest known one") {
  auto table = open("[broker]\nhost = \"h\"\nprot = 1\nzzz = 2\n");
  auto broker = table.table("broker");
  REQUIRE(broker);
  REQUIRE(broker->string("host"));
  REQUIRE(broker->integer("port", 1, 65535, 8883));

  CHECK(complaint(broker->finish()) == "x.toml:3:1: unknown key \"prot\"; did you mean \"port\"?");
  CHECK(table.finish());
}

TEST_CASE("the first unknown key of the file is named, not the first by name") {
  auto table = open("zebra = 1\nalpha = 2\n");

  CHECK(complaint(table.finish()) == "x.toml:1:1: unknown key \"zebra\"");
}

TEST_CASE("text that is not TOML is named with its place") {
  const char* const texts[] = {"a = \n", "a = 1\na = 2\n", "[t\n", "a = \"\xff\"\n"};

  for (const char* text : texts) {
    const auto table = TomlTable::parse(text, "x.toml");
    INFO(text);
    CHECK(complaint(table).substr(0, 7) == "x.toml:");
  }
}

TEST_CASE("spans and sizes that do not fit are refused") {
  auto table = open("a = \"9223372036854775807d\"\nb = \"99999999999TiB\"\nc = -1\nd = \"-5s\"\n");

  complaint(table.duration("a"));
  complaint(table.size("b"));
  complaint(table.size("c"));
  complaint(table.duration("d"));
}

TEST_CASE("the nearest name is a typo away at most") {
  const std::vector<std::string> names{"api.requests", "unit", "kind"};

  CHECK(nearest_name("api.request", names) == "api.requests");
  CHECK(nearest_name("units", names) == "unit");
  CHECK(nearest_name("uint", names) == "unit");
  CHECK(nearest_name("storage", names) == std::nullopt);
  CHECK(nearest_name(std::string(5000, 'a'), names) == std::nullopt);
  CHECK(nearest_name("unit", {}) == std::nullopt);
}

}  // namespace
}  // namespace ledgerline

TEST_CASE("a stray character outside quotes is an error at its place and nothing worse") {
  for (const char* text : {"\xca\xb3\n", "a = 1\n\xca\xb3 = 2\n", "\xe2\x80\xab",
                           "\xe1\x9a\x80x = 1", "\t\t[=", "[["}) {
    const auto parsed = ledgerline::TomlTable::parse(text, "x.toml");
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().message().find("x.toml:") == 0);
  }
}
