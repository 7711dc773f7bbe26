#include "collector/core/documents.h"

#include <algorithm>

#include "common/json.h"
#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

Timestamp at(std::string_view text) { return parse_rfc3339(text).value(); }
const Period kHour{at("2026-03-29T00:00:00Z"), at("2026-03-29T01:00:00Z")};

DocumentInput input(const Catalog& catalog) {
  const RateCard* card = catalog.rate_card("standard", at("2026-01-01T00:00:00Z"));
  DocumentInput out{.tenant = "demo",
                    .period = kHour,
                    .lines = {},
                    .evidence = {.log_leaves = 12, .streams = {}},
                    .zone_database = "2025b",
                    .now = at("2026-03-29T01:00:12Z")};
  out.lines = rate({.subscription = "aqua-api",
                    .meter = "api.requests",
                    .unit = "1",
                    .quantity = Decimal::integer(12'500),
                    .count = 12'500},
                   *card, card->prices[0], 2)
                  .value();
  StreamProgress stream;
  stream.stream = StreamId::from(std::string_view("0123456789abcdef")).value();
  stream.device = "app-1";
  stream.folded_number = 3;
  stream.folded_seq = 12'500;
  out.evidence.streams.push_back(stream);
  return out;
}

/// Broken into lines for the eye only.
std::string golden_body() {
  std::string body =
      R"({"format":1,"kind":"billing-summary","id":"bs-37cd73b50615b769d163d75300dc018c","revision":1,"tenant":"demo",
"account":{"name":"aqua","legal_name":"Aqua Works Ltd","external":"C-1001"},"contract":"aqua-2026","connector":"tryton",
"approval":"auto","currency":"EUR","untaxed_total":"38.00",
"period":{"from":"2026-03-29T00:00:00.000Z","until":"2026-03-29T01:00:00.000Z","local_from":"2026-03-29T01:00:00+01:00",
"local_until":"2026-03-29T03:00:00+02:00","time_zone":"Europe/Brussels","zone_database":"2025b"},
"lines":[{"number":1,"subscription":"aqua-api","product":"API-CALL","description":"API calls","meter":"api.requests","unit":"1",
"quantity":"12500","readings":12500,"included":"1000","tier":{"from":"0","to":"10000"},"billable_quantity":"10000",
"unit_price":"0.0035","amount":"35.00","rate_card":{"name":"standard","version":1}},
{"number":2,"subscription":"aqua-api","product":"API-CALL","description":"API calls","meter":"api.requests","unit":"1",
"quantity":"12500","readings":12500,"included":"1000","tier":{"from":"10000","to":null},"billable_quantity":"1500",
"unit_price":"0.0020","amount":"3.00","rate_card":{"name":"standard","version":1}}],
"catalog":"34540c81c7870dd35b82cc5e15f2be8c28be1ea9a2b901be22d7ef612818e02f",
"evidence":{"log_leaves":12,"streams":[{"stream":"30313233343536373839616263646566","device":"app-1","batches":3,
"readings":12500}]}})";
  body.erase(std::remove(body.begin(), body.end(), '\n'), body.end());
  return body;
}

TEST_CASE("a document's id names tenant, contract, period and revision, and nothing else") {
  const std::string id = document_id("demo", "aqua-2026", kHour, 1);

  CHECK(id == "bs-37cd73b50615b769d163d75300dc018c");
  CHECK(document_id("demo", "aqua-2026", kHour, 2) != id);
  CHECK(document_id("dem", "oaqua-2026", kHour, 1) != id);
  CHECK(document_id("demo", "aqua-2026", {kHour.from, kHour.until + Duration(1)}, 1) != id);
}

TEST_CASE("the body is canonical, byte for byte") {
  const Catalog catalog = read_catalog(kExampleCatalog);

  const auto document = make_document(catalog, *catalog.contract("aqua-2026"), input(catalog));

  REQUIRE(document);
  CHECK(document->body == golden_body());
  const auto parsed = parse_json(document->body);
  REQUIRE(parsed);
  CHECK(parsed->dump() == document->body);
}

TEST_CASE("the row repeats what is searched for, and the total is the sum of the lines") {
  const Catalog catalog = read_catalog(kExampleCatalog);

  const auto document = make_document(catalog, *catalog.contract("aqua-2026"), input(catalog));

  REQUIRE(document);
  CHECK(document->total.text() == "38.00");
  CHECK(document->currency == "EUR");
  CHECK(document->account == "aqua");
  CHECK(document->connector == "tryton");
  CHECK(document->kind == "billing-summary");
  CHECK(document->state == DocumentState::approved);
  CHECK(document->decided_by == "auto");
}

TEST_CASE("a manual contract's document waits for one approval") {
  const Catalog catalog =
      read_catalog(example_with("approval = \"auto\"", "approval = \"manual\""));
  auto document = make_document(catalog, *catalog.contract("aqua-2026"), input(catalog)).value();
  REQUIRE(document.state == DocumentState::waiting_approval);

  const auto verdict = approve(document, "ann", Timestamp(7));

  REQUIRE(verdict);
  CHECK(verdict->state == DocumentState::approved);
  CHECK(verdict->by == "ann");
  REQUIRE(verdict->delivery);
  CHECK(verdict->delivery->id == document.id + ".r1.tryton");
  CHECK(verdict->delivery->state == DeliveryState::pending);
  CHECK(verdict->delivery->next_attempt_at == Timestamp(7));
  CHECK_FALSE(refuse(document, "ann", Timestamp(7))->delivery);

  document.state = DocumentState::approved;
  CHECK(approve(document, "bob", Timestamp(8)).error().code() == Errc::conflict);
  CHECK(refuse(document, "bob", Timestamp(8)).error().code() == Errc::conflict);
  document.state = DocumentState::waiting_approval;
  CHECK(approve(document, "", Timestamp(8)).error().code() == Errc::reject);
}

}  // namespace
}  // namespace ledgerline::collector
