#include "collector/core/opportunity.h"

#include "common/json.h"
#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

using Reason = OpportunityInput::Reason;

Timestamp at(std::string_view text) { return parse_rfc3339(text).value(); }
Decimal dec(std::string_view text) { return Decimal::parse(text).value(); }
const LineKey kRequests{"aqua-api", "api.requests"};

Catalog catalog_until(const std::string& until) {
  return read_catalog(
      example_with("grace = \"10s\"", "grace = \"10s\"\nuntil = \"" + until + "\"") +
      "[[account_update]]\nname = \"health\"\nconnector = \"crm\"\n"
      "renewal_window = \"60d\"\noverage_periods = 3\n");
}

BookedLine line(const std::string& meter, const std::string& quantity) {
  BookedLine out;
  out.subscription = "aqua-api";
  out.meter = meter;
  out.unit = "1";
  out.quantity = dec(quantity);
  out.count = 5;
  return out;
}

/// Hours of February 2026, newest first; 1000 requests an hour are included.
std::vector<ClosedPeriod> hours(const std::vector<std::string>& quantities,
                                const std::string& total = "") {
  std::vector<ClosedPeriod> out;
  Timestamp until = at("2026-02-10T12:00:00Z");
  for (const std::string& quantity : quantities) {
    ClosedPeriod one{.period = {until - std::chrono::hours(1), until}, .booked = {}, .total = {}};
    if (quantity != "-") one.booked.lines = {line("api.requests", quantity), line("seats", "7")};
    if (!total.empty()) one.total = dec(total);
    out.push_back(one);
    until = one.period.from;
  }
  return out;
}

TEST_CASE("a renewal window opens with a local day and ends with the contract", "[opportunity]") {
  struct Case {
    const char* until;
    const char* opens;
    const char* ends;
  };
  for (const Case& one : std::vector<Case>{
           // Winter time on both sides.
           {"2027-01-01", "2026-11-01T23:00:00Z", "2026-12-31T23:00:00Z"},
           // 60 days before the end of May it is still winter.
           {"2026-05-27", "2026-03-27T23:00:00Z", "2026-05-26T22:00:00Z"},
           // An end inside a day: the days count from that day's beginning.
           {"2026-05-27T15:00:00Z", "2026-03-27T23:00:00Z", "2026-05-27T15:00:00Z"},
       }) {
    const Catalog catalog = catalog_until(one.until);
    const auto window =
        renewal_window(*catalog.contract("aqua-2026"), catalog.account_rules().at("health"));
    REQUIRE(window);
    REQUIRE(*window);
    CHECK(to_rfc3339((*window)->from) == to_rfc3339(at(one.opens)));
    CHECK(to_rfc3339((*window)->until) == to_rfc3339(at(one.ends)));
  }
  const Catalog endless = read_catalog(kExampleCatalog);
  AccountRule rule;
  rule.renewal_days = 60;
  CHECK_FALSE(*renewal_window(*endless.contract("aqua-2026"), rule));
  const Catalog ending = catalog_until("2027-01-01");
  rule.renewal_days = 0;
  CHECK_FALSE(*renewal_window(*ending.contract("aqua-2026"), rule));
}

TEST_CASE("overage is told when it repeats, once as long as it lasts", "[opportunity]") {
  const Catalog catalog = catalog_until("2027-01-01");
  const Contract& contract = *catalog.contract("aqua-2026");
  const AccountRule& rule = catalog.account_rules().at("health");
  struct Case {
    const char* what;
    std::vector<std::string> quantities;  // newest first
    bool told_before;
    bool opens;
    bool told_after;
  };
  for (const Case& one : std::vector<Case>{
           {"three in a row", {"1001", "2000", "1000.1"}, false, true, true},
           {"all of it is not beyond it", {"1001", "1000", "1001"}, false, false, false},
           {"too few periods yet", {"1001", "1001"}, false, false, false},
           {"a period without usage between", {"1001", "-", "1001"}, false, false, false},
           {"told already", {"1001", "1001", "1001"}, true, false, true},
           {"over", {"1000", "1001", "1001"}, true, false, false},
           {"over without usage", {"-", "1001", "1001"}, true, false, false},
       }) {
    INFO(one.what);
    std::set<LineKey> told;
    if (one.told_before) told.insert(kRequests);
    const auto lines = repeated_overage(catalog, contract, rule, hours(one.quantities), told);
    CHECK(lines == (one.opens ? std::set{kRequests} : std::set<LineKey>{}));
    CHECK(told.contains(kRequests) == one.told_after);
    CHECK_FALSE(told.contains({"aqua-api", "seats"}));  // includes nothing
  }
}

