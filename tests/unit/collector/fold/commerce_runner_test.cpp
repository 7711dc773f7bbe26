#include "collector/fold/commerce_runner.h"

#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

TEST_CASE("a device whose clock is years ahead closes no period before its end has come") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:00:00Z", 100}});

  world.heartbeat("2036-02-07T06:28:16Z", "2026-01-05T10:59:00Z");
  CHECK(world.step("2026-01-05T11:00:10Z").held.size() == 1);
  world.heartbeat("2036-02-07T06:28:16Z", "2026-01-05T11:00:00Z");
  CHECK(world.step("2026-01-05T11:00:11Z").periods_closed == 1);
}

TEST_CASE(
    "a period closes with a document once the heartbeat covers it and the fold has reached it") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:00:00Z", 100},
                {"aqua", "2026-01-05T10:59:59.999Z", 50},
                {"aqua", "2026-01-05T11:00:00Z", 7}});

  CHECK(world.step("2026-01-05T11:00:09Z").held.empty());
  CHECK(world.step("2026-01-05T11:00:10Z").held.size() == 1);
  world.heartbeat("2026-01-05T10:59:59.999Z");
  CHECK(world.step("2026-01-05T11:00:20Z").periods_closed == 0);
  world.heartbeat("2026-01-05T11:00:00Z");
  const CommerceReport report = world.step("2026-01-05T11:00:21Z");

  REQUIRE(report.documents.size() == 1);
  CHECK(report.documents[0].total.text() == "1.50");
  CHECK(report.documents[0].period_from == at("2026-01-05T10:00:00Z"));
  CHECK(world.store().document(report.documents[0].id)->body == report.documents[0].body);
  const auto deliveries = world.store().list_deliveries({});
  REQUIRE(deliveries->size() == 1);
  CHECK(deliveries->at(0).document == report.documents[0].id);
  CHECK(world.step("2026-01-05T11:00:22Z").documents.empty());
  CHECK(world.open_exceptions().empty());
}

TEST_CASE("a manual contract's document waits, without a delivery") {
  CommerceWorld world(commercial("PT1H", "manual") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:30:00Z", 100}});
  world.heartbeat("2026-01-05T11:00:00Z");

  const CommerceReport report = world.step("2026-01-05T11:00:20Z");

  REQUIRE(report.documents.size() == 1);
  CHECK(report.documents[0].state == DocumentState::waiting_approval);
  CHECK(world.store().list_deliveries({})->empty());
}

TEST_CASE("periods of a minute are cut inside the quarter hour, exactly") {
  CommerceWorld world(commercial("PT1M") + link("*", kFrom));
  world.record({{"a", "2026-01-05T10:00:59.999Z", 1},
                {"a", "2026-01-05T10:01:00.000Z", 10},
                {"b", "2026-01-05T10:01:30Z", 20}});
  world.record({{"a", "2026-01-05T10:01:59.999Z", 40},
                {"a", "2026-01-05T10:02:00Z", 100},
                {"b", "2026-01-05T10:16:00Z", 700}});
  world.heartbeat("2026-01-05T10:17:00Z");

  const CommerceReport report = world.step("2026-01-05T10:17:30Z");

  std::vector<std::string> totals;
  for (const DocumentRow& document : report.documents) {
    totals.push_back(to_rfc3339(document.period_from).substr(11, 5) + " " + document.total.text());
  }
  CHECK(totals == std::vector<std::string>{"10:00 0.01", "10:01 0.70", "10:02 1.00", "10:16 7.00"});
}

TEST_CASE("empty periods close in one row, and the next with usage on its own") {
  CommerceWorld world(commercial("PT1M") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-06T09:31:00Z", 5}});
  world.heartbeat("2026-01-06T09:33:00Z");

  const CommerceReport report = world.step("2026-01-06T09:34:00Z");

  REQUIRE(report.documents.size() == 1);
  CHECK(report.documents[0].period_from == at("2026-01-06T09:31:00Z"));
  CHECK(report.periods_closed < 10);
  CHECK(world.store().newest_period("demo", "aqua-2026")->value().to == at("2026-01-06T09:33:00Z"));
}

TEST_CASE("a link that changes inside a quarter hour divides the usage there") {
  CommerceWorld world(commercial("PT1H") +
                      link("aqua", "2026-01-05T10:07:00Z", "2026-01-05T10:20:00Z"));
  world.record({{"aqua", "2026-01-05T10:06:59.999Z", 1},
                {"aqua", "2026-01-05T10:07:00Z", 10},
                {"aqua", "2026-01-05T10:19:59.999Z", 20},
                {"aqua", "2026-01-05T10:20:00Z", 400}});
  world.heartbeat("2026-01-05T11:00:00Z");

  const CommerceReport report = world.step("2026-01-05T11:00:20Z");

  REQUIRE(report.documents.size() == 1);
  CHECK(report.documents[0].total.text() == "0.30");
  CHECK(world.open_exceptions() == std::vector<std::string>{"unmapped_subject aqua 2 401"});
}

TEST_CASE("unmapped usage is one exception with count and value, and counts once it is mapped") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"bolt", "2026-01-05T10:10:00Z", 30}, {"aqua", "2026-01-05T10:10:00Z", 1}});
  world.step("2026-01-05T10:30:00Z");
  CHECK(world.open_exceptions() == std::vector<std::string>{"unmapped_subject bolt 1 30"});
  world.record({{"bolt", "2026-01-05T10:40:00Z", 12}});
  world.step("2026-01-05T10:41:00Z");
  CHECK(world.open_exceptions() == std::vector<std::string>{"unmapped_subject bolt 2 42"});

  world.reload(commercial("PT1H") + link("aqua", kFrom) + link("bolt", kFrom));
  world.heartbeat("2026-01-05T11:00:00Z");
  const CommerceReport report = world.step("2026-01-05T11:00:20Z");

  CHECK(world.open_exceptions().empty());
  REQUIRE(report.documents.size() == 1);
  CHECK(report.documents[0].total.text() == "0.43");
}

