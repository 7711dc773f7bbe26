// Late usage of a closed period is booked by an adjustment.
#include "collector/core/exceptions.h"
#include "collector/store/keys.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

using Open = std::vector<std::string>;
std::string with(std::string catalog, const std::string& old_text, const std::string& new_text) {
  return catalog.replace(catalog.find(old_text), old_text.size(), new_text);
}

/// Nobody is told of a device that says nothing while late usage waits.
std::string patient(const std::string& period, const std::string& approval = "auto") {
  return with(commercial(period, approval), "grace =", "silence = \"1000h\"\ngrace =");
}

const std::string kCatalog = patient("PT1H") + link("aqua", kFrom);

/// 1.00 EUR billed for the hour from 10:00.
class Closed : public CommerceWorld {
 public:
  explicit Closed(const std::string& catalog = kCatalog,
                  CommerceOptions options = {.zone_database = "test"})
      : CommerceWorld(catalog, std::move(options)) {
    record({{"aqua", "2026-01-05T10:10:00Z", 100}});
    heartbeat("2026-01-05T11:00:00Z");
    const CommerceReport report = step("2026-01-05T11:00:20Z");
    REQUIRE(report.documents.size() == 1);
    bill = report.documents[0];
  }

  /// "late ..." rows that are resolved, with how.
  Open solved() {
    Open out;
    const auto rows = store().list_exceptions({.state = ExceptionState::resolved}).value();
    for (const ExceptionRow& row : rows)
      out.push_back(row.kind + " by " + row.resolved_by + ": " + row.resolution);
    std::sort(out.begin(), out.end());
    return out;
  }
  PeriodRow row(std::string_view from = "2026-01-05T10:00:00Z") {
    return store().period("demo", "aqua-2026", at(from)).value().value();
  }

  DocumentRow bill;
};

std::vector<std::string> totals(const CommerceReport& report) {
  std::vector<std::string> out;
  for (const DocumentRow& document : report.documents)
    out.push_back(document.kind + " " + to_rfc3339(document.period_from).substr(11, 5) + " " +
                  document.total.text());
  return out;
}

TEST_CASE("late usage is billed by an adjustment, and its exception closes by itself") {
  Closed world;
  world.record({{"aqua", "2026-01-05T10:20:00Z", 7}});
  world.step("2026-01-05T12:00:00Z");
  CHECK(world.open_exceptions() == Open{"late aqua 1 7"});
  CHECK(world.step("2026-01-05T12:59:59.999Z").documents.empty());

  const CommerceReport report = world.step("2026-01-05T13:00:00Z");

  CHECK(totals(report) == Open{"adjustment 10:00 0.07"});
  CHECK(report.periods_adjusted == 1);
  const DocumentRow adjustment = report.documents.at(0);
  CHECK(world.store().document(adjustment.id)->body == adjustment.body);
  CHECK(world.store().document(world.bill.id)->body == world.bill.body);
  const auto deliveries = world.store().list_deliveries({.document = adjustment.id}).value();
  REQUIRE(deliveries.size() == 1);
  CHECK(deliveries[0].state == DeliveryState::pending);
  CHECK(world.open_exceptions().empty());
  CHECK(world.solved() ==
        Open{"late by auto: booked as adjustment " + adjustment.id + ", 0.07 EUR"});
  CHECK(world.row().revision == 2);
  CHECK(world.step("2026-01-05T15:00:00Z").documents.empty());
}

