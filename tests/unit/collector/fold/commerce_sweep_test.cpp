// Looking at very many series for usage that cannot be counted.
#include "collector/fold/commerce_runner.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

constexpr int kSeries = 300;

/// "s0" ... "s299", all with usage of one batch.
class ManySeries : public CommerceWorld {
 public:
  ManySeries(const std::string& catalog, CommerceOptions options)
      : CommerceWorld(catalog, std::move(options)) {
    std::vector<Sample> samples;
    for (int i = 0; i < kSeries; ++i)
      samples.push_back({"s" + std::to_string(i), "2026-01-05T10:11:00Z", 1});
    record(samples);
  }
};

std::string all_mapped() { return commercial("PT1H") + link("*", kFrom); }

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
