#include "collector/fold/maintenance_runner.h"

#include "common/json.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

const std::string kCatalog = kMeters + R"(
[[asset]]
name = "pump-1"
model = "P"
site = "Hall 3"
[[maintenance]]
name = "busy"
model = "P"
connector = "tryton"
priority = "high"
step = "15m"
due = "2d"
effort = "90m"
update = "30m"
cool_down = "1h"
  [[maintenance.when]]
  meter = "api.requests"
  value = "sum"
  window = "30m"
  above = "100"
  [[maintenance.part]]
  product = "SEAL"
  quantity = "2"
[[link]]
device = "app-1"
subject = "a"
asset = "pump-1"
from = "2026-01-01T00:00:00Z"
)";

struct Workshop {
  Workshop() : world(kCatalog), runner(world.store(), CommerceWorld::read(kCatalog)) {}

  /// Every order of one look, as "number.revision@minutes past midnight".
  std::string look(std::string_view now) {
    std::string out;
    for (;;) {
      const auto report = runner.step(at(now));
      REQUIRE(report);
      for (const auto& [pair, error] : report->failed) FAIL(pair << ": " << error.text());
      for (const DocumentRow& order : report->orders) {
        const int64_t minutes = (order.period_to - at("2026-01-05T00:00:00Z")).count() / 60'000;
        out += (out.empty() ? "" : " ") + std::to_string(order.revision) + "@" +
               std::to_string(minutes);
        newest = order;
      }
      if (!report->more) return out;
    }
  }

  /// The external system holds the newest order.
  void confirm(const std::string& external_id) {
    Store& store = world.store();
    const Timestamp now = at("2026-01-05T00:17:00Z");
    const auto lease = store.acquire_lease(
        {.name = "outbox/tryton", .holder = "test", .now = now, .lifetime = std::chrono::hours(1)});
    const auto claimed = store.claim_deliveries(
        {.connector = "tryton", .lease = "outbox/tryton", .lease_epoch = lease->epoch, .now = now});
    REQUIRE(claimed->size() == 1);
    REQUIRE(store.settle_delivery({.id = claimed->front().id,
                                   .attempt = claimed->front().attempt,
                                   .lease = "outbox/tryton",
                                   .lease_epoch = lease->epoch,
                                   .state = DeliveryState::confirmed,
                                   .external_id = external_id,
                                   .at = now,
                                   .document_state = DocumentState::confirmed}));
  }

  CommerceWorld world;
  MaintenanceRunner runner;
  DocumentRow newest;
};

TEST_CASE("an order is made when its steps are complete, with the readings that made it") {
  Workshop shop;
  shop.world.record({{"a", "2026-01-05T00:01:00Z", 60}, {"a", "2026-01-05T00:16:00Z", 70}});
  CHECK(shop.look("2026-01-05T00:31:00Z").empty());
  shop.world.heartbeat("2026-01-05T00:29:59Z");
  CHECK(shop.look("2026-01-05T00:32:00Z").empty());
  shop.world.heartbeat("2026-01-05T00:30:00Z");
  CHECK(shop.look("2026-01-05T00:33:00Z") == "1@30");

  const auto stored = shop.world.store().document(shop.newest.id);
  REQUIRE(stored);
  CHECK(stored->state == DocumentState::approved);
  CHECK(stored->asset == "pump-1");
  const auto body = parse_json(stored->body);
  REQUIRE(body);
  CHECK(body->find("due_at")->text() == "2026-01-07T00:30:00.000Z");
  CHECK(body->find("effort_minutes")->text() == "90");
  CHECK(body->find("parts")->dump() == R"([{"product":"SEAL","quantity":"2"}])");
  CHECK(body->find("conditions")->items()[0].find("found")->text() == "130");
  CHECK(body->find("readings")->items().size() == 2);
  CHECK(body->find("evidence")->find("batches")->items().size() == 1);
  const auto deliveries = shop.world.store().list_deliveries({});
  REQUIRE(deliveries);
  CHECK(deliveries->size() == 1);
}

