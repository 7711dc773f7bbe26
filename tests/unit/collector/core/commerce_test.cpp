#include "collector/core/commerce.h"

#include "collector/core/exception_upsert.h"
#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

Timestamp at(std::string_view text) { return parse_rfc3339(text).value(); }
const Period kHour{at("2026-01-05T10:00:00Z"), at("2026-01-05T11:00:00Z")};
const Timestamp kNow = at("2026-01-05T11:00:30Z");

MeterUsage used(int64_t value) {
  UsageValue usage;
  usage.add(value, {0, {}, 1});
  MeterUsage out;
  REQUIRE(out.add(usage, 0));
  return out;
}

CloseInput closing(PeriodUsage usage) {
  return {.tenant = "demo",
          .period = kHour,
          .usage = std::move(usage),
          .evidence = {},
          .zone_database = "2025b",
          .now = kNow};
}

TEST_CASE("a period with usage closes with a document and its delivery") {
  const Catalog catalog = read_catalog(kExampleCatalog);

  const auto decision = close_period(
      catalog, *catalog.contract("aqua-2026"),
      closing({{{"aqua-api", "api.requests"}, used(2000)}, {{"aqua-api", "seats"}, used(4)}}));

  REQUIRE(decision);
  REQUIRE(decision->document);
  CHECK(decision->document->total.text() == "43.10");
  REQUIRE(decision->delivery);
  CHECK(decision->delivery->document == decision->document->id);
  CHECK(decision->period.closed);
  CHECK(decision->period.revision == 1);
  const auto detail = PeriodDetail::parse(decision->period.detail);
  REQUIRE(detail);
  CHECK(detail->original() == decision->document->id);
  CHECK(detail->catalog == catalog.hash().hex());
  REQUIRE(detail->find({"aqua-api", "seats"}) != nullptr);
  CHECK(detail->find({"aqua-api", "seats"})->quantity.text() == "4");
  CHECK(detail->find({"aqua-api", "other"}) == nullptr);
  CHECK(detail->json() == decision->period.detail);
}

TEST_CASE("a period without usage closes without a document") {
  const Catalog catalog = read_catalog(kExampleCatalog);
  const Contract& contract = *catalog.contract("aqua-2026");

  const auto empty = close_period(catalog, contract, closing({}));
  REQUIRE(empty);
  CHECK_FALSE(empty->document);
  CHECK_FALSE(empty->delivery);
  CHECK(empty->period.closed);

  const auto zero =
      close_period(catalog, contract, closing({{{"aqua-api", "api.requests"}, used(0)}}));
  REQUIRE(zero);
  CHECK_FALSE(zero->document);
  CHECK(PeriodDetail::parse(zero->period.detail)->find({"aqua-api", "api.requests"})->count == 1);
}

TEST_CASE("usage that the allowance covers is documented at no charge") {
  const Catalog catalog = read_catalog(kExampleCatalog);

  const auto decision = close_period(catalog, *catalog.contract("aqua-2026"),
                                     closing({{{"aqua-api", "api.requests"}, used(1000)}}));

  REQUIRE(decision->document);
  CHECK(decision->document->total.text() == "0.00");
}

TEST_CASE("the version in force at the period's start rates the whole period") {
  const Catalog catalog = read_catalog(kExampleCatalog);
  CloseInput input = closing({{{"aqua-api", "api.requests"}, used(2000)}});
  input.period = {at("2026-02-28T23:30:00Z"), at("2026-03-01T00:30:00Z")};
  CHECK(close_period(catalog, *catalog.contract("aqua-2026"), input)->document->total.text() ==
        "3.50");

  input.period = {at("2026-03-01T00:00:00Z"), at("2026-03-01T01:00:00Z")};
  CHECK(close_period(catalog, *catalog.contract("aqua-2026"), input)->document->total.text() ==
        "20.00");
}

TEST_CASE("a manual contract's document gets no delivery yet") {
  const Catalog catalog =
      read_catalog(example_with("approval = \"auto\"", "approval = \"manual\""));

  const auto decision = close_period(catalog, *catalog.contract("aqua-2026"),
                                     closing({{{"aqua-api", "seats"}, used(4)}}));

  CHECK(decision->document->state == DocumentState::waiting_approval);
  CHECK_FALSE(decision->delivery);
}

TEST_CASE("what cannot be rated keeps the period open") {
  const Catalog catalog = read_catalog(kExampleCatalog);

  const auto decision = close_period(catalog, *catalog.contract("aqua-2026"),
                                     closing({{{"aqua-api", "seats"}, used(-4)}}));

  REQUIRE_FALSE(decision);
  CHECK(decision.error().code() == Errc::reject);
  CHECK(decision.error().text().find("subscription=aqua-api") != std::string::npos);
}

