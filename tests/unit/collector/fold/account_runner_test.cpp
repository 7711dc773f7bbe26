#include "collector/fold/account_runner.h"

#include "common/json.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"
#include "tests/unit/collector/store/store_backends.h"

namespace ledgerline::collector {
namespace {

/// Hours from 2026-01-05T10:00 on; 100 requests an hour are included.
std::string catalog_with(const std::string& rule, const std::string& until = "") {
  std::string out = commercial("PT1H");
  const auto insert = [&out](const std::string& before, const std::string& text) {
    out.insert(out.find(before), text);
  };
  insert("  unit_price = \"0.01\"", "  included = \"100\"\n");
  if (!until.empty()) insert("grace = ", "until = \"" + until + "\"\n");
  return out + link("*", kFrom) + "\n[[account_update]]\nname = \"health\"\nconnector = \"crm\"\n" +
         rule;
}
std::string other_contract(const std::string& device) {
  return R"(
[[contract]]
name = "other-2026"
account = "aqua"
connector = "tryton"
currency = "EUR"
time_zone = "Europe/Brussels"
anchor = "2026-01-05T10:00:00Z"
period = "PT1H"
  [[contract.subscription]]
  name = "other-api"
  rate_card = "standard"
[[link]]
subject = "other"
subscription = "other-api"
from = "2026-01-01T00:00:00Z"
device = ")" +
         device + "\"\n";
}
const std::string kLimits = "limits = [\"0.8\", \"1\"]\n";

class Office {
 public:
  explicit Office(const std::string& catalog, std::unique_ptr<Store> store = nullptr)
      : world(catalog, {.zone_database = "test"}, std::move(store)), catalog_(catalog) {
    restart();
  }

  void restart() {
    runner = std::make_unique<AccountRunner>(
        world.store(), CommerceWorld::read(catalog_),
        AccountOptions{.zone_database = "test", .round_interval = Duration(0)});
  }

  /// Closes what is complete, then looks until there is no more: "kind.revision" each.
  std::string tell(std::string_view now) {
    world.step(now);
    std::string out;
    summed = 0;
    for (;;) {
      const auto report = crashes ? step_through_crash(now) : runner->step(at(now));
      INFO((report ? "" : report.error().text()));
      REQUIRE(report);
      for (const auto& [pair, error] : report->failed) FAIL(pair << ": " << error.text());
      CHECK(report->conflicts == 0);
      for (const DocumentRow& row : report->documents) {
        out += (out.empty() ? "" : " ") + row.kind + "." + std::to_string(row.revision);
        newest = row;
      }
      summed += report->summed;
      if (!report->more) return out;
      if (restarts) restart();
    }
  }

  /// Dies at its first commit, by turns before and after it, and begins anew.
  Result<AccountReport> step_through_crash(std::string_view now) {
    died_after = !died_after;
    set_commit_fault(world.database(), died_after ? CommitFault::after : CommitFault::before);
    auto report = runner->step(at(now));
    set_commit_fault(world.database(), std::nullopt);
    if (report) return report;
    CHECK(report.error().code() == Errc::internal);
    ++died;
    restart();
    return runner->step(at(now));
  }

  Json body() { return parse_json(newest.body).value(); }
  std::string of_meter(const char* name) {
    return body().find("meters")->items()[0].find(name)->dump();
  }
  /// Of the documents that the account step wrote: their bodies, every revision, and deliveries.
  std::vector<std::string> written() {
    std::vector<std::string> out;
    const auto documents = world.store().list_documents({.connector = "crm"}).value();
    for (const DocumentRow& row : documents) {
      for (uint32_t revision = 1; revision <= row.revision; ++revision)
        out.push_back(world.store().document(row.id, revision).value().body);
    }
    const auto deliveries = world.store().list_deliveries({.connector = "crm"}).value();
    for (const DeliveryRow& row : deliveries) out.push_back(row.id);
    return out;
  }

