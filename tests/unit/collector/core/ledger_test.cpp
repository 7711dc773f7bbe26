#include "collector/core/ledger.h"

#include <algorithm>

#include "collector/core/commerce.h"
#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

Timestamp at(std::string_view text) { return parse_rfc3339(text).value(); }

MeterUsage used(int64_t value, int scale) {
  UsageValue usage;
  usage.add(value, {0, {}, 1});
  MeterUsage out;
  REQUIRE(out.add(usage, scale));
  return out;
}

PeriodRow closed(PeriodUsage usage) {
  const Catalog catalog = read_catalog(kExampleCatalog);
  const auto decision =
      close_period(catalog, *catalog.contract("aqua-2026"),
                   {.tenant = "demo",
                    .period = {at("2026-01-05T10:00:00Z"), at("2026-01-05T11:00:00Z")},
                    .usage = std::move(usage),
                    .evidence = {},
                    .zone_database = "2025b",
                    .now = at("2026-01-05T11:00:30Z")});
  REQUIRE(decision);
  return decision->period;
}

std::vector<std::string> texts(const PeriodRow& period) {
  std::vector<std::string> out;
  const auto rows = ledger_rows(period);
  REQUIRE(rows);
  for (const LedgerRow& row : *rows) out.push_back(row.text());
  return out;
}

TEST_CASE("a closed period's lines are in the ledger, byte for byte") {
  CHECK(
      texts(closed({{{"aqua-api", "api.requests"}, used(12'500'50, 2)},
                    {{"aqua-api", "seats"}, used(0, 0)}})) ==
      std::vector<std::string>{
          R"(["demo","aqua-api","2026-01-05T10:00:00.000Z","2026-01-05T11:00:00.000Z","api.requests","12500.5","38","standard",1])",
          R"(["demo","aqua-api","2026-01-05T10:00:00.000Z","2026-01-05T11:00:00.000Z","seats","0","0","standard",1])"});
}

TEST_CASE("what is open or empty is not in the ledger, and damage is said") {
  CHECK(texts(closed({})).empty());
  PeriodRow row = closed({{{"aqua-api", "seats"}, used(1, 0)}});
  REQUIRE(texts(row).size() == 1);
  row.closed = false;
  CHECK(texts(row).empty());
  row.closed = true;
  row.detail = "{}";
  CHECK(ledger_rows(row).error().code() == Errc::corrupt);
}

TEST_CASE("the ledger hash is one whatever the order, and another where anything differs") {
  CHECK(ledger_hash({}) == sha256(bytes_of("")));
  CHECK(ledger_hash({"b", "\xc3\xa9", "a"}) == sha256(bytes_of("a\nb\n\xc3\xa9\n")));
  CHECK(ledger_hash({"\xc3\xa9", "a", "b"}) == ledger_hash({"b", "\xc3\xa9", "a"}));
  CHECK(ledger_hash({"ab"}) != ledger_hash({"a", "b"}));
}

}  // namespace
}  // namespace ledgerline::collector