TEST_CASE("what comes late within adjust_after of the first makes one adjustment") {
  Closed world;
  world.record({{"aqua", "2026-01-05T10:20:00Z", 7}});
  world.step("2026-01-05T12:00:00Z");
  world.record({{"aqua", "2026-01-05T10:21:00Z", 8}, {"aqua", "2026-01-05T10:21:00Z", 2, 2}});
  world.step("2026-01-05T12:59:00Z");
  CHECK(world.open_exceptions() == Open{"late aqua 1 2", "late aqua 2 15"});

  SECTION("in one run") {}
  SECTION("also over a restart") { world.restart(kCatalog); }
  SECTION("also over a change of the catalog") { world.reload(kCatalog + link("bolt", kFrom)); }

  CHECK(world.step("2026-01-05T12:59:59Z").documents.empty());
  CHECK(totals(world.step("2026-01-05T13:00:00Z")) == Open{"adjustment 10:00 19.95"});
  CHECK(world.open_exceptions().empty());
}

TEST_CASE("what comes after an adjustment waits for one of its own") {
  Closed world;
  world.record({{"aqua", "2026-01-05T10:20:00Z", 7}});
  world.step("2026-01-05T12:00:00Z");
  world.step("2026-01-05T13:00:00Z");

  world.record({{"aqua", "2026-01-05T10:30:00Z", 3}});
  CHECK(world.step("2026-01-05T13:10:00Z").documents.empty());
  CHECK(world.open_exceptions() == Open{"late aqua 1 3"});
  CHECK(world.step("2026-01-05T14:09:59Z").documents.empty());
  const CommerceReport report = world.step("2026-01-05T14:10:00Z");

  REQUIRE(totals(report) == Open{"adjustment 10:00 0.03"});
  CHECK(report.documents[0].id ==
        adjustment_id("demo", "aqua-2026", {world.row().from, world.row().to}, 2));
  CHECK(world.row().revision == 3);
  CHECK(world.solved().size() == 2);
}

TEST_CASE("the contract says how long its adjustments wait") {
  Closed world(with(kCatalog, "grace =", "adjust_after = \"5s\"\ngrace ="));
  world.record({{"aqua", "2026-01-05T10:20:00Z", 7}});

  world.step("2026-01-05T12:00:00Z");
  CHECK(world.step("2026-01-05T12:00:04Z").documents.empty());
  CHECK(totals(world.step("2026-01-05T12:00:05Z")) == Open{"adjustment 10:00 0.07"});
}

TEST_CASE("a contract that does not wait adjusts in the step that sees the late usage") {
  Closed world(with(kCatalog, "grace =", "adjust_after = \"0s\"\ngrace ="));
  world.record({{"aqua", "2026-01-05T10:20:00Z", 7}});

  CHECK(totals(world.step("2026-01-05T12:00:00Z")) == Open{"adjustment 10:00 0.07"});
}

TEST_CASE("one of many empty periods gets its bill by an adjustment, and the others stay") {
  const std::string catalog = patient("PT1M") + link("aqua", kFrom);
  CommerceWorld world(catalog);
  world.heartbeat("2026-01-05T12:00:00Z");
  world.step("2026-01-05T12:01:00Z");
  world.record({{"aqua", "2026-01-05T11:07:30Z", 7}, {"aqua", "2026-01-05T11:20:30Z", 8}});
  world.step("2026-01-05T12:02:00Z");
  CHECK(world.open_exceptions() == Open{"late aqua 1 7", "late aqua 1 8"});

  CHECK(totals(world.step("2026-01-05T13:02:00Z")) ==
        Open{"adjustment 11:07 0.07", "adjustment 11:20 0.08"});

  CHECK(world.open_exceptions().empty());
  const auto rows =
      world.store().list_periods("demo", "aqua-2026", at("2026-01-05T10:00:00Z")).value();
  REQUIRE(rows.size() == 5);
  for (size_t i = 1; i < rows.size(); ++i) CHECK(rows[i].from == rows[i - 1].to);
  CHECK(rows.back().to == at("2026-01-05T12:00:00Z"));

  SECTION("what comes next is found beside them") {
    world.record({{"aqua", "2026-01-05T11:07:40Z", 1}, {"aqua", "2026-01-05T11:08:40Z", 2}});
    world.step("2026-01-05T14:00:00Z");
    CHECK(totals(world.step("2026-01-05T15:00:00Z")) ==
          Open{"adjustment 11:07 0.01", "adjustment 11:08 0.02"});
  }
  SECTION("a start under another catalog finds nothing late") {
    world.restart(catalog + link("bolt", kFrom));
    CHECK(totals(world.step("2026-01-05T15:00:00Z")).empty());
    CHECK(world.open_exceptions().empty());
  }
}

