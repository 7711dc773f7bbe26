// What one commercial step may cost.
#include "collector/fold/commerce_runner.h"
#include "collector/store/keys.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

/// Contracts "c1" ... "c<count>", each of the subject of its name.
std::string many_contracts(int count, const std::string& period) {
  std::string out = commercial(period) + link("aqua", kFrom);
  for (int i = 1; i <= count; ++i) {
    const std::string name = "c" + std::to_string(i);
    out += "[[contract]]\nname = \"" + name +
           "\"\naccount = \"aqua\"\nconnector = \"tryton\"\ncurrency = \"EUR\"\n"
           "time_zone = \"Europe/Brussels\"\nanchor = \"2026-01-05T10:00:00Z\"\nperiod = \"" +
           period + "\"\ngrace = \"10s\"\n  [[contract.subscription]]\n  name = \"" + name +
           "-api\"\n  rate_card = \"standard\"\n[[link]]\ndevice = \"app-1\"\nsubject = \"" + name +
           "\"\nsubscription = \"" + name + "-api\"\nfrom = \"" + kFrom + "\"\n";
  }
  return out;
}

TEST_CASE("one step closes a few periods, and the next ones go on with the contracts after them") {
  CommerceWorld world(many_contracts(20, "PT1H"), {.zone_database = "test", .work_max = 4});
  world.heartbeat("2026-01-05T11:00:00Z");

  size_t closed = 0;
  int steps = 0;
  for (bool more = true; more; ++steps) {
    REQUIRE(steps < 100);
    const auto report = world.runner().step(at("2026-01-05T11:00:20Z"));
    REQUIRE(report);
    CHECK(report->periods_closed <= 8);
    closed += report->periods_closed;
    more = report->more;
  }

  CHECK(steps > 3);
  CHECK(closed == 21);
}

TEST_CASE("a contract with many periods to close keeps no other one waiting") {
  CommerceWorld world(many_contracts(3, "PT1M"),
                      {.zone_database = "test", .work_max = 2, .periods_max = 2, .audits_max = 2});
  std::vector<Sample> samples;
  std::vector<std::string> times;
  for (int minute = 0; minute < 40; ++minute) {
    times.push_back("2026-01-05T10:" + std::string(minute < 10 ? "0" : "") +
                    std::to_string(minute) + ":30Z");
  }
  for (const std::string& time : times) samples.push_back({"aqua", time, 1});
  samples.push_back({"c3", "2026-01-05T10:00:30Z", 1});
  world.record(samples);
  world.heartbeat("2026-01-05T10:41:00Z");

  std::vector<std::string> order;
  for (bool more = true; more;) {
    const auto report = world.runner().step(at("2026-01-05T10:41:30Z"));
    REQUIRE(report);
    for (const DocumentRow& document : report->documents) order.push_back(document.contract);
    more = report->more;
  }

  REQUIRE(order.size() == 41);
  const auto other = std::find(order.begin(), order.end(), "c3");
  CHECK(other - order.begin() < 5);
}

TEST_CASE("contracts that wait are all reported, and are not looked at again in the same second") {
  CommerceWorld world(many_contracts(9, "PT1H"), {.zone_database = "test", .work_max = 2});

  CHECK(world.step("2026-01-05T11:00:20Z").held.size() == 10);
  const uint64_t before = entries_read(world.database());
  CHECK(world.step("2026-01-05T11:00:20.500Z").held.size() == 10);

  CHECK(entries_read(world.database()) - before < 10);
}

TEST_CASE("late usage of many series of a closed period compares that period once") {
  constexpr int kSubjects = 40;
  CommerceWorld world(commercial("PT1H") + link("*", kFrom));
  std::vector<Sample> early;
  std::vector<Sample> late;
  for (int i = 0; i < kSubjects; ++i) {
    early.push_back({"s" + std::to_string(i), "2026-01-05T10:10:00Z", 1});
    late.push_back({"s" + std::to_string(i), "2026-01-05T10:20:00Z", 2});
  }
  world.record(early);
  world.heartbeat("2026-01-05T11:00:00Z");
  world.step("2026-01-05T11:00:20Z");
  world.record(late);

  const uint64_t before = entries_read(world.database());
  CHECK(world.step("2026-01-05T11:00:21Z").touches_settled == kSubjects);

  CHECK(entries_read(world.database()) - before < 20 * kSubjects);
  const auto rows = world.store().list_exceptions({});
  REQUIRE(rows->size() == 1);
  CHECK(rows->at(0).count == kSubjects);
  CHECK(rows->at(0).value.text() == "80");
}

