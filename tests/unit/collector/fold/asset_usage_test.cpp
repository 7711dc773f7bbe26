#include "collector/fold/asset_usage.h"

#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

const std::string kAssets = R"(
[[asset]]
name = "pump-1"
model = "P"
[[asset]]
name = "pump-2"
model = "P"
[[maintenance]]
name = "busy"
model = "P"
connector = "tryton"
step = "30m"
  [[maintenance.when]]
  meter = "api.requests"
  value = "sum"
  window = "1h"
  above = "100"
)";

std::string asset_link(const std::string& subject, const std::string& asset,
                       const std::string& from, const std::string& until = "") {
  return "\n[[link]]\ndevice = \"app-1\"\nsubject = \"" + subject + "\"\nasset = \"" + asset +
         "\"\nfrom = \"" + from + "\"\n" + (until.empty() ? "" : "until = \"" + until + "\"\n");
}

std::string shown(const Samples& samples) {
  std::string out = std::to_string(samples.scale) + ":";
  const int64_t midnight = at("2026-01-05T00:00:00Z").unix_ms() / 1'800'000;
  for (const StepSample& sample : samples.samples) {
    out += " " + std::to_string(sample.step - midnight) + "=" +
           Decimal(sample.value.sum, samples.scale).text();
  }
  return out;
}

TEST_CASE("an asset has the usage that links tie to it, by the steps of the rule") {
  const std::string catalog =
      kMeters + kAssets + asset_link("a", "pump-1", "2026-01-01T00:00:00Z") +
      asset_link("b", "pump-1", "2026-01-01T00:00:00Z", "2026-01-05T02:00:00Z") +
      asset_link("b", "pump-2", "2026-01-05T02:00:00Z");
  CommerceWorld world(catalog);
  world.record({{"a", "2026-01-05T00:05:00Z", 1},
                {"a", "2026-01-05T00:20:00Z", 2},
                {"b", "2026-01-05T00:29:59Z", 4},
                {"b", "2026-01-05T01:59:00Z", 8},
                {"b", "2026-01-05T02:00:00Z", 16},
                {"c", "2026-01-05T02:00:00Z", 32},
                {"a", "2026-01-05T02:00:00Z", 1'000'000'000'000'000'000, 5}});
  const Catalog read = CommerceWorld::read(catalog);
  const Mapping mapping(read);
  const std::string tenant = "demo";
  AssetUsage usage(world.store(), tenant, read, mapping);
  REQUIRE(usage.load());
  const MaintenanceRule& rule = read.rules().at("busy");
  const auto samples = [&](const std::string& asset, std::string_view from,
                           std::string_view until) {
    const auto out =
        usage.samples(rule, asset, QuarterHour::of(at(from)), QuarterHour::of(at(until)));
    return out ? shown((*out)[0]) : out.error().text();
  };

  CHECK(samples("pump-2", "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z") == "0: 4=16");
  CHECK(samples("pump-1", "2026-01-05T00:00:00Z", "2026-01-05T02:00:00Z") ==
        "18: 0=7.000000000000000000 3=8.000000000000000000");
  CHECK(samples("pump-1", "2026-01-05T00:15:00Z", "2026-01-05T02:15:00Z") ==
        "18: 0=6.000000000000000000 3=8.000000000000000000 4=1.000000000000000000");
  CHECK(samples("pump-3", "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z") == "0:");
}

TEST_CASE(
    "a series that cannot be counted belongs to no asset, and one only linked to an asset is "
    "no exception") {
  const std::string catalog = kMeters + kAssets + asset_link("*", "pump-1", "2026-01-01T00:00:00Z");
  CommerceWorld world(catalog);
  world.record({{"a", "2026-01-05T00:05:00Z", 1}, {"a", "2026-01-05T00:05:00Z", 7, 4}});
  world.step("2026-01-05T00:10:00Z");
  const auto exceptions = world.store().list_exceptions({});
  REQUIRE(exceptions);
  REQUIRE(exceptions->size() == 1);
  CHECK((*exceptions)[0].kind == exception_kind::kWrongUnit);
}

TEST_CASE("late usage that is only an asset's concerns no closed period") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom) + kAssets +
                      asset_link("a", "pump-1", kFrom));
  world.record({{"aqua", "2026-01-05T10:01:00Z", 1}});
  world.heartbeat("2026-01-05T11:00:00Z");
  REQUIRE(world.step("2026-01-05T11:00:10Z").periods_closed == 1);

  world.record({{"a", "2026-01-05T10:30:00Z", 7}});

  CHECK(world.step("2026-01-05T11:00:20Z").touches_settled == 1);
  CHECK(world.store().list_exceptions({})->empty());
}

}  // namespace
}  // namespace ledgerline::collector