TEST_CASE("an unknown meter and a wrong unit are exceptions until the catalog knows them") {
  CommerceWorld world(commercial("PT1H") + link("*", kFrom));
  world.record({{"aqua", "2026-01-05T10:10:00Z", 3, 3}, {"aqua", "2026-01-05T10:10:00Z", 9, 4}});
  world.step("2026-01-05T10:30:00Z");
  CHECK(world.open_exceptions() ==
        std::vector<std::string>{"unknown_meter aqua 1 3", "wrong_unit aqua 1 9"});

  std::string mended = commercial("PT1H") + link("*", kFrom);
  mended.replace(mended.find("\"By\""), 4, "\"KiBy\"");
  mended +=
      "[[meter]]\nname = \"api.request\"\nunit = \"1\"\nkind = \"delta\"\naggregation = \"sum\"\n";
  world.reload(mended);
  world.step("2026-01-05T10:31:00Z");

  CHECK(world.open_exceptions().empty());
}

TEST_CASE("usage outside its contract's time is unmapped, not forgotten") {
  CommerceWorld world(commercial("PT1H") + link("*", kFrom));
  world.record({{"aqua", "2026-01-05T09:59:59Z", 8}, {"aqua", "2026-01-05T10:00:00Z", 1}});

  world.step("2026-01-05T10:01:00Z");

  CHECK(world.open_exceptions() == std::vector<std::string>{"unmapped_subject aqua 1 8"});
}

TEST_CASE("late usage of a closed period is an exception; the document stays") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}});
  world.heartbeat("2026-01-05T11:00:00Z");
  const auto document = world.step("2026-01-05T11:00:20Z").documents.at(0);

  world.record({{"aqua", "2026-01-05T10:50:00Z", 7}, {"aqua", "2026-01-05T11:10:00Z", 1}});
  const CommerceReport report = world.step("2026-01-05T11:12:00Z");
  CHECK(report.touches_settled == 1);
  CHECK(world.open_exceptions() == std::vector<std::string>{"late aqua 1 7"});
  world.record({{"aqua", "2026-01-05T10:51:00Z", 3}});
  world.step("2026-01-05T11:13:00Z");

  CHECK(world.open_exceptions() == std::vector<std::string>{"late aqua 2 10"});
  CHECK(world.store().document(document.id)->body == document.body);
  CHECK(world.store().touched_usage()->empty());
}

