// The ledger as an operator sees it.
#include "collector/core/commerce.h"
#include "collector/core/ledger.h"
#include "common/json.h"
#include "tests/unit/collector/api/office.h"
#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

Timestamp at(std::string_view text) { return parse_rfc3339(text).value(); }

/// Hours of one contract with a seat each, and one where nothing was used.
void close_hours(Store& store, int count) {
  const Catalog catalog = read_catalog(kExampleCatalog);
  UsageValue one;
  one.add(1, {0, {}, 1});
  MeterUsage seat;
  REQUIRE(seat.add(one, 0));
  CommercialChanges changes;
  for (int i = 0; i <= count; ++i) {
    const Timestamp from = at("2026-01-05T10:00:00Z") + std::chrono::hours(i);
    const auto decision = close_period(
        catalog, *catalog.contract("aqua-2026"),
        {.tenant = "demo",
         .period = {from, from + std::chrono::hours(1)},
         .usage = i == count ? PeriodUsage() : PeriodUsage{{{"aqua-api", "seats"}, seat}},
         .evidence = {},
         .zone_database = "2025b",
         .now = from});
    REQUIRE(decision);
    changes.periods.push_back({decision->period, 0});
  }
  REQUIRE(store.put_documents(changes));
}

std::string answer(Store& store, bool json) {
  std::ostringstream out;
  CommandLine options;
  options.json = json;
  const auto code = ledger(store, options, out);
  INFO((code ? "" : code.error().text()));
  REQUIRE(code);
  return out.str();
}

TEST_CASE("the ledger command prints the hash and the number of rows") {
  Office office;
  const auto store = open_store(office.config).value();
  CHECK(answer(*store, false) ==
        "ledger hash e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nrows 0\n");

  close_hours(*store, 2);

  const std::string text = answer(*store, false);
  CHECK_THAT(text, Catch::EndsWith("\nrows 2\n"));
  const Json json = parse_json(answer(*store, true)).value();
  CHECK_THAT(text, Catch::StartsWith("ledger hash " + json.find("hash")->text()));
  std::vector<std::string> rows;
  for (const Json& row : json.find("rows")->items()) rows.push_back(row.dump());
  REQUIRE(rows.size() == 2);
  CHECK(
      rows[1] ==
      R"(["demo","aqua-api","2026-01-05T11:00:00.000Z","2026-01-05T12:00:00.000Z","seats","1","9.9","standard",1])");
  CHECK(ledger_hash(rows).hex() == json.find("hash")->text());
}

TEST_CASE("the ledger of more periods than a page has them all") {
  Office office;
  const auto store = open_store(office.config).value();
  close_hours(*store, 1234);

  CHECK_THAT(answer(*store, false), Catch::EndsWith("\nrows 1234\n"));
}

}  // namespace
}  // namespace ledgerline::collector
