#include "agent/core/prometheus_scrape.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

const std::vector<MeterRow> kMeters = {
    {.number = 1, .name = "requests", .unit = "1", .kind = MeterKind::register_},
    {.number = 2, .name = "cpu", .unit = "s", .scale = 3, .kind = MeterKind::register_},
    {.number = 3, .name = "temperature", .unit = "Cel", .scale = 1, .kind = MeterKind::gauge},
};

std::vector<PrometheusRule> rules() {
  return {
      {.name = "http_requests_total",
       .where = {{"code", "200"}},
       .ignore = {"instance"},
       .meter = "requests",
       .series = {.subject = TextOrLabel{.label = "client", .text = ""},
                  .dimensions = {{"method", {.label = "method", .text = ""}}}}},
      {.name = "cpu_seconds_total", .where = {}, .ignore = {}, .meter = "cpu", .series = {}},
      {.name = "temperature", .where = {}, .ignore = {}, .meter = "temperature", .series = {}},
  };
}

Scrape read(const std::string& text) { return PrometheusReader(rules(), kMeters).read(text, {77}); }

TEST_CASE("a scrape becomes readings of registers and gauges") {
  const Scrape scrape = read(
      "# HELP http_requests_total All.\n# TYPE http_requests_total counter\n"
      "http_requests_total{client=\"aqua\",code=\"200\",method=\"get\",instance=\"i\"} 5 99\n"
      "http_requests_total{client=\"aqua\",code=\"500\",method=\"get\"} 7\n"
      "cpu_seconds_total 1.23456e1\r\n\n# TYPE temperature gauge\ntemperature -3.25\n"
      "other 1\n");

  CHECK(scrape.bad == 0);
  CHECK(scrape.samples == 5);
  CHECK(scrape.unmapped == 2);
  REQUIRE(scrape.items.size() == 3);
  const Reading& requests = scrape.items[0].reading;
  CHECK(requests.subject == "aqua");
  CHECK(requests.dimensions == DimensionSet{{"method", "get"}});
  CHECK(requests.register_value == 5);
  CHECK(requests.time_ms == 77);
  CHECK(requests.monotonic_time);
  CHECK(scrape.items[1].reading.register_value == 12345);
  CHECK(scrape.items[2].reading.value == -32);
}

TEST_CASE("a mapped sample that is no good is counted with its reason, and the others stay") {
  struct Case {
    const char* line;
    const char* words;
  };
  const Case cases[] = {
      {"cpu_seconds_total NaN", "\"NaN\""},
      {"cpu_seconds_total +Inf", "\"+Inf\""},
      {"cpu_seconds_total -1", "negative"},
      {"cpu_seconds_total{core=\"1\"} 1", "\"core\" is not mapped"},
      {"http_requests_total{code=\"200\"} 1", "no \"client\""},
      {"http_requests_total{client=\"a\",client=\"b\",code=\"200\"} 1", "stands twice"},
      {"# TYPE cpu_seconds_total gauge\ncpu_seconds_total 1", "it is a gauge"},
      {"# TYPE temperature counter", "it is a counter"},
      {"cpu_seconds_total", "no value"},
      {"# TYPE x y", "a TYPE line"},
  };
  for (const Case& c : cases) {
    INFO(c.line);
    const Scrape scrape = read(std::string(c.line) + "\ntemperature 1\n");
    REQUIRE(scrape.bad == 1);
    INFO(scrape.newest_bad.entries().back().reason);
    CHECK(scrape.newest_bad.entries().back().reason.find(c.words) != std::string::npos);
    CHECK(scrape.items.size() == (std::string_view(c.words) == "it is a counter" ? 0 : 1));
  }
}

TEST_CASE("two samples of one series are both left out: their difference would be made up") {
  const Scrape scrape = read(
      "http_requests_total{client=\"a\",code=\"200\",instance=\"x\"} 1\n"
      "http_requests_total{client=\"b\",code=\"200\",instance=\"x\"} 2\n"
      "http_requests_total{client=\"a\",code=\"200\",instance=\"y\"} 3\n");

  REQUIRE(scrape.items.size() == 1);
  CHECK(scrape.items[0].reading.subject == "b");
  CHECK(scrape.bad == 2);
}

TEST_CASE("a scrape is bounded in series") {
  std::string text;
  for (int i = 0; i < 10'001; ++i)
    text += "http_requests_total{code=\"200\",client=\"" + std::to_string(i) + "\"} 1\n";
  const Scrape scrape = read(text);

  CHECK(scrape.items.size() == Scrape::kItemsMax);
  CHECK(scrape.bad == 1);
}

}  // namespace
}  // namespace ledgerline::agent