TEST_CASE("an opportunity is worth the mean of its periods", "[opportunity]") {
  const Catalog catalog = catalog_until("2027-01-01");
  const auto periods = hours({"1001", "2000", "1500"}, "10.01");
  const auto document = make_opportunity(catalog, *catalog.contract("aqua-2026"),
                                         catalog.account_rules().at("health"),
                                         {.tenant = "demo",
                                          .reason = Reason::overage,
                                          .opened_at = periods[0].period.until,
                                          .due_at = at("2026-02-10T13:00:00Z"),
                                          .about = periods[0].period.from,
                                          .periods = periods,
                                          .only = std::set{kRequests},
                                          .log_leaves = 17,
                                          .now = at("2026-02-10T12:00:20Z")});
  REQUIRE(document);
  CHECK(document->total.text() == "10.01");
  CHECK((document->currency == "EUR" && document->state == DocumentState::approved));
  CHECK(
      document->body ==
      R"({"format":1,"kind":"opportunity","id":")" + document->id +
          R"(","revision":1,"tenant":"demo","account":{"name":"aqua","legal_name":"Aqua Works Ltd",)"
          R"("external":"C-1001"},"contract":"aqua-2026","connector":"crm","rule":"health",)"
          R"("reason":"overage","description":"Aqua Works Ltd used more than contract aqua-2026 )"
          R"(includes in 3 periods in a row: api.requests of aqua-api",)"
          R"("opened_at":"2026-02-10T12:00:00.000Z","due_at":"2026-02-10T13:00:00.000Z",)"
          R"("currency":"EUR","amount":"10.01","lines":[{"subscription":"aqua-api",)"
          R"("meter":"api.requests","unit":"1","quantity":"1500.33","included":"1000","periods":3}],)"
          R"("catalog":")" +
          catalog.hash().hex() + R"(","evidence":{"log_leaves":17}})");
}

TEST_CASE("a renewal without a past has no amount, one with a past names every line",
          "[opportunity]") {
  const Catalog catalog = catalog_until("2027-01-01");
  const Contract& contract = *catalog.contract("aqua-2026");
  OpportunityInput input{.tenant = "demo",
                         .reason = Reason::renewal,
                         .opened_at = at("2026-11-01T23:00:00Z"),
                         .due_at = *contract.until,
                         .about = *contract.until,
                         .periods = {},
                         .only = {},
                         .log_leaves = 17,
                         .now = at("2026-11-02T00:00:00Z")};
  const auto body = [&] {
    const auto document =
        make_opportunity(catalog, contract, catalog.account_rules().at("health"), input);
    REQUIRE(document);
    return parse_json(document->body).value();
  };
  CHECK(body().find("amount")->is(Json::Kind::null));
  CHECK(body().find("lines")->items().empty());
  CHECK(body().find("description")->text() ==
        "Contract aqua-2026 of Aqua Works Ltd ends at 2027-01-01T00:00:00+01:00");

  const auto periods = hours({"10", "-", "20", "30"}, "1.00");
  input.periods = periods;
  REQUIRE(body().find("lines")->items().size() == 2);
  CHECK(body().find("lines")->items()[0].find("quantity")->text() == "15");
  CHECK(body().find("amount")->text() == "1.00");

  auto huge =
      hours({"99999999999999999999999999999999999999", "99999999999999999999999999999999999999"});
  input.periods = huge;
  const auto refused =
      make_opportunity(catalog, contract, catalog.account_rules().at("health"), input);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::reject);
}

}  // namespace
}  // namespace ledgerline::collector