class TwoContracts : public CommerceWorld {
 public:
  /// "aqua-2026" and "c1" have closed one period with one series each.
  TwoContracts() : CommerceWorld(many_contracts(1, "PT1H")) {
    record({{"aqua", "2026-01-05T10:10:00Z", 1}, {"c1", "2026-01-05T10:10:00Z", 2}});
    heartbeat("2026-01-05T11:00:00Z");
    CHECK(step("2026-01-05T11:00:20Z").documents.size() == 2);
  }

  void damage(Table table) { REQUIRE(flip_bit(database(), static_cast<uint8_t>(table), 0, 77)); }

  /// Late usage for both, and the end of their next period.
  CommerceReport go_on() {
    record({{"aqua", "2026-01-05T10:40:00Z", 10},
            {"c1", "2026-01-05T10:40:00Z", 20},
            {"aqua", "2026-01-05T11:10:00Z", 3},
            {"c1", "2026-01-05T11:10:00Z", 4}});
    heartbeat("2026-01-05T12:00:00Z");
    return step("2026-01-05T12:00:20Z");
  }
};

TEST_CASE("late usage that cannot be compared is an exception, and all else goes on") {
  TwoContracts world;
  world.damage(Table::usage);

  const CommerceReport report = world.go_on();

  CHECK(report.documents.size() == 2);
  CHECK(world.open_exceptions() == std::vector<std::string>{"late  1 0", "late c1 1 20"});
  CHECK(world.store().touched_usage()->empty());
}

TEST_CASE("a closed period that cannot be read stops its own contract only") {
  TwoContracts world;
  world.damage(Table::period);

  const CommerceReport report = world.go_on();

  REQUIRE(report.documents.size() == 1);
  CHECK(report.documents[0].contract == "c1");
  CHECK(world.open_exceptions() == std::vector<std::string>{"late  1 0", "late c1 1 20"});
  CHECK(world.store().touched_usage()->empty());
}

TEST_CASE("a change of the catalog passes a closed period that cannot be compared") {
  TwoContracts world;
  world.damage(Table::usage);

  world.reload(many_contracts(1, "PT1H") + link("bolt", kFrom));
  world.step("2026-01-05T11:00:21Z");
  CHECK(world.open_exceptions() == std::vector<std::string>{"late  1 0"});

  world.damage(Table::usage);  // the same bit again: it is whole
  world.restart(many_contracts(1, "PT1H"));
  world.step("2026-01-05T11:00:22Z");
  CHECK(world.open_exceptions().empty());
}

TEST_CASE("unmapped usage that cannot be read hides no other") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"bolt", "2026-01-05T10:10:00Z", 1}, {"zinc", "2026-01-05T10:10:00Z", 2}});
  REQUIRE(flip_bit(world.database(), static_cast<uint8_t>(Table::usage), 0, 77));

  world.step("2026-01-05T10:20:00Z");

  CHECK(world.open_exceptions() ==
        std::vector<std::string>{"unmapped_subject bolt 0 0", "unmapped_subject zinc 1 2"});
}

TEST_CASE("a look for usage that cannot be counted reads the series that changed, not all") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom),
                      {.zone_database = "test", .series_max = 50});
  std::vector<Sample> samples;
  for (int i = 0; i < 300; ++i)
    samples.push_back({"s" + std::to_string(i), "2026-01-05T10:10:00Z", 1});
  world.record(samples);
  world.step("2026-01-05T10:20:00Z");
  REQUIRE(world.open_exceptions().size() == 300);
  world.record({{"s7", "2026-01-05T10:30:00Z", 2}, {"new", "2026-01-05T10:30:00Z", 4}});

  const uint64_t before = entries_read(world.database());
  CHECK(world.step("2026-01-05T10:40:00Z").exceptions_written > 0);

  CHECK(entries_read(world.database()) - before < 100);
  const auto open = world.open_exceptions();
  CHECK(open.size() == 301);
  CHECK(std::count(open.begin(), open.end(), "unmapped_subject s7 2 3") == 1);
  CHECK(std::count(open.begin(), open.end(), "unmapped_subject new 1 4") == 1);
}

TEST_CASE("a look that is not told what changed is at all series") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  CommerceRunner other(world.store(), world.collector(), CommerceWorld::read(commercial("PT1H") + link("aqua", kFrom)),
                       {.zone_database = "test"});
  world.record({{"bolt", "2026-01-05T10:10:00Z", 1}});
  REQUIRE(other.step(at("2026-01-05T10:20:00Z")));
  world.record({{"bolt", "2026-01-05T10:30:00Z", 2}});
  REQUIRE(other.step(at("2026-01-05T10:40:00Z")));

  CHECK(world.open_exceptions() == std::vector<std::string>{"unmapped_subject bolt 2 3"});
}

}  // namespace
}  // namespace ledgerline::collector
