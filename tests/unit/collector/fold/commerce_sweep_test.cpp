// Looking at very many series for usage that cannot be counted.
#include "collector/fold/commerce_runner.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

constexpr int kSeries = 300;

/// "s0" ... "s299", of which one look takes 10.
class ManySeries : public CommerceWorld {
 public:
  explicit ManySeries(const std::string& catalog, CommerceOptions options = few())
      : CommerceWorld(catalog, std::move(options)) {
    std::vector<Sample> samples;
    for (int i = 0; i < kSeries; ++i)
      samples.push_back({"s" + std::to_string(i), "2026-01-05T10:11:00Z", 1});
    record(samples);
  }

  static CommerceOptions few() { return {.zone_database = "test", .series_max = 10}; }

  CommerceReport one_step() {
    auto report = runner().step(at("2026-01-05T10:30:00Z"));
    REQUIRE(report);
    return *report;
  }
};

std::string all_mapped() { return commercial("PT1H") + link("*", kFrom); }
std::string none_mapped() { return commercial("PT1H") + link("nobody", kFrom); }
/// The same to every series, and another one to the collector.
std::string touched(const std::string& catalog, int n) {
  return catalog + link("touch" + std::to_string(n), kFrom);
}
const std::string kUnknown =
    "[[meter]]\nname = \"api.request\"\nunit = \"1\"\nkind = \"delta\"\naggregation = \"sum\"\n";

TEST_CASE("what a new catalog mends is closed at once, however many series come before it") {
  ManySeries world(all_mapped());
  world.record({{"s0", "2026-01-05T10:12:00Z", 3, 3}});
  world.step("2026-01-05T10:20:00Z");
  REQUIRE(world.open_exceptions() == std::vector<std::string>{"unknown_meter s0 1 3"});

  for (int i = 0; i < 3; ++i) {
    world.reload(touched(all_mapped(), i));
    world.one_step();
  }
  CHECK(world.open_exceptions().size() == 1);
  world.reload(kUnknown + all_mapped());
  world.one_step();

  CHECK(world.open_exceptions().empty());
}

TEST_CASE("catalogs that follow each other sooner than a look ends leave no series out") {
  ManySeries world(all_mapped());
  world.step("2026-01-05T10:20:00Z");
  REQUIRE(world.open_exceptions().empty());

  for (int i = 0; i < 2 * kSeries / 10 + 5; ++i) {
    world.reload(touched(none_mapped(), i));
    world.one_step();
  }
  CHECK(world.open_exceptions().size() == kSeries);

  for (int i = 0; i < 2 * kSeries / 10 + 5; ++i) {
    world.reload(touched(all_mapped(), i));
    world.one_step();
  }
  CHECK(world.open_exceptions().empty());
}

TEST_CASE("a look at series of which nothing is open and all is counted writes nothing") {
  ManySeries world(all_mapped());

  CHECK(world.step("2026-01-05T10:20:00Z").exceptions_written == 0);
  world.reload(touched(all_mapped(), 1));
  CHECK(world.step("2026-01-05T10:21:00Z").exceptions_written == 0);
}

TEST_CASE("a look writes only what opens, changes or closes") {
  ManySeries world(none_mapped());
  CHECK(world.step("2026-01-05T10:20:00Z").exceptions_written == kSeries);

  world.reload(touched(none_mapped(), 1));
  CHECK(world.step("2026-01-05T10:21:00Z").exceptions_written == kSeries);
  CHECK(world.step("2026-01-05T10:22:00Z").exceptions_written == 0);
  world.record({{"s7", "2026-01-05T10:12:00Z", 1}});
  CHECK(world.step("2026-01-05T10:23:00Z").exceptions_written == 1);

  world.reload(none_mapped() + link("s7", "2026-01-05T10:30:00Z"));
  CHECK(world.step("2026-01-05T10:23:10Z").exceptions_written == kSeries);
  world.record({{"s7", "2026-01-05T10:30:00Z", 1}});
  CHECK(world.step("2026-01-05T10:23:20Z").exceptions_written == 0);

  world.reload(all_mapped());
  CHECK(world.step("2026-01-05T10:24:00Z").exceptions_written == kSeries);
  world.record({{"s7", "2026-01-05T10:12:00Z", 1}});
  CHECK(world.step("2026-01-05T10:25:00Z").exceptions_written == 0);
  CHECK(world.open_exceptions().empty());
}

TEST_CASE("a look that begins where the one before was stopped looks at each series once") {
  ManySeries world(all_mapped());
  for (int i = 0; i < 20; ++i) world.one_step();

  world.reload(touched(all_mapped(), 1));
  int steps = 1;
  while (world.one_step().more) ++steps;

  CHECK(steps <= kSeries / 10 + 2);
}

TEST_CASE("a look at many series that share a batch reads it once for all of a step") {
  std::string catalog = all_mapped();
  const std::string anchor = "2026-01-05T10:00:00Z";
  catalog.replace(catalog.find(anchor), anchor.size(), "2026-01-05T10:10:00Z");
  ManySeries world(catalog, {.zone_database = "test", .series_max = 100});

  const uint64_t before = entries_read(world.database());
  world.step("2026-01-05T10:20:00Z");

  CHECK(entries_read(world.database()) - before < 8 * kSeries);
  CHECK(world.open_exceptions().empty());
}

TEST_CASE("more open exceptions than are remembered close all the same") {
  CommerceOptions options = ManySeries::few();
  options.open_max = 7;
  ManySeries world(none_mapped(), options);
  world.step("2026-01-05T10:20:00Z");
  REQUIRE(world.open_exceptions().size() == kSeries);

  world.restart(all_mapped());
  world.step("2026-01-05T10:21:00Z");

  CHECK(world.open_exceptions().empty());
}

TEST_CASE("an exception that closed opens again with its cause, and closes again") {
  ManySeries world(all_mapped());
  for (int i = 0; i < 2; ++i) {
    world.reload(none_mapped());
    world.step("2026-01-05T10:20:00Z");
    CHECK(world.open_exceptions().size() == kSeries);
    world.reload(all_mapped());
    world.step("2026-01-05T10:21:00Z");
    CHECK(world.open_exceptions().empty());
  }
}

TEST_CASE("an unknown meter that the catalog then calls diagnostic is no exception any more") {
  CommerceWorld world(all_mapped());
  world.record({{"s0", "2026-01-05T10:12:00Z", 3, 3}});
  world.step("2026-01-05T10:20:00Z");
  REQUIRE(world.open_exceptions() == std::vector<std::string>{"unknown_meter s0 1 3"});

  world.reload(all_mapped() +
               "[[meter]]\nname = \"api.request\"\nunit = \"1\"\nkind = \"delta\"\n"
               "aggregation = \"sum\"\nclass = \"diagnostic\"\n");
  world.step("2026-01-05T10:21:00Z");

  CHECK(world.open_exceptions().empty());
}

}  // namespace
}  // namespace ledgerline::collector