TEST_CASE("a series counts where unit and kind are the catalog's") {
  const Catalog catalog = read_catalog(kExampleCatalog);
  SeriesKey key{.tenant = "demo",
                .device = "d",
                .subject = "s",
                .meter = "api.requests",
                .unit = "1",
                .scale = 3};

  CHECK(series_fault(catalog, key).empty());
  key.unit = "By";
  CHECK(series_fault(catalog, key) == exception_kind::kWrongUnit);
  key.unit = "1";
  key.kind = MeterKind::gauge;
  CHECK(series_fault(catalog, key) == exception_kind::kWrongUnit);
  key.meter = "api.request";
  CHECK(series_fault(catalog, key) == exception_kind::kUnknownMeter);
}

TEST_CASE("usage that cannot be counted opens one exception, and closes it once it can") {
  const SeriesRow series{
      7, {.tenant = "demo", .device = "d", .subject = "s", .meter = "m", .unit = "1", .scale = 2}};
  UsageValue usage;
  usage.add(150, {0, {}, 1});
  usage.add(50, {1, {}, 2});

  const auto open =
      uncounted_exceptions({exception_kind::kUnmappedSubject, series, usage, "no link", kNow});
  REQUIRE(open.size() == 3);
  std::map<std::string, ExceptionRow> stored;
  for (const ExceptionUpsert& upsert : open) {
    const auto row = upserted(std::nullopt, upsert);
    if (row) stored[row->kind] = *row;
  }
  REQUIRE(stored.size() == 1);
  const ExceptionRow& row = stored.begin()->second;
  CHECK(row.kind == exception_kind::kUnmappedSubject);
  CHECK(row.count == 2);
  CHECK(row.value.text() == "2.00");
  CHECK(row.owner == "customer success");
  CHECK(row.subject == "s");

  const auto closed = uncounted_exceptions({{}, series, {}, {}, kNow + Duration(1)});
  for (const ExceptionUpsert& upsert : closed) {
    if (upsert.row.id != row.id) continue;
    const auto resolved = upserted(row, upsert);
    REQUIRE(resolved);
    CHECK(resolved->state == ExceptionState::resolved);
  }
}

TEST_CASE("late usage is the difference between booked and present") {
  const BookedLine booked{.subscription = "aqua-api",
                          .meter = "api.requests",
                          .unit = "1",
                          .quantity = Decimal::integer(100),
                          .count = 10,
                          .rate_card = "standard",
                          .rate_card_version = 1,
                          .tiers = {}};
  LateInput input{.tenant = "demo",
                  .contract = "aqua-2026",
                  .period = kHour,
                  .key = {"aqua-api", "api.requests"},
                  .unit = "1",
                  .booked = &booked,
                  .adjustments = 0,
                  .quantity = Decimal::integer(130),
                  .count = 12,
                  .document = "bs-1",
                  .now = kNow};

  const auto late = late_exception(input);
  REQUIRE(late);
  CHECK(late->mode == UpsertMode::replace);
  CHECK(late->row.value.text() == "30");
  CHECK(late->row.count == 2);
  CHECK(late->row.document == "bs-1");
  CHECK(late->row.detail.find("booked 100 of 10 readings, now 130 of 12") != std::string::npos);

  input.booked = nullptr;
  CHECK(late_exception(input)->row.value.text() == "130");
  CHECK(late_exception(input)->row.id == late->row.id);
  input.adjustments = 1;
  CHECK(late_exception(input)->row.id != late->row.id);

  input.booked = &booked;
  input.quantity = Decimal::integer(100);
  input.count = 10;
  CHECK(late_exception(input)->mode == UpsertMode::clear);

  // A mapping that moved away leaves less than was booked.
  input.quantity = Decimal();
  input.count = 0;
  CHECK(late_exception(input)->row.value.text() == "-100");
  CHECK(late_exception(input)->row.count == 10);
}

TEST_CASE("a device is silent once the period waits longer than the contract allows") {
  const Catalog catalog = read_catalog(kExampleCatalog);
  const Contract& contract = *catalog.contract("aqua-2026");
  const std::vector<DeviceNeed> needs{{"app-1", kHour.until, false, {}},
                                      {"app-2", kHour.until, false, {}}};
  const std::vector<Waiting> waiting{{Waiting::Reason::no_stream, "app-1", {}, {}, {}}};
  const Timestamp due = kHour.until + contract.grace + contract.silence;

  const auto early = silence_exceptions("demo", contract, kHour, needs, waiting, due - Duration(1));
  REQUIRE(early.size() == 1);
  CHECK(early[0].mode == UpsertMode::clear);
  CHECK(early[0].row.device == "app-2");

  const auto overdue = silence_exceptions("demo", contract, kHour, needs, waiting, due);
  REQUIRE(overdue.size() == 2);
  CHECK(overdue[0].mode == UpsertMode::replace);
  CHECK(overdue[0].row.device == "app-1");
  CHECK(overdue[0].row.detail.find("no open stream") != std::string::npos);
}

}  // namespace
}  // namespace ledgerline::collector
