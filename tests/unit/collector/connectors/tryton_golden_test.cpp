// The profile against real requests and replies of Tryton 6.0 (deploy/tryton/goldens): what it asks
// is exactly what was recorded, and what was answered leads to the right outcome. No sockets: the
// test plays the engine.

#include <catch2/catch.hpp>
#include <map>

#include "tests/unit/collector/connectors/tryton_conversation.h"

namespace ledgerline::collector {
namespace {

using namespace testing;  // NOLINT: the world of this folder's tests

/// The document whose invoice was recorded: one line of exact price, one whose amount only fits as
/// 1 x 12.34.
Json recorded_document(const std::string& party = "C-1001",
                       const std::string& product = "API-CALL") {
  return example_document(
      "bs-acme-C-1001-2026-11-r0", party,
      {{product, "1234", "0.00035", "0.43"}, {product, "45678.901", "0.00027014", "12.34"}});
}

const std::vector<std::string> kCreation = {"currency", "party",        "address",
                                            "product",  "price-digits", "account-receivable",
                                            "journal",  "create"};

std::vector<std::string> creation_ending(std::initializer_list<std::string> end) {
  auto names = kCreation;
  names.pop_back();
  names.insert(names.end(), end);
  return names;
}

TEST_CASE("logging in gives the session's header") {
  const auto step = Conversation().run("login", {}, {"login"});
  CHECK(step.value.dump() == R"({"Authorization":"Session Y29sbGVjdG9yOjI6U0VTU0lPTi1UT0tFTg=="})");
}

TEST_CASE("a refused login names user and remedy, not the password") {
  const auto step = Conversation().run("login", {}, {"login"});
  const Json settings =
      Json::object({{"user", Json::string("collector")}, {"password", Json::string("wrong")}});
  const auto profile = LuaProfile::load(tryton_profile(), "tryton.lua").value();
  auto call = profile->start("login", {settings}).value();
  const auto asked = call.resume().value();
  CHECK(sorted(*asked.value.find("json")) == golden("error-password").request);
  const auto end = call.resume(reply_of(golden("error-password"))).value();
  REQUIRE(end.kind == LuaStep::Kind::outcome);
  CHECK_THAT(end.value.find("reason")->text(),
             Catch::Contains("collector") && Catch::Contains("password_file"));
  CHECK(end.value.dump().find("wrong") == std::string::npos);
}

TEST_CASE("our id is looked for and found, or not") {
  CHECK(Conversation()
            .run("find", {recorded_document()}, {"find-absent"})
            .value.is(Json::Kind::null));
  CHECK(Conversation().run("find", {recorded_document()}, {"find-present"}).value.dump() ==
        R"({"reference":"1"})");
}

TEST_CASE("the invoice that is created is the recorded one") {
  Conversation conversation;
  const auto step = conversation.run("create", {recorded_document()}, kCreation);
  CHECK(step.value.dump() == R"({"reference":"1"})");
  const Json& invoice = conversation.last_request_.find("params")->items()[0].items()[0];
  CHECK(invoice.find("reference")->text() == "aqua-2026 2026-11-01T00:00:00+01:00");
  const Json& line = invoice.find("lines")->items()[0].items()[1].items()[1];
  CHECK(line.find("description")->text() ==
        "API calls: 45678.901 metered (api.requests): 45678.901 at 0.00027014 EUR [aqua-api]");
}

const std::string kAdjustmentId = "ad-0123456789abcdef0123456789abcdef";

TEST_CASE("an adjustment that falls is a draft invoice of negative lines that names the original") {
  Conversation conversation;
  const Json document = example_adjustment(kAdjustmentId);
  conversation.run("create", {document}, creation_ending({"adjustment-create"}));

  const Json& invoice = conversation.last_request_.find("params")->items()[0].items()[0];
  CHECK(invoice.find("description")->text() ==
        "Adjustment 2 of bs-1. Usage from 2026-11-01T00:00:00+01:00 until "
        "2026-12-01T00:00:00+01:00 Europe/Brussels");
  const Json& line = invoice.find("lines")->items()[0].items()[1].items()[0];
  CHECK(line.find("description")->text() ==
        "API calls: 100 metered (api.requests), 47012.901 booked before: -1234 at 0.00035 EUR "
        "[aqua-api]");
  const auto confirmed =
      conversation.run("confirm", {document, Json::string("1")}, {"adjustment-find-present"});
  CHECK(confirmed.value.find("equal")->as_bool());
  CHECK(confirmed.value.find("amount")->text() == "-12.77 EUR");
}

TEST_CASE("an adjustment of a period that had no bill says so") {
  Conversation conversation;
  conversation.run("create", {example_adjustment(kAdjustmentId, Json::null())},
                   creation_ending({"adjustment-create"}));

  const Json& invoice = conversation.last_request_.find("params")->items()[0].items()[0];
  CHECK_THAT(invoice.find("description")->text(),
             Catch::StartsWith("Adjustment 2 of an unbilled period. Usage from"));
}

TEST_CASE("the second invoice asks for nothing that is known already") {
  Conversation conversation;
  conversation.run("create", {recorded_document()}, kCreation);
  CHECK(conversation.run("create", {recorded_document()}, {"create"}).value.dump() ==
        R"({"reference":"1"})");
}

TEST_CASE("a refusal is judged by our id, not by its words") {
  const auto found = Conversation().run("create", {recorded_document()},
                                        creation_ending({"error-duplicate", "find-present"}));
  CHECK(found.value.dump() == R"({"reference":"1"})");
  const auto refused = Conversation().run("create", {recorded_document()},
                                          creation_ending({"error-duplicate", "find-absent"}));
  REQUIRE(refused.kind == LuaStep::Kind::outcome);
  CHECK(refused.value.find("outcome")->text() == "rejected");
  CHECK_THAT(refused.value.find("reason")->text(), Catch::Contains("already exists"));
}

TEST_CASE("unknown master data is rejected before anything is created") {
  const auto party =
      Conversation().run("create", {recorded_document("C-9999")}, {"currency", "party-unknown"});
  CHECK(party.value.find("outcome")->text() == "rejected");
  CHECK_THAT(party.value.find("reason")->text(), Catch::StartsWith("no party with code 'C-9999'"));
  const auto product = Conversation().run("create", {recorded_document("C-1001", "NOPE")},
                                          {"currency", "party", "address", "product-unknown"});
  CHECK_THAT(product.value.find("reason")->text(),
             Catch::StartsWith("no product with code 'NOPE'"));
}

TEST_CASE("reading back compares amount, currency, party and lines") {
  const auto equal =
      Conversation().run("confirm", {recorded_document(), Json::string("1")}, {"find-present"});
  CHECK(equal.value.dump() ==
        R"({"amount":"12.77 EUR","differences":"","equal":true,"state":"draft"})");

  auto other = recorded_document("C-1002");
  other.set("untaxed_total", Json::string("12.78"));
  const auto step = Conversation().run("confirm", {other, Json::string("1")}, {"find-present"});
  CHECK_FALSE(step.value.find("equal")->as_bool());
  CHECK(step.value.find("differences")->text() ==
        "amount 12.77 instead of 12.78; party C-1001 instead of C-1002; ");
}

TEST_CASE("quantity and price are shown where their product is exactly our amount") {
  struct Case {
    ExampleLine line;
    std::string quantity;
    std::string price;
  };
  const std::vector<Case> cases = {
      {{"API-CALL", "1234", "0.00035", "0.43"}, "1234", "0.00035"},
      {{"API-CALL", "0", "0.00035", "0.00"}, "0", "0.00035"},
      {{"API-CALL", "1234.000", "2.50", "3085.00"}, "1234", "2.5"},
      {{"API-CALL", "1234.5", "2", "2469.00"}, "1", "2469.00"},   // the unit has no decimals
      {{"API-CALL", "100", "0.000000001", "0.00"}, "1", "0.00"},  // nine decimals of price
      {{"API-CALL", "1000", "0.0035", "3.49"}, "1", "3.49"},      // our amount is another
      {{"API-CALL", "1234567890123456", "1", "1234567890123456.00"},
       "1",
       "1234567890123456.00"},  // beyond a float
      {{"API-CALL", "123456789012345", "1", "123456789012345.00"}, "123456789012345", "1"},
  };
  for (const Case& row : cases) {
    const auto profile = LuaProfile::load(tryton_profile(), "tryton.lua").value();
    auto call = profile
                    ->start("create", {example_document("x", "C-1001", {row.line}),
                                       Json::object({{"company", Json::string("1")}})})
                    .value();
    std::optional<Json> reply;
    Json line;
    for (;;) {
      const auto step = call.resume(reply).value();
      REQUIRE(step.kind == LuaStep::Kind::request);
      const Json& asked = *step.value.find("json");
      if (asked.find("method")->text().ends_with(".create")) {
        line = asked.find("params")
                   ->items()[0]
                   .items()[0]
                   .find("lines")
                   ->items()[0]
                   .items()[1]
                   .items()[0];
        break;
      }
      static const std::map<std::string, std::string> kNames = {
          {"model.currency.currency.search_read", "currency"},
          {"model.party.party.search_read", "party"},
          {"model.party.address.search_read", "address"},
          {"model.product.product.search_read", "product"},
          {"model.account.invoice.line.fields_get", "price-digits"},
          {"model.account.account.search_read", "account-receivable"},
          {"model.account.journal.search_read", "journal"}};
      reply = reply_of(golden(kNames.at(asked.find("method")->text())));
    }
    INFO(row.line.quantity << " x " << row.line.unit_price);
    CHECK(line.find("quantity")->text() == row.quantity);
    CHECK(line.find("unit_price")->find("decimal")->text() == row.price);
  }
}

}  // namespace
}  // namespace ledgerline::collector
