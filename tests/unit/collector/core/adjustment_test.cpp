#include "collector/core/adjustment.h"

#include <algorithm>
#include <random>

#include "collector/core/commerce.h"
#include "common/json.h"
#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

Timestamp at(std::string_view text) { return parse_rfc3339(text).value(); }
const Period kHour{at("2026-01-05T10:00:00Z"), at("2026-01-05T11:00:00Z")};
const Timestamp kNow = at("2026-01-05T13:00:00Z");
const LineKey kRequests{"aqua-api", "api.requests"};
const LineKey kSeats{"aqua-api", "seats"};

MeterUsage used(int64_t value, int scale = 0) {
  UsageValue usage;
  usage.add(value, {0, {}, 1});
  MeterUsage out;
  REQUIRE(out.add(usage, scale));
  return out;
}

/// One contract's period as the store would hold it, booked again and again.
class Books {
 public:
  explicit Books(Catalog catalog = read_catalog(kExampleCatalog)) : catalog_(std::move(catalog)) {}

  void close(PeriodUsage usage, Period period = kHour) {
    const auto decision = close_period(catalog_, contract(),
                                       {.tenant = "demo",
                                        .period = period,
                                        .usage = std::move(usage),
                                        .evidence = {},
                                        .zone_database = "2025b",
                                        .now = kNow - std::chrono::hours(2)});
    REQUIRE(decision);
    row = decision->period;
    if (decision->document) documents.push_back(*decision->document);
  }

  Result<AdjustDecision> decide(PeriodUsage usage, Period period = kHour) {
    return adjust_period(catalog_, contract(),
                         {.tenant = "demo",
                          .row = row,
                          .detail = PeriodDetail::parse(row.detail).value(),
                          .period = period,
                          .usage = std::move(usage),
                          .evidence = {.log_leaves = 7, .streams = {}},
                          .zone_database = "2025b",
                          .now = kNow});
  }

  AdjustDecision adjust(PeriodUsage usage) {
    const auto decision = decide(std::move(usage));
    INFO((decision ? "" : decision.error().text()));
    REQUIRE(decision);
    if (!decision->periods.empty()) row = decision->periods.at(0);
    if (decision->document) documents.push_back(*decision->document);
    return *decision;
  }

  const Contract& contract() const { return *catalog_.contract("aqua-2026"); }
  void take(Catalog catalog) { catalog_ = std::move(catalog); }

  PeriodRow row;
  std::vector<DocumentRow> documents;

 private:
  Catalog catalog_;
};

std::string texts(const DocumentRow& document, std::initializer_list<const char*> members) {
  std::string out;
  const Json body = parse_json(document.body).value();
  for (const Json& line : body.find("lines")->items()) {
    out += out.empty() ? "" : "; ";
    for (const char* member : members)
      out += std::string(*members.begin() == member ? "" : " ") + line.find(member)->text();
  }
  return out;
}