TEST_CASE("late usage on both sides of the contract's beginning is late from there on") {
  std::string catalog = commercial("PT1M") + link("aqua", kFrom);
  const std::string anchor = "2026-01-05T10:00:00Z";
  catalog.replace(catalog.find(anchor), anchor.size(), "2026-01-05T10:05:00Z");
  CommerceWorld world(catalog);
  world.record({{"aqua", "2026-01-05T10:06:30Z", 1}});
  world.heartbeat("2026-01-05T10:10:00Z");
  REQUIRE(world.step("2026-01-05T10:10:10Z").periods_closed > 0);

  world.record({{"aqua", "2026-01-05T10:04:00Z", 100}, {"aqua", "2026-01-05T10:06:00Z", 7}});
  world.step("2026-01-05T10:10:20Z");

  const auto late = world.store().list_exceptions({.kind = std::string(exception_kind::kLate)});
  REQUIRE(late->size() == 1);
  CHECK((*late)[0].value.text() == "7");
}

TEST_CASE("late usage of one of many empty periods names that period") {
  CommerceWorld world(commercial("PT1M") + link("aqua", kFrom));
  world.heartbeat("2026-01-05T12:00:00Z");
  world.step("2026-01-05T12:01:00Z");

  world.record({{"aqua", "2026-01-05T11:07:30Z", 7}});
  world.step("2026-01-05T12:02:00Z");

  const auto rows = world.store().list_exceptions({});
  REQUIRE(rows->size() == 1);
  CHECK(rows->at(0).kind == "late");
  CHECK(rows->at(0).value.text() == "7");
  CHECK(rows->at(0).detail.find("period 2026-01-05T11:07:00.000Z to 2026-01-05T11:08:00.000Z") !=
        std::string::npos);
}

TEST_CASE("a mapping that comes after the close leaves its usage as late, also after a restart") {
  const std::string before = commercial("PT1H") + link("aqua", kFrom);
  const std::string after = before + link("bolt", kFrom);
  CommerceWorld world(before);
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}, {"bolt", "2026-01-05T10:10:00Z", 30}});
  world.heartbeat("2026-01-05T11:00:00Z");
  CHECK(world.step("2026-01-05T11:00:20Z").documents.at(0).total.text() == "1.00");
  CHECK(world.open_exceptions() == std::vector<std::string>{"unmapped_subject bolt 1 30"});

  world.restart(after);
  world.step("2026-01-05T11:01:00Z");
  CHECK(world.open_exceptions() == std::vector<std::string>{"late  1 30"});

  world.reload(before);
  world.step("2026-01-05T11:02:00Z");
  CHECK(world.open_exceptions() == std::vector<std::string>{"unmapped_subject bolt 1 30"});
}

std::string yearly() {
  std::string out = commercial("P1Y");
  const std::string instant = "2026-01-05T10:00:00Z";
  return out.replace(out.find(instant), instant.size(), "2026-01-05");
}

TEST_CASE("a mapping that comes years after the close leaves its usage as late") {
  const std::string before = yearly() + link("aqua", kFrom);
  CommerceWorld world(before);
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}, {"bolt", "2026-01-05T10:10:00Z", 30}});
  world.heartbeat("2030-01-05T10:00:00Z");
  CHECK(world.step("2030-01-06T10:00:00Z").periods_closed >= 1);
  CHECK(world.open_exceptions() == std::vector<std::string>{"unmapped_subject bolt 1 30"});

  world.restart(before + link("bolt", kFrom));
  world.step("2030-01-06T10:00:01Z");

  CHECK(world.open_exceptions() == std::vector<std::string>{"late  1 30"});
}

