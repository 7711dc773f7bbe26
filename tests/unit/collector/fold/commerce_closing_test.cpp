// Exceptions of the commercial step close when what they are about is gone, whoever took it away.
#include "collector/store/keys.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

using Open = std::vector<std::string>;

std::string second_device(const std::string& until = "") {
  return "\n[[link]]\ndevice = \"app-2\"\nsubject = \"*\"\nsubscription = \"aqua-api\"\nfrom = \"" +
         kFrom + "\"\n" + (until.empty() ? "" : "until = \"" + until + "\"\n");
}

TEST_CASE("a link that made usage late and is taken back leaves nothing late") {
  const std::string before = commercial("PT1H") + link("aqua", kFrom);
  CommerceWorld world(before);
  world.record({{"bolt", "2026-01-05T10:10:00Z", 30}});
  world.heartbeat("2026-01-05T11:00:00Z");
  world.step("2026-01-05T11:00:20Z");
  world.reload(before + link("bolt", kFrom));
  world.step("2026-01-05T11:01:00Z");
  REQUIRE(world.open_exceptions() == Open{"late  1 30"});

  SECTION("while the collector runs") { world.reload(before); }
  SECTION("while it was stopped") { world.restart(before); }
  world.step("2026-01-05T11:02:00Z");

  CHECK(world.open_exceptions() == Open{"unmapped_subject bolt 1 30"});
}

TEST_CASE("late usage stays an exception while its period cannot be compared") {
  const std::string before = commercial("PT1H") + link("aqua", kFrom);
  CommerceWorld world(before);
  world.record({{"bolt", "2026-01-05T10:10:00Z", 30}});
  world.heartbeat("2026-01-05T11:00:00Z");
  world.step("2026-01-05T11:00:20Z");
  world.reload(before + link("bolt", kFrom));
  world.step("2026-01-05T11:01:00Z");

  REQUIRE(flip_bit(world.database(), static_cast<uint8_t>(Table::usage), 0, 77));
  world.restart(before + link("bolt", kFrom));
  world.step("2026-01-05T11:02:00Z");

  CHECK(world.open_exceptions() == Open{"late  1 0", "late  1 30"});
}

TEST_CASE("one of many empty periods that could not be compared is said to be so until it can") {
  const std::string catalog = commercial("PT15M") + link("aqua", kFrom);
  CommerceWorld world(catalog);
  world.heartbeat("2026-01-05T12:00:00Z");
  world.step("2026-01-05T12:01:00Z");
  world.record({{"aqua", "2026-01-05T11:07:30Z", 7}});
  REQUIRE(flip_bit(world.database(), static_cast<uint8_t>(Table::usage), 0, 77));
  world.step("2026-01-05T12:02:00Z");
  REQUIRE(world.open_exceptions() == Open{"late  1 0"});

  REQUIRE(flip_bit(world.database(), static_cast<uint8_t>(Table::usage), 0, 77));  // whole again
  world.restart(catalog);
  world.step("2026-01-05T12:03:00Z");

  CHECK(world.open_exceptions() == Open{"late  1 7"});
}

TEST_CASE("a silent device's exception closes when its link is ended") {
  const std::string catalog = commercial("PT1H") + link("aqua", kFrom);
  CommerceWorld world(catalog + second_device());
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}});
  world.heartbeat("2026-01-05T12:00:10Z");
  world.step("2026-01-05T12:00:10Z");
  REQUIRE(world.open_exceptions() == Open{"silent_device  1 0"});

  world.reload(catalog + second_device("2026-01-05T10:00:00Z"));
  const CommerceReport report = world.step("2026-01-05T12:00:20Z");

  REQUIRE(report.documents.size() == 1);
  CHECK(report.documents[0].total.text() == "1.00");
  CHECK(world.open_exceptions().empty());
}

TEST_CASE("a device that reports again is not silent while its contract waits for another") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom) + second_device());
  world.step("2026-01-05T12:00:10Z");
  REQUIRE(world.open_exceptions() == Open{"silent_device  1 0", "silent_device  1 0"});

  world.heartbeat("2026-01-05T12:00:20Z");
  world.step("2026-01-05T12:00:30Z");

  const auto open = world.store().list_exceptions({}).value();
  REQUIRE(open.size() == 1);
  CHECK(open[0].device == "app-2");
}

TEST_CASE("what held a period open closes where the catalog gives the period more time") {
  const std::string catalog = commercial("PT1H") + link("aqua", kFrom);
  CommerceWorld world(catalog);
  world.record({{"aqua", "2026-01-05T10:10:00Z", -4, 2}});
  world.heartbeat("2026-01-05T11:00:00Z");
  world.step("2026-01-05T11:00:20Z");
  REQUIRE(world.open_exceptions() == Open{"not_rated  1 0"});

  std::string patient = catalog;
  const std::string grace = "grace = \"10s\"";
  patient.replace(patient.find(grace), grace.size(), "grace = \"10h\"");
  world.reload(patient);
  world.step("2026-01-05T11:01:00Z");

  CHECK(world.open_exceptions().empty());
}

}  // namespace
}  // namespace ledgerline::collector