TEST_CASE("a rise is booked as the difference, tier by tier") {
  Books books;
  books.close({{kRequests, used(10'500)}});  // 1000 included, 9500 of the first tier

  const AdjustDecision decision = books.adjust({{kRequests, used(12'500)}});

  REQUIRE(decision.document);
  CHECK(decision.document->kind == "adjustment");
  CHECK(decision.document->total.text() == "4.75");
  CHECK(texts(*decision.document, {"quantity", "booked_quantity", "billable_quantity", "amount"}) ==
        "12500 10500 500 1.75; 12500 10500 1500 3.00");
  REQUIRE(decision.delivery);
  CHECK(decision.delivery->document == decision.document->id);
  REQUIRE(decision.periods.size() == 1);
  CHECK(decision.periods[0].revision == 2);
  CHECK(decision.periods[0].cursor == 7);
  const PeriodDetail detail = PeriodDetail::parse(decision.periods[0].detail).value();
  CHECK(detail.bookings.size() == 2);
  CHECK(detail.original() == books.documents[0].id);
  CHECK(detail.bookings[1].document == decision.document->id);
  CHECK(detail.find(kRequests)->quantity.text() == "12500");
  CHECK(detail.find(kRequests)->amount()->text() == "38.00");
}

TEST_CASE("a fall is booked with negative amounts, down to nothing") {
  Books books;
  books.close({{kRequests, used(12'500)}, {kSeats, used(3)}});

  CHECK(books.adjust({{kRequests, used(12'500)}, {kSeats, used(1)}}).document->total.text() ==
        "-19.80");
  const AdjustDecision gone = books.adjust({});

  CHECK(gone.document->total.text() == "-47.90");
  CHECK(texts(*gone.document, {"meter", "quantity", "booked_quantity", "billable_quantity"}) ==
        "api.requests 0 12500 -10000; api.requests 0 12500 -1500; seats 0 1 -1");
  CHECK(PeriodDetail::parse(books.row.detail)->lines.empty());
  CHECK(books.row.revision == 3);
}

TEST_CASE("the body names what it adjusts, and each adjustment has an id of its own") {
  Books books;
  books.close({{kSeats, used(1)}});
  const DocumentRow first = books.adjust({{kSeats, used(2)}}).document.value();
  const DocumentRow second = books.adjust({{kSeats, used(3)}}).document.value();

  CHECK(first.id == adjustment_id("demo", "aqua-2026", kHour, 1));
  CHECK(second.id == adjustment_id("demo", "aqua-2026", kHour, 2));
  CHECK(first.id != second.id);
  CHECK(first.revision == 1);
  const std::string adjusts = R"("zone_database":"2025b"},"adjusts":{"document":")" +
                              books.documents[0].id + R"(","number":)";
  CHECK(first.body.find(adjusts + "1},\"lines\":[") != std::string::npos);
  CHECK(second.body.find(adjusts + "2},\"lines\":[") != std::string::npos);
  CHECK(parse_json(first.body)->dump() == first.body);
}

TEST_CASE("what changes no amount is booked without a document") {
  Books books;
  books.close({{kRequests, used(200)}});  // all of it included

  const AdjustDecision decision = books.adjust({{kRequests, used(900)}});

  CHECK_FALSE(decision.document);
  CHECK_FALSE(decision.delivery);
  REQUIRE(decision.periods.size() == 1);
  CHECK(PeriodDetail::parse(books.row.detail)->find(kRequests)->quantity.text() == "900");
  CHECK(books.adjust({{kRequests, used(2000)}}).document->id ==
        adjustment_id("demo", "aqua-2026", kHour, 1));
}

TEST_CASE("a billable quantity too small for a cent is told all the same") {
  Books books;
  books.close({{kRequests, used(1'001)}});

  const AdjustDecision decision = books.adjust({{kRequests, used(1'002)}});

  REQUIRE(decision.document);
  CHECK(decision.document->total.text() == "0.01");  // 0.0035 and 0.0070: each rounded once
  CHECK(books.adjust({{kRequests, used(1'003)}}).document->total.text() == "0.00");
}

TEST_CASE("where quantities agree nothing is booked") {
  Books books;
  books.close({{kSeats, used(4)}});

  const AdjustDecision decision = books.adjust({{kSeats, used(4)}});

  CHECK(decision.periods.empty());
  CHECK_FALSE(decision.document);
  CHECK(decision.outcome == "booked and present quantity agree again");
}

TEST_CASE("a period that had nothing to bill gets its first document by an adjustment") {
  Books books;
  books.close({});

  const AdjustDecision decision = books.adjust({{kSeats, used(1)}});

  CHECK(decision.document->total.text() == "9.90");
  CHECK(decision.document->body.find(R"("adjusts":{"document":null,"number":1})") !=
        std::string::npos);
}

TEST_CASE("one of many empty periods is divided from the rest when it is adjusted") {
  const Period noon{at("2026-01-05T12:00:00Z"), at("2026-01-05T13:00:00Z")};
  Books books;
  books.close({}, {kHour.from, at("2026-01-05T15:00:00Z")});

  const auto decision = books.decide({{kSeats, used(1)}}, noon);

  REQUIRE(decision);
  REQUIRE(decision->periods.size() == 3);
  const PeriodRow& before = decision->periods[0];
  const PeriodRow& adjusted = decision->periods[1];
  const PeriodRow& after = decision->periods[2];
  CHECK(before.from == kHour.from);
  CHECK(before.to == noon.from);
  CHECK(before.revision == 2);
  CHECK(before.detail == books.row.detail);
  CHECK(adjusted.from == noon.from);
  CHECK(adjusted.to == noon.until);
  CHECK(adjusted.revision == 1);
  CHECK(after.from == noon.until);
  CHECK(after.to == books.row.to);
  CHECK(after.revision == 1);
  CHECK(after.detail == books.row.detail);
  CHECK(decision->document->period_from == noon.from);
  for (const PeriodRow& row : decision->periods) CHECK(row.closed);
}

TEST_CASE("the first or last of many empty periods is divided from one side only") {
  Books books;
  books.close({}, {kHour.from, at("2026-01-05T12:00:00Z")});
  const Period second{kHour.until, books.row.to};

  const auto first = books.decide({{kSeats, used(1)}}, kHour);
  REQUIRE(first->periods.size() == 2);
  CHECK(first->periods[0].revision == 2);
  CHECK(first->periods[0].to == kHour.until);
  CHECK(first->periods[1].from == kHour.until);

  const auto last = books.decide({{kSeats, used(1)}}, second);
  REQUIRE(last->periods.size() == 2);
  CHECK(last->periods[0].to == kHour.until);
  CHECK(last->periods[1].from == kHour.until);
  CHECK(last->periods[1].to == books.row.to);
}

TEST_CASE("a manual contract's adjustment waits for its approval") {
  Books books(read_catalog(example_with("approval = \"auto\"", "approval = \"manual\"")));
  books.close({{kSeats, used(1)}});

  const AdjustDecision decision = books.adjust({{kSeats, used(2)}});

  CHECK(decision.document->state == DocumentState::waiting_approval);
  CHECK_FALSE(decision.delivery);
}

TEST_CASE("what cannot be rated is not booked") {
  Books books;
  books.close({{kSeats, used(1)}});

  CHECK(books.decide({{kSeats, used(-2)}}).error().code() == Errc::reject);
}

TEST_CASE("a line whose price left the catalog is not taken back by itself") {
  Books books;
  books.close({{kSeats, used(1)}, {kRequests, used(2'000)}});
  books.take(
      read_catalog(example_with("  [[rate_card.price]]\n  meter = \"seats\"\n  product = "
                                "\"SEAT\"\n  description = \"Seats\"\n  unit_price = "
                                "\"9.90\"\n",
                                "")));

  const auto decision = books.decide({{kRequests, used(2'000)}});

  REQUIRE_FALSE(decision);
  CHECK(decision.error().code() == Errc::reject);
  CHECK(decision.error().text().find("meter=seats") != std::string::npos);
}

TEST_CASE("a price that was changed meanwhile takes the old tier back and books the new one") {
  Books books;
  books.close({{kSeats, used(2)}});
  books.take(read_catalog(example_with("9.90", "10.00")));

  const AdjustDecision decision = books.adjust({{kSeats, used(3)}});

  CHECK(texts(*decision.document, {"unit_price", "billable_quantity", "amount"}) ==
        "9.90 -2 -19.80; 10.00 3 30.00");
  CHECK(decision.document->total.text() == "10.20");
}

TEST_CASE("a period takes a stated number of bookings") {
  Books books;
  books.close({{kSeats, used(1)}});
  PeriodDetail detail = PeriodDetail::parse(books.row.detail).value();
  detail.bookings.resize(PeriodDetail::kBookingsMax, {.document = {}, .at = kNow});
  books.row.detail = detail.json();

  CHECK(books.decide({{kSeats, used(2)}}).error().code() == Errc::reject);
}

TEST_CASE("whatever the steps, the documents add up to the rated cumulative quantity per tier") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 100; ++round) {
    Books books;
    int64_t quantity = static_cast<int64_t>(random() % 25'000'000);
    books.close({{kRequests, used(quantity, 3)}});
    for (int step = 0; step < 5; ++step) {
      quantity = static_cast<int64_t>(random() % 25'000'000);
      books.adjust({{kRequests, used(quantity, 3)}});
    }

    std::map<std::string, std::pair<Decimal, Decimal>> sums;  // by tier: billable, amount
    for (const DocumentRow& document : books.documents) {
      const Json body = parse_json(document.body).value();
      for (const Json& line : body.find("lines")->items()) {
        auto& [billable, amount] = sums[line.find("tier")->dump()];
        billable =
            add(billable, Decimal::parse(line.find("billable_quantity")->text()).value()).value();
        amount = add(amount, Decimal::parse(line.find("amount")->text()).value()).value();
      }
    }
    Books at_once;
    at_once.close({{kRequests, used(quantity, 3)}});
    const PeriodDetail booked = PeriodDetail::parse(at_once.row.detail).value();
    for (const RatedLine& tier : booked.lines.at(0).tiers) {
      const std::string name =
          Json::object({{"from", Json::string(tier.tier_from.text())},
                        {"to", tier.tier_to ? Json::string(tier.tier_to->text()) : Json::null()}})
              .dump();
      CHECK(sums[name].first == tier.billable_quantity);
      CHECK(sums[name].second == tier.amount);
      sums.erase(name);
    }
    for (const auto& [name, sum] : sums) {
      CHECK(sum.first.is_zero());
      CHECK(sum.second.is_zero());
    }
    CHECK(PeriodDetail::parse(books.row.detail)->find(kRequests)->amount().value() ==
          booked.lines.at(0).amount().value());
  }
}

TEST_CASE("what a period has booked is read back as it was written, and damage is refused") {
  Books books;
  books.close({{kRequests, used(12'500)}, {kSeats, used(0)}});
  const std::string text = books.row.detail;

  CHECK(PeriodDetail::parse(text)->json() == text);
  const PeriodDetail detail = PeriodDetail::parse(text).value();
  CHECK(detail.find(kSeats)->tiers.empty());
  CHECK(detail.find(kSeats)->rate_card == "standard");
  CHECK(detail.find(kRequests)->tiers.at(0).tier_to->text() == "10000");
  CHECK_FALSE(detail.find(kRequests)->tiers.at(1).tier_to);

  CHECK(PeriodDetail::parse("").error().code() == Errc::corrupt);
  CHECK(PeriodDetail::parse("[]").error().code() == Errc::corrupt);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"format\":2", "\"format\":1"},
           {"\"bookings\":[{", "\"bookings\":[{}],\"more\":[{"},
           {"\"readings\":1", "\"readings\":-1"},
           {"\"12500\"", "\"many\""},
           {"\"35.00\"", "null"},
           {"\"at\":\"2", "\"at\":\"x"},
           {"\"version\":1", "\"version\":\"one\""},
           {"\"lines\":", "\"line\":"}}) {
    std::string damaged = text;
    const size_t where = damaged.find(from);
    REQUIRE(where != std::string::npos);
    damaged.replace(where, from.size(), to);
    INFO(from << " " << damaged);
    CHECK(PeriodDetail::parse(damaged).error().code() == Errc::corrupt);
  }
}

}  // namespace
}  // namespace ledgerline::collector