TEST_CASE("a mapping of the first days of an empty period a year ago leaves its usage as late") {
  const std::string before = yearly() + link("aqua", kFrom);
  CommerceWorld world(before);
  world.record({{"bolt", "2026-01-05T10:10:00Z", 30}});
  world.heartbeat("2027-01-05T10:00:00Z");
  CHECK(world.step("2027-03-01T10:00:00Z").periods_closed == 1);

  world.restart(before + link("bolt", kFrom));
  world.step("2027-03-01T10:00:01Z");

  CHECK(world.open_exceptions() == std::vector<std::string>{"late  1 30"});
}

TEST_CASE("silence is an exception, and no period closes on it") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}});
  CHECK(world.step("2026-01-05T12:00:09Z").held.size() == 1);
  CHECK(world.open_exceptions().empty());

  world.step("2026-01-05T12:00:10Z");
  CHECK(world.open_exceptions() == std::vector<std::string>{"silent_device  1 0"});
  CHECK(world.step("2026-01-05T12:10:00Z").exceptions_written == 0);

  world.heartbeat("2026-01-05T12:00:00Z");
  CHECK(world.step("2026-01-05T12:11:00Z").documents.size() == 1);
  CHECK(world.open_exceptions().empty());
}

TEST_CASE("a device that was never enrolled keeps its contract's periods open") {
  CommerceWorld world(
      commercial("PT1H") + link("aqua", kFrom) +
      "\n[[link]]\ndevice = \"app-2\"\nsubject = \"*\"\nsubscription = \"aqua-api\"\nfrom = \"" +
      kFrom + "\"\n");
  world.heartbeat("2026-01-05T13:00:00Z");

  const CommerceReport report = world.step("2026-01-05T11:30:00Z");

  REQUIRE(report.held.size() == 1);
  CHECK(report.held[0].reason == "device app-2: no open stream");
}

TEST_CASE("what cannot be rated keeps the period open with an exception, and closes once it can") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:10:00Z", -4, 2}});
  world.heartbeat("2026-01-05T11:00:00Z");
  world.step("2026-01-05T11:00:20Z");
  CHECK(world.open_exceptions() == std::vector<std::string>{"not_rated  1 0"});

  world.record({{"aqua", "2026-01-05T10:11:00Z", 2, 2}});
  world.heartbeat("2026-01-05T11:00:30Z");
  CHECK(world.step("2026-01-05T11:00:40Z").documents.empty());
  CHECK(world.step("2026-01-05T11:01:21Z").documents.at(0).total.text() == "19.80");
  CHECK(world.open_exceptions().empty());
}

TEST_CASE("two runners over one store make each document once") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}});
  world.heartbeat("2026-01-05T11:00:00Z");
  CommerceRunner other(world.store(), world.collector(), CommerceWorld::read(commercial("PT1H") + link("aqua", kFrom)),
                       {.zone_database = "test"});

  CHECK(world.step("2026-01-05T11:00:20Z").documents.size() == 1);
  CHECK(other.step(at("2026-01-05T11:00:20Z"))->documents.empty());
  CHECK(world.store().list_documents({})->size() == 1);
}

TEST_CASE("a contract ends at its end, with a last period cut short") {
  std::string text = commercial("PT1H") + link("aqua", kFrom);
  text.replace(text.find("grace = "), 8, "until = \"2026-01-05T11:30:00Z\"\ngrace = ");
  CommerceWorld world(text);
  world.record({{"aqua", "2026-01-05T11:10:00Z", 100}, {"aqua", "2026-01-05T11:30:00Z", 5}});
  world.heartbeat("2026-01-05T14:00:00Z");

  const CommerceReport report = world.step("2026-01-05T14:30:00Z");

  REQUIRE(report.documents.size() == 1);
  CHECK(report.documents[0].period_to == at("2026-01-05T11:30:00Z"));
  CHECK(report.documents[0].total.text() == "1.00");
  CHECK(world.open_exceptions() == std::vector<std::string>{"unmapped_subject aqua 1 5"});
}

}  // namespace
}  // namespace ledgerline::collector