  CommerceWorld world;
  std::unique_ptr<AccountRunner> runner;
  DocumentRow newest;
  size_t summed = 0;
  bool restarts = false;
  bool crashes = false;
  bool died_after = false;
  size_t died = 0;

 private:
  std::string catalog_;
};

TEST_CASE("a limit is told as soon as it is crossed, the close last, with the bill's quantity",
          "[accounts]") {
  Office office(catalog_with(kLimits));
  office.world.record({{"a", "2026-01-05T10:05:00Z", 79}});
  CHECK(office.tell("2026-01-05T10:06:00Z").empty());
  office.world.record({{"b", "2026-01-05T10:10:00Z", 1}});
  office.world.heartbeat("2026-01-05T10:12:00Z");
  CHECK(office.tell("2026-01-05T10:15:00Z") == "account-update.1");
  CHECK(office.body().find("reason")->text() == "limit");
  CHECK(office.body().find("as_of")->text() == "2026-01-05T10:12:00.000Z");
  CHECK(office.of_meter("quantity") == "\"80\"");
  CHECK(office.of_meter("limits_crossed") == R"(["0.8"])");
  const std::string id = office.newest.id;

  office.world.record({{"a", "2026-01-05T10:20:00Z", 25}});
  CHECK(office.tell("2026-01-05T10:21:00Z") == "account-update.2");
  CHECK(office.of_meter("limits_crossed") == R"(["0.8","1"])");

  office.world.record({{"a", "2026-01-05T10:59:59Z", 5}});
  CHECK(office.tell("2026-01-05T10:59:59Z").empty());
  office.world.heartbeat("2026-01-05T11:00:30Z");
  CHECK(office.tell("2026-01-05T11:00:40Z") == "account-update.3");
  CHECK(office.newest.id == id);
  CHECK(office.body().find("reason")->text() == "period");
  CHECK(office.body().find("as_of")->text() == "2026-01-05T11:00:00.000Z");
  CHECK(office.of_meter("quantity") == "\"110\"");
  CHECK(office.of_meter("share") == "\"1.1000\"");
  CHECK(office.tell("2026-01-05T11:01:00Z").empty());
  CHECK(office.world.store().list_deliveries({.connector = "crm"})->size() == 3);
  CHECK(office.newest.state == DocumentState::approved);
}

TEST_CASE("usage is read again only where something of the contract was folded", "[accounts]") {
  Office office(catalog_with(kLimits));
  office.world.record({{"a", "2026-01-05T10:05:00Z", 10}});
  CHECK(office.tell("2026-01-05T10:06:00Z").empty());
  CHECK(office.summed == 1);
  CHECK(office.tell("2026-01-05T10:07:00Z").empty());
  CHECK(office.summed == 0);
  office.world.record({{"a", "2026-01-05T10:08:00Z", 90}});
  CHECK(office.tell("2026-01-05T10:09:00Z") == "account-update.1");
  CHECK(office.summed == 1);
  office.world.record({{"a", "2026-01-05T10:10:00Z", 90}});
  CHECK(office.tell("2026-01-05T10:11:00Z").empty());  // every limit is crossed
  CHECK(office.summed == 0);

  // Of two contracts with a device each, the one whose device sent something.
  Office two(catalog_with(kLimits) + other_contract("app-2"));
  two.world.record({{"a", "2026-01-05T10:05:00Z", 10}});
  CHECK(two.tell("2026-01-05T10:06:00Z").empty());
  CHECK(two.summed == 2);
  two.world.record({{"a", "2026-01-05T10:07:00Z", 10}});
  CHECK(two.tell("2026-01-05T10:08:00Z").empty());
  CHECK(two.summed == 1);
}

TEST_CASE("a period that begins while the one before waits for a device is told of at once",
          "[accounts]") {
  Office office(catalog_with(kLimits));
  office.world.heartbeat("2026-01-05T10:30:00Z");
  office.world.record({{"a", "2026-01-05T10:05:00Z", 80}, {"a", "2026-01-05T11:05:00Z", 100}});
  CHECK(office.tell("2026-01-05T11:10:00Z") == "account-update.1 account-update.1");
  // Nothing of the second hour is known to be complete: no trend that would look like a fall.
  CHECK(office.body().find("as_of")->text() == "2026-01-05T11:00:00.000Z");
  CHECK(office.of_meter("trend") == "null");
  office.world.heartbeat("2026-01-05T12:01:00Z");
  CHECK(office.tell("2026-01-05T12:01:00Z") == "account-update.2 account-update.2");
  CHECK(office.of_meter("trend") == "\"0.2500\"");
}

TEST_CASE("behind the oldest open periods nothing is told before a silent device is back",
          "[accounts]") {
  Office office(catalog_with(kLimits));
  office.world.heartbeat("2026-01-05T10:30:00Z");
  office.world.record({{"a", "2026-01-05T13:05:00Z", 80}, {"a", "2026-01-05T14:05:00Z", 80}});
  CHECK(office.tell("2026-01-05T14:10:00Z") == "account-update.1");
  CHECK(office.newest.period_from == at("2026-01-05T13:00:00Z"));
  CHECK(office.summed == 4);
  office.world.heartbeat("2026-01-05T14:11:00Z");
  CHECK(office.tell("2026-01-05T14:11:00Z") == "account-update.2 account-update.1");
  CHECK(office.newest.period_from == at("2026-01-05T14:00:00Z"));
}

TEST_CASE("limits that the catalog changes hold at once, for what was crossed before too",
          "[accounts]") {
  Office office(catalog_with(kLimits));
  office.world.record({{"a", "2026-01-05T10:05:00Z", 100}});
  CHECK(office.tell("2026-01-05T10:06:00Z") == "account-update.1");
  office.runner->set_catalog(CommerceWorld::read(catalog_with("limits = [\"0.5\", \"1.2\"]\n")));
  CHECK(office.tell("2026-01-05T10:07:00Z") == "account-update.2");
  CHECK(office.of_meter("limits_crossed") == R"(["0.5","0.8","1"])");
}

TEST_CASE("a trend compares the same share of two periods", "[accounts]") {
  Office office(catalog_with(kLimits + "expansion_above = \"0.5\"\nchurn_below = \"-0.5\"\n"));
  office.world.record({{"a", "2026-01-05T10:05:00Z", 40}, {"a", "2026-01-05T10:45:00Z", 30}});
  office.world.heartbeat("2026-01-05T11:00:30Z");
  CHECK(office.tell("2026-01-05T11:00:40Z") == "account-update.1");
  CHECK(office.of_meter("previous_quantity") == "null");

  office.world.record({{"a", "2026-01-05T11:05:00Z", 80}});
  office.world.heartbeat("2026-01-05T11:30:00Z");
  CHECK(office.tell("2026-01-05T11:31:00Z") == "account-update.1");
  CHECK(office.of_meter("previous_quantity") == "\"40\"");
  CHECK(office.of_meter("trend") == "\"1.0000\"");
  CHECK(office.body().find("signals")->items()[0].find("kind")->text() == "expansion");

  office.world.heartbeat("2026-01-05T13:00:30Z");
  CHECK(office.tell("2026-01-05T13:00:40Z") == "account-update.2 account-update.1");
  CHECK(office.of_meter("quantity") == "\"0\"");
  CHECK(office.of_meter("trend") == "\"-1.0000\"");
  CHECK(office.body().find("signals")->items()[0].find("kind")->text() == "churn");

  office.world.heartbeat("2026-01-05T15:00:30Z");
  CHECK(office.tell("2026-01-05T15:00:40Z").empty());  // still nothing: that was told
}

TEST_CASE("adoption counts subjects that used the feature, of all that are known", "[accounts]") {
  Office office(
      catalog_with("  [[account_update.feature]]\n  name = \"search\"\n  meter = \"api.requests\"\n"
                   "  where = { code = \"search\" }\n"
                   "  [[account_update.feature]]\n  name = \"seats\"\n  meter = \"seats\"\n") +
      link("named", kFrom));
  const DimensionSet search{{"code", "search"}};
  office.world.record({{"a", "2026-01-05T10:05:00Z", 1, 1, search},
                       {"b", "2026-01-05T10:05:00Z", 1, 1, {{"code", "export"}}},
                       {"b", "2026-01-05T10:05:00Z", 0, 1, search},
                       {"c", "2026-01-05T11:00:00Z", 1, 1, search},
                       {"", "2026-01-05T10:05:00Z", 3, 2}});
  office.world.heartbeat("2026-01-05T11:00:30Z");
  CHECK(office.tell("2026-01-05T11:00:40Z") == "account-update.1");
  CHECK(office.body().find("features")->dump() ==
        R"([{"name":"search","active":1,"known":5,"adoption":"0.2000"},)"
        R"({"name":"seats","active":1,"known":5,"adoption":"0.2000"}])");
}

TEST_CASE("repeated overage and a contract's end open opportunities, each once", "[accounts]") {
  Office office(catalog_with("overage_periods = 2\n"));
  const auto hour = [&](int number, int64_t quantity) {
    const Timestamp from = at("2026-01-05T10:00:00Z") + number * std::chrono::hours(1);
    const std::string inside = to_rfc3339(from + std::chrono::minutes(5));
    office.world.record({{"a", inside, quantity}});
    const std::string end = to_rfc3339(from + std::chrono::minutes(61));
    office.world.heartbeat(end);
    return office.tell(end);
  };
  CHECK(hour(0, 101) == "account-update.1");
  CHECK(hour(1, 201) == "account-update.1 opportunity.1");
  const Json body = office.body();
  CHECK(body.find("reason")->text() == "overage");
  CHECK(body.find("amount")->text() == "0.51");
  CHECK(body.find("due_at")->text() == "2026-01-05T13:00:00.000Z");
  CHECK(body.find("lines")->items()[0].find("quantity")->text() == "151");
  CHECK(hour(2, 300) == "account-update.1");
  CHECK(hour(3, 100) == "account-update.1");
  CHECK(hour(4, 101) == "account-update.1");
  CHECK(hour(5, 101) == "account-update.1 opportunity.1");
}

TEST_CASE("a renewal is told in its window, with what the contract came to", "[accounts]") {
  // The end is in the afternoon; its day begins at 23:00 UTC.
  Office office(catalog_with("renewal_window = \"1d\"\n", "2026-01-07T15:00:00Z"));
  office.world.record({{"a", "2026-01-05T10:05:00Z", 200}});
  office.world.heartbeat("2026-01-05T11:00:30Z");
  CHECK(office.tell("2026-01-05T11:00:40Z") == "account-update.1");
  CHECK(office.tell("2026-01-05T22:59:59.999Z").empty());
  CHECK(office.tell("2026-01-05T23:00:00Z") == "opportunity.1");
  CHECK(office.body().find("reason")->text() == "renewal");
  CHECK(office.body().find("amount")->text() == "1.00");
  CHECK(office.newest.total.text() == "1.00");
  CHECK(office.tell("2026-01-06T12:00:00Z").empty());
  const auto revision = [&] {
    return office.world.store()
        .rule_state(RuleKind::account_update, "demo", "health", "aqua-2026")
        .value()
        .value()
        .revision;
  };
  const uint32_t before = revision();
  office.restart();
  CHECK(office.tell("2026-01-06T13:00:00Z").empty());
  CHECK(revision() == before);

  Office late(catalog_with("renewal_window = \"1d\"\n", "2026-01-07T15:00:00Z"));
  CHECK(late.tell("2026-01-07T15:00:00Z").empty());
}

TEST_CASE("a rule that is new tells of the newest closed period and goes on from there",
          "[accounts]") {
  Office office(catalog_with(kLimits));
  for (const char* time : {"2026-01-05T10:05:00Z", "2026-01-05T11:05:00Z", "2026-01-05T12:05:00Z"})
    office.world.record({{"a", time, 10}});
  office.world.heartbeat("2026-01-05T13:00:30Z");
  office.world.step("2026-01-05T13:00:40Z");
  CHECK(office.tell("2026-01-05T13:00:40Z") == "account-update.1");
  CHECK(office.newest.period_from == at("2026-01-05T12:00:00Z"));
}

TEST_CASE("periods that close between two looks are told each", "[accounts]") {
  Office office(catalog_with(kLimits));
  CHECK(office.tell("2026-01-05T10:01:00Z").empty());
  for (const char* time : {"2026-01-05T10:05:00Z", "2026-01-05T11:05:00Z", "2026-01-05T12:05:00Z"})
    office.world.record({{"a", time, 10}});
  office.world.heartbeat("2026-01-05T13:00:30Z");
  CHECK(office.tell("2026-01-05T13:00:40Z") ==
        "account-update.1 account-update.1 account-update.1");
}

TEST_CASE("overage in the last periods of a contract is due some time after its end",
          "[accounts]") {
  Office office(catalog_with("overage_periods = 1\n", "2026-01-05T11:00:00Z"));
  office.world.record({{"a", "2026-01-05T10:05:00Z", 101}});
  office.world.heartbeat("2026-01-05T11:00:30Z");
  CHECK(office.tell("2026-01-05T11:00:40Z") == "account-update.1 opportunity.1");
  CHECK(office.body().find("due_at")->text() == "2026-01-05T12:00:00.000Z");
}

/// Ten hours in the life of an account.
void live(Office& office) {
  Timestamp now = at("2026-01-05T10:00:00Z");
  for (int quarter = 0; quarter < 42; ++quarter, now = now + std::chrono::minutes(15)) {
    if (quarter < 38) office.world.record({{"a", to_rfc3339(now), (quarter * 17) % 60}});
    if (quarter % 3 == 0) office.world.heartbeat(to_rfc3339(now));
    if (office.restarts) office.restart();
    office.tell(to_rfc3339(now + std::chrono::minutes(1)));
  }
}
const std::string kEverything = catalog_with(
    kLimits + "overage_periods = 2\nrenewal_window = \"1d\"\n", "2026-01-05T20:00:00Z");

TEST_CASE("a crash before or after a transaction repeats nothing and loses nothing", "[accounts]") {
  Office through(kEverything);
  live(through);
  Office office(kEverything);
  office.crashes = true;

  live(office);

  CHECK(office.died > 10);
  CHECK(through.written().size() > 20);
  CHECK(office.written() == through.written());
}

TEMPLATE_TEST_CASE("a restart at any time repeats nothing and loses nothing", "[accounts]",
                   MemoryBackend, LmdbBackend) {
  Office through(kEverything);
  live(through);
  TestType backend;
  Office office(kEverything, backend.open());
  office.restarts = true;

  live(office);

  CHECK(office.written() == through.written());
}

TEST_CASE("a state that another process changed is decided upon again", "[accounts]") {
  Office office(catalog_with(kLimits));
  CHECK(office.tell("2026-01-05T10:01:00Z").empty());
  office.world.record({{"a", "2026-01-05T10:05:00Z", 80}});
  AccountState state;
  state.next_closed = at("2026-01-05T10:00:00Z");
  CommercialChanges changes;
  changes.rules = {
      {{RuleKind::account_update, "demo", "health", "aqua-2026", 2, to_json(state)}, 1}};
  before_next_write(office.world.database(),
                    [&] { REQUIRE(office.world.store().put_documents(changes)); });
  CHECK(office.runner->step(at("2026-01-05T10:06:00Z"))->conflicts == 1);
  CHECK(office.tell("2026-01-05T10:06:00Z") == "account-update.1");
}

TEST_CASE("what another process told meanwhile is told once", "[accounts]") {
  Office office(catalog_with(kLimits));
  office.world.record({{"a", "2026-01-05T10:05:00Z", 80}});
  AccountRunner other(office.world.store(), CommerceWorld::read(catalog_with(kLimits)),
                      {.zone_database = "test", .round_interval = Duration(0)});
  const Timestamp now = at("2026-01-05T10:06:00Z");
  before_next_write(office.world.database(),
                    [&] { CHECK(other.step(now)->documents.size() == 1); });

  const auto lost = office.runner->step(now);

  REQUIRE(lost);
  CHECK(lost->conflicts == 1);
  CHECK(lost->documents.empty());
  office.world.record({{"a", "2026-01-05T10:07:00Z", 20}});
  // The same of a reading that is folded while its period is looked at.
  before_next_write(office.world.database(), [&] {
    office.world.record({{"a", "2026-01-05T10:08:00Z", 5}});
  });
  CHECK(office.runner->step(now)->conflicts == 1);
  CHECK(office.tell("2026-01-05T10:09:00Z") == "account-update.2");
  CHECK(office.of_meter("quantity") == "\"105\"");
}

TEMPLATE_TEST_CASE("two collectors on one store tell everything once", "[accounts]", MemoryBackend,
                   LmdbBackend) {
  TestType backend;
  Office office(catalog_with(kLimits), backend.open());
  auto second_store = backend.open();
  AccountRunner second(*second_store, CommerceWorld::read(catalog_with(kLimits)),
                       {.zone_database = "test", .round_interval = Duration(0)});
  office.world.record({{"a", "2026-01-05T10:05:00Z", 80}});
  CHECK(office.tell("2026-01-05T10:06:00Z") == "account-update.1");
  CHECK(second.step(at("2026-01-05T10:06:00Z"))->documents.empty());
  office.world.record({{"a", "2026-01-05T10:07:00Z", 80}});
  CHECK(second.step(at("2026-01-05T10:08:00Z"))->documents.size() == 1);
  CHECK(office.tell("2026-01-05T10:09:00Z").empty());
  CHECK(office.world.store().list_deliveries({.connector = "crm"})->size() == 2);
}

TEST_CASE("damage in what is stored of one contract is told and stops no other", "[accounts]") {
  Office office(catalog_with(kLimits) + other_contract("app-1"));
  CommercialChanges changes;
  changes.rules = {{{RuleKind::account_update, "demo", "health", "aqua-2026", 1, "{"}, 0}};
  REQUIRE(office.world.store().put_documents(changes));
  office.world.record({{"a", "2026-01-05T10:05:00Z", 80}, {"other", "2026-01-05T10:05:00Z", 80}});
  const auto report = office.runner->step(at("2026-01-05T10:06:00Z"));
  REQUIRE(report);
  REQUIRE(report->failed.size() == 1);
  CHECK(report->failed[0].first == "health of aqua-2026");
  CHECK(report->failed[0].second.code() == Errc::corrupt);
  REQUIRE(report->documents.size() == 1);
  CHECK(report->documents[0].contract == "other-2026");
}

TEST_CASE("a step looks at so many contracts and comes back", "[accounts]") {
  CommerceWorld world(catalog_with(kLimits));
  std::string catalog = catalog_with(kLimits);
  for (int i = 0; i < 9; ++i)
    catalog += "[[account_update]]\nname = \"r" + std::to_string(i) + "\"\nconnector = \"crm\"\n" +
               kLimits;
  AccountRunner runner(world.store(), CommerceWorld::read(catalog),
                       {.zone_database = "test", .pairs_max = 4});
  world.record({{"a", "2026-01-05T10:05:00Z", 80}});
  const Timestamp now = at("2026-01-05T10:06:00Z");
  for (const size_t expected : {4, 4, 2}) {
    const auto report = runner.step(now);
    REQUIRE(report);
    CHECK(report->documents.size() == expected);
    CHECK(report->more == (expected == 4));
  }
  world.record({{"a", "2026-01-05T10:07:00Z", 80}});
  CHECK(runner.step(now + std::chrono::seconds(14))->documents.empty());
  CHECK(runner.step(now + std::chrono::seconds(15))->documents.size() == 4);
}

}  // namespace
}  // namespace ledgerline::collector
