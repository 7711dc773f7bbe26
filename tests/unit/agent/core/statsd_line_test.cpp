#include "agent/core/statsd_line.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

TEST_CASE("a statsd line is read as it was written") {
  const auto line = parse_statsd_line("api.calls:3|c|@0.1|#client:aqua,zone:eu:west,beta");

  REQUIRE(line);
  CHECK(line->name == "api.calls");
  CHECK(line->values == std::vector<std::string_view>{"3"});
  CHECK(line->type == StatsdType::counter);
  CHECK(line->rate == "0.1");
  CHECK(line->tags == Labels{{"client", "aqua"}, {"zone", "eu:west"}, {"beta", ""}});
}

TEST_CASE("every type, packed values, and parts that tell where a line came from") {
  struct Case {
    const char* text;
    StatsdType type;
    size_t values;
  };
  const Case cases[] = {
      {"a:1|c", StatsdType::counter, 1},
      {"a:-1.5|g", StatsdType::gauge, 1},
      {"a:+1|g", StatsdType::gauge, 1},
      {"a:1:2:3|ms", StatsdType::timer, 3},
      {"a:1|h", StatsdType::timer, 1},
      {"a:1|d|#x:y", StatsdType::timer, 1},
      {"a:bob:eve|s", StatsdType::set, 2},
      {"a:1|c|#|@1", StatsdType::counter, 1},
      {"a:1|c|c:in-4711", StatsdType::counter, 1},
      {"a:1|c|#x:y|e:it-false", StatsdType::counter, 1},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    const auto line = parse_statsd_line(c.text);
    REQUIRE(line);
    CHECK(line->type == c.type);
    CHECK(line->values.size() == c.values);
  }
}

TEST_CASE("what is no statsd line is refused with a reason") {
  struct Case {
    std::string text;
    const char* words;
  };
  std::string tags;
  for (int i = 0; i < 65; ++i) tags += "a,";
  std::string values;
  for (int i = 0; i < 1025; ++i) values += ":1";
  const Case cases[] = {
      {"hello", "no \"|\""},
      {"a|c", "no \":\""},
      {":1|c", "its name"},
      {std::string(257, 'n') + ":1|c", "its name"},
      {"a\tb:1|c", "its name"},
      {"a:|c", "a value is empty"},
      {"a:1::2|c", "a value is empty"},
      {"a:1|", "its type is \"\""},
      {"a:1|kv", "its type is \"kv\""},
      {"a:1|c|@", "sample rate"},
      {"a:1|c|@1|@1", "sample rate"},
      {"a:1|c|T1656581400", "\"T1656581400\""},
      {"a:1|c|0.1", "\"0.1\""},
      {"a:1|c|#" + tags, "64 tags"},
      {"a" + values + "|c", "1024 values"},
      {"_e{5,4}:title|text", "an event"},
      {"a\xff:1|c", "not UTF-8"},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    const auto line = parse_statsd_line(c.text);
    REQUIRE_FALSE(line);
    INFO(line.error().message());
    CHECK(line.error().message().find(c.words) != std::string::npos);
  }
}

}  // namespace
}  // namespace ledgerline::agent