TEST_CASE(
    "an order that is still right is written again, never doubled, and a restart repeats nothing") {
  Workshop shop;
  for (int quarter = 0; quarter < 6; ++quarter) {
    const std::string time =
        to_rfc3339(at("2026-01-05T00:01:00Z") + quarter * std::chrono::minutes(15));
    shop.world.record({{"a", time, 60}});
  }
  shop.world.heartbeat("2026-01-05T01:30:00Z");
  CHECK(shop.look("2026-01-05T01:31:00Z") == "1@30 2@60 3@90");
  const std::string id = shop.newest.id;

  MaintenanceRunner again(shop.world.store(), CommerceWorld::read(kCatalog));
  const auto report = again.step(at("2026-01-05T01:40:00Z"));
  REQUIRE(report);
  CHECK(report->orders.empty());
  CHECK(shop.world.store().document(id)->revision == 3);
  CHECK(shop.world.store().list_documents({})->size() == 1);
}

TEST_CASE("service that was done there closes the order here and begins the cool-down") {
  Workshop shop;
  shop.world.record({{"a", "2026-01-05T00:01:00Z", 200},
                     {"a", "2026-01-05T01:01:00Z", 200},
                     {"a", "2026-01-05T02:01:00Z", 200}});
  shop.world.heartbeat("2026-01-05T00:15:00Z");
  CHECK(shop.look("2026-01-05T00:16:00Z") == "1@15");
  CHECK(shop.runner.open_work("tryton")->empty());  // it is not confirmed yet
  shop.confirm("4711");
  CHECK(shop.runner.open_work("other")->empty());
  const auto open = shop.runner.open_work("tryton");
  REQUIRE(open->size() == 1);
  const OpenWork work = open->front();
  CHECK(work.external_id == "4711");

  const WorkProgress done{.closed = true,
                          .closed_at = at("2026-01-05T00:20:00Z"),
                          .by = "Field service",
                          .effort_minutes = 75};
  OpenWork other = work;
  other.number = 2;
  CHECK(shop.runner.close_work(other, done, at("2026-01-05T00:21:00Z")).error().code() ==
        Errc::conflict);
  REQUIRE(shop.runner.close_work(work, done, at("2026-01-05T00:21:00Z")));
  CHECK(shop.runner.close_work(work, done, at("2026-01-05T00:21:00Z")).error().code() ==
        Errc::conflict);
  const auto document = shop.world.store().document(work.document);
  CHECK(document->state == DocumentState::closed);
  CHECK(document->decided_by == "Field service");
  CHECK(shop.runner.open_work("tryton")->empty());

  shop.world.heartbeat("2026-01-05T03:00:00Z");
  // Quiet until 01:20: the readings of 01:01 are still in the window of the step that ends at
  // 01:30.
  CHECK(shop.look("2026-01-05T03:01:00Z") == "1@90 2@135");
  CHECK(shop.world.store().list_documents({})->size() == 2);
}

TEST_CASE("a rule's state that cannot be read is reported and holds up no other order") {
  Workshop shop;
  shop.world.record({{"a", "2026-01-05T00:01:00Z", 200}});
  shop.world.heartbeat("2026-01-05T00:15:00Z");
  REQUIRE(shop.look("2026-01-05T00:16:00Z") == "1@15");
  Store& store = shop.world.store();
  const auto row = store.rule_state(RuleKind::maintenance, shop.newest.tenant, "busy", "pump-1");
  CommercialChanges changes;
  changes.expected_cursor = store.fold_cursor()->cursor;
  changes.rules.push_back({**row, (*row)->revision});
  ++changes.rules[0].row.revision;
  changes.rules[0].row.state = "{";
  REQUIRE(store.put_documents(changes));

  CHECK(shop.runner.open_work("tryton")->empty());
  shop.world.heartbeat("2026-01-05T00:30:00Z");
  const auto report = shop.runner.step(at("2026-01-05T00:40:00Z"));
  REQUIRE(report);
  CHECK(report->failed.size() == 1);
}

}  // namespace
}  // namespace ledgerline::collector
