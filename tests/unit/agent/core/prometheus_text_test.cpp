#include "agent/core/prometheus_text.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

TEST_CASE("samples are read with their labels and escapes") {
  struct Case {
    const char* line;
    const char* name;
    Labels labels;
    const char* value;
  };
  const Case cases[] = {
      {"up 1", "up", {}, "1"},
      {"a:b_c9{} 1e3", "a:b_c9", {}, "1e3"},
      {"x{code=\"200\",method=\"get\"} 5 1395066363000",
       "x",
       {{"code", "200"}, {"method", "get"}},
       "5"},
      {"x { a = \"1\" , } \t7", "x", {{"a", "1"}}, "7"},
      {R"(x{p="C:\\D\"q\"\n",e="}"} NaN)", "x", {{"p", "C:\\D\"q\"\n"}, {"e", "}"}}, "NaN"},
      {"x -1 -5", "x", {}, "-1"},
  };
  for (const Case& c : cases) {
    INFO(c.line);
    const auto sample = parse_prometheus_sample(c.line);
    REQUIRE(sample);
    CHECK(sample->name == c.name);
    CHECK(sample->labels == c.labels);
    CHECK(sample->value == c.value);
  }
}

TEST_CASE("what is no sample is refused with a reason") {
  struct Case {
    std::string line;
    const char* words;
  };
  const Case cases[] = {
      {"9up 1", "a name has"},
      {"up", "no value"},
      {"up{", "a name has"},
      {"up{a} 1", "no \"=\""},
      {"up{a=1} 1", "no quotes"},
      {"up{a=\"1} 1", "no closing quote"},
      {"up{a=\"1\\", "no closing quote"},
      {"up{a=\"\\t\"} 1", "an escape"},
      {"up{a=\"1\" b=\"2\"} 1", "no closing brace"},
      {"up 1 soon", "timestamp"},
      {"up 1 2 3", "behind its timestamp"},
      {"up{a=\"\xff\"} 1", "UTF-8"},
      {"up{a=\"" + std::string(4097, 'v') + "\"} 1", "4096"},
      {std::string(257, 'n') + " 1", "a name has"},
  };
  for (const Case& c : cases) {
    INFO(c.line);
    const auto sample = parse_prometheus_sample(c.line);
    REQUIRE_FALSE(sample);
    INFO(sample.error().message());
    CHECK(sample.error().message().find(c.words) != std::string::npos);
  }
}

TEST_CASE("values are exact steps of the meter's scale, cut for counters, rounded for levels") {
  struct Case {
    const char* text;
    int scale;
    int64_t cut;
    int64_t rounded;
  };
  const Case cases[] = {
      {"0", 3, 0, 0},
      {"12", 0, 12, 12},
      {"+12.5", 0, 12, 12},
      {"13.5", 0, 13, 14},
      {"13.50001", 0, 13, 14},
      {"0.5", 0, 0, 0},
      {"0.51", 0, 0, 1},
      {"1.5e3", 0, 1500, 1500},
      {"1.234567e+06", 2, 123456700, 123456700},
      {"9.007199254740993e15", 0, 9007199254740993, 9007199254740993},
      {"5e-05", 3, 0, 0},
      {"5.1e-04", 3, 0, 1},
      {"-2.75", 1, -27, -28},
      {"0.30000000000000004", 6, 300000, 300000},
      {"9223372036854775807", 0, 9223372036854775807, 9223372036854775807},
      {"1e-400", 18, 0, 0},
      {".5", 1, 5, 5},
      {"5.", 1, 50, 50},
  };
  for (const Case& c : cases) {
    INFO(c.text << " at " << c.scale);
    REQUIRE(cut_value(c.text, c.scale));
    CHECK(*cut_value(c.text, c.scale) == c.cut);
    CHECK(*rounded_value(c.text, c.scale) == c.rounded);
  }
  for (const char* none : {"NaN", "+Inf", "-Inf", "Inf", "", ".", "-", "1,5", "0x1p3", "1e",
                           "1e5.5", "1e401", "9223372036854775808", "1e19", "1_000"}) {
    INFO(none);
    CHECK_FALSE(cut_value(none, 0));
    CHECK_FALSE(rounded_value(none, 0));
  }
}

TEST_CASE("a sample has the type that its family declared") {
  PrometheusTypes types;
  CHECK(types.read("# HELP hits How many."));
  CHECK(types.read("# just a comment"));
  CHECK(types.read("#"));
  CHECK(types.read("# TYPE hits counter"));
  CHECK(types.read("# TYPE temp gauge"));
  CHECK(types.read("# TYPE lat histogram"));
  CHECK(types.read("#  TYPE  rpc \t summary"));
  CHECK_FALSE(types.read("# TYPE hits"));
  CHECK_FALSE(types.read("# TYPE hits countess"));

  CHECK(types.of("hits") == PrometheusType::counter);
  CHECK(types.of("temp") == PrometheusType::gauge);
  CHECK(types.of("lat_bucket") == PrometheusType::counter);
  CHECK(types.of("lat_sum") == PrometheusType::counter);
  CHECK(types.of("rpc") == PrometheusType::gauge);
  CHECK(types.of("rpc_count") == PrometheusType::counter);
  CHECK(types.of("rpc_bucket") == PrometheusType::untyped);
  CHECK(types.of("other") == PrometheusType::untyped);
}

}  // namespace
}  // namespace ledgerline::agent