TEST_CASE("a link that is taken away takes back what it billed") {
  Closed world;
  world.reload(patient("PT1H") + link("aqua", kFrom, "2026-01-05T10:05:00Z"));
  world.step("2026-01-05T12:00:00Z");
  CHECK(world.open_exceptions() == Open{"late  1 -100", "unmapped_subject aqua 1 100"});

  CHECK(totals(world.step("2026-01-05T13:00:00Z")) == Open{"adjustment 10:00 -1.00"});

  CHECK(world.open_exceptions() == Open{"unmapped_subject aqua 1 100"});
}

TEST_CASE("late usage that changes no amount is booked without a document") {
  Closed world;
  world.record({{"aqua", "2026-01-05T10:20:00Z", 0}});
  world.step("2026-01-05T12:00:00Z");
  CHECK(world.open_exceptions() == Open{"late aqua 1 0"});

  const CommerceReport report = world.step("2026-01-05T13:00:00Z");

  CHECK(report.documents.empty());
  CHECK(report.periods_adjusted == 1);
  CHECK(world.solved() == Open{"late by auto: booked; no amount of the period changes"});
  CHECK(world.step("2026-01-05T14:30:00Z").periods_adjusted == 0);
}

TEST_CASE("a manual contract's adjustment waits for a person, without a delivery") {
  Closed world(patient("PT1H", "manual") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:20:00Z", 7}});
  world.step("2026-01-05T12:00:00Z");

  const CommerceReport report = world.step("2026-01-05T13:00:00Z");

  REQUIRE(report.documents.size() == 1);
  CHECK(report.documents[0].state == DocumentState::waiting_approval);
  CHECK(world.store().list_deliveries({})->empty());
}

TEST_CASE("late usage that cannot be rated is an exception until it can") {
  Closed world;
  world.record({{"aqua", "2026-01-05T10:20:00Z", -4, 2}});
  world.step("2026-01-05T12:00:00Z");
  CHECK(world.step("2026-01-05T13:00:00Z").documents.empty());
  CHECK(world.open_exceptions() == Open{"late aqua 1 -4", "not_rated  1 0"});
  const auto opened = world.store().list_exceptions({.kind = "not_rated"}).value().at(0);
  CHECK(opened.detail.find("2026-01-05T10:00:00.000Z") != std::string::npos);
  CHECK(world.step("2026-01-05T13:00:30Z").exceptions_written == 0);

  SECTION("also over a restart") {
    world.restart(kCatalog);
    for (const char* now : {"2026-01-05T13:00:40Z", "2026-01-05T13:00:41Z"}) {
      world.step(now);
      CHECK(world.store().exception(opened.id)->state == ExceptionState::open);
    }
    CHECK(world.store().exception(opened.id)->first_seen == opened.first_seen);
  }
  world.record({{"aqua", "2026-01-05T10:21:00Z", 3, 2}});
  world.step("2026-01-05T13:00:50Z");

  CHECK(totals(world.step("2026-01-05T13:05:00Z")) == Open{"adjustment 10:00 29.70"});
  CHECK(world.open_exceptions().empty());
}

TEST_CASE("what could not be rated and is not late any more is no exception") {
  const std::string before = patient("PT1H") + link("aqua", kFrom);
  const std::string after = before + link("bolt", kFrom);
  Closed world(before);
  world.record({{"bolt", "2026-01-05T10:20:00Z", -4, 2}});
  world.reload(after);
  world.step("2026-01-05T12:00:00Z");
  world.step("2026-01-05T13:00:00Z");
  REQUIRE(world.open_exceptions() == Open{"late bolt 1 -4", "not_rated  1 0"});

  world.reload(before);
  world.step("2026-01-05T13:10:00Z");

  CHECK(world.open_exceptions() == Open{"unmapped_subject bolt 1 -4"});
}

TEST_CASE("two runners over one store book late usage once") {
  Closed world;
  CommerceRunner other(world.store(), world.collector(), CommerceWorld::read(kCatalog), {.zone_database = "test"});
  world.record({{"aqua", "2026-01-05T10:20:00Z", 7}});
  world.step("2026-01-05T12:00:00Z");
  for (const char* now : {"2026-01-05T12:00:01Z", "2026-01-05T12:00:02Z"})
    REQUIRE(other.step(at(now)));

  CHECK(world.step("2026-01-05T13:00:01Z").documents.size() == 1);
  for (const char* now : {"2026-01-05T13:00:02Z", "2026-01-05T13:00:03Z"})
    CHECK(other.step(at(now))->documents.empty());

  CHECK(world.store().list_documents({})->size() == 2);
  CHECK(world.row().revision == 2);
}

TEST_CASE("a step adjusts a few periods, and no period is forgotten") {
  const std::string catalog = patient("PT1M") + link("aqua", kFrom);
  CommerceWorld world(catalog, {.zone_database = "test", .adjusted_max = 2, .adjustments_max = 3});
  std::vector<std::string> times;
  for (int minute = 10; minute < 30; ++minute)
    times.push_back("2026-01-05T10:" + std::to_string(minute) + ":30Z");
  std::vector<Sample> samples;
  for (const std::string& time : times) samples.push_back({"aqua", time, 1});
  world.record(samples);
  world.heartbeat("2026-01-05T10:31:00Z");
  REQUIRE(world.step("2026-01-05T10:31:30Z").documents.size() == 20);
  world.record(samples);
  world.step("2026-01-05T11:00:00Z");

  size_t most = 0;
  std::vector<DocumentRow> made;
  for (int i = 0; i < 200 && made.size() < 20; ++i) {
    const auto report = world.runner().step(at("2026-01-05T12:00:00Z"));
    REQUIRE(report);
    most = std::max(most, report->periods_adjusted);
    made.insert(made.end(), report->documents.begin(), report->documents.end());
  }

  CHECK(made.size() == 20);
  CHECK(most == 2);
  CHECK(world.step("2026-01-05T12:00:00Z").documents.empty());
  CHECK(world.open_exceptions().empty());
}

TEST_CASE("a closed period that cannot be read keeps no other from its adjustment") {
  const std::string catalog = kCatalog + R"(
[[contract]]
name = "c1"
account = "aqua"
connector = "tryton"
currency = "EUR"
time_zone = "Europe/Brussels"
anchor = "2026-01-05T10:00:00Z"
period = "PT1H"
grace = "10s"
approval = "auto"
  [[contract.subscription]]
  name = "c1-api"
  rate_card = "standard"
[[link]]
device = "app-1"
subject = "c1"
subscription = "c1-api"
from = "2026-01-01T00:00:00Z"
)";
  Closed world(catalog);
  world.record({{"aqua", "2026-01-05T10:20:00Z", 7}, {"c1", "2026-01-05T10:20:00Z", 9}});
  world.step("2026-01-05T12:00:00Z");
  REQUIRE(world.open_exceptions() == Open{"late aqua 1 7", "late c1 1 9"});
  REQUIRE(flip_bit(world.database(), static_cast<uint8_t>(Table::period), 0, 77));

  const CommerceReport report = world.step("2026-01-05T13:00:00Z");

  REQUIRE(report.documents.size() == 1);
  CHECK(report.documents[0].contract == "c1");
  CHECK(world.open_exceptions() == Open{"late aqua 1 7"});
}

}  // namespace
}  // namespace ledgerline::collector
