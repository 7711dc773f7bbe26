// Evidence bundles: written from a store, checked with public keys alone.
#include "collector/core/correction.h"
#include "tests/unit/collector/fold/bundle_forgeries.h"

namespace ledgerline::collector {
namespace {

using Catch::Contains;

std::string all_of(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += text + "\n";
  return out;
}

TEST_CASE("a line is proven from its readings to its amount", "[bundle]") {
  Proven world;
  world.bill();
  const VerifyReport report = world.verified(world.bundle());
  INFO(all_of(report.proven));
  CHECK(report.failure.empty());
  CHECK_THAT(all_of(report.proven), Contains("quantity of aqua-api, api.requests: 107 1"));
  CHECK_THAT(all_of(report.proven), Contains("line 1: 107 1 x 0.01 EUR = 1.07 EUR"));
  CHECK_THAT(all_of(report.withheld), Contains("2 sections of batches"));
  CHECK(report.not_proven.size() >= 3);
  CHECK(world.verified(world.bundle("brio")).failure.empty());
}

TEST_CASE("a bundle of one section per batch is proven, too, and leaves nothing out", "[bundle]") {
  Proven world(Sections::one);
  world.bill();
  const VerifyReport report = world.verified(world.bundle());
  INFO(all_of(report.proven));
  CHECK(report.failure.empty());
  CHECK(report.withheld.empty());
}

TEST_CASE("the sealed bundle has nothing of other customers", "[bundle]") {
  Proven world;
  world.bill();
  const Bytes bytes = world.bundle();
  CHECK(text_of(bytes).find("brio") == std::string_view::npos);
}

TEST_CASE("nothing is proven by keys that one does not trust", "[bundle]") {
  Proven world;
  world.bill();
  const Bytes bytes = world.bundle();
  const PublicKey stranger = world.log_.signer().public_key();
  VerifyKeys keys = world.keys_;
  keys.collectors = {stranger};
  CHECK_THAT(verify_bundle(bytes, keys).failure, Contains("seal"));
  keys = world.keys_;
  keys.operators.clear();
  CHECK_THAT(verify_bundle(bytes, keys).failure, Contains("\"ada\""));
  keys = world.keys_;
  keys.devices["demo.app-1"] = {stranger};
  CHECK_THAT(verify_bundle(bytes, keys).failure, Contains("app-1"));
}

TEST_CASE("who has the collector's key is refused by name whatever is changed", "[bundle]") {
  for (const Forgery& forgery : forgeries()) {
    DYNAMIC_SECTION(forgery.what) {
      Proven world;
      world.bill();
      const Bytes forged = forgery.make(world);
      for (const std::string& word : forgery.refused_with)
        CHECK_THAT(world.refused(forged), Contains(word));
    }
  }
}

TEST_CASE("a correction shown at two leaves is proven once", "[bundle]") {
  Proven world;
  Correction correction;
  correction.tenant = "demo";
  correction.action = CorrectionAction::add;
  correction.device = "app-1";
  correction.subject = "aqua";
  correction.meter = "api.requests";
  correction.unit = "1";
  correction.from = at("2026-01-05T10:15:00Z");
  correction.value = Decimal::integer(20);
  correction.by = "ada";
  correction.at = at("2026-01-05T10:50:00Z");
  correction.reason = "by hand";
  auto made = sign_statement(LeafKind::correction, correction.json(), world.log_.signer()).value();
  world.log({.kind = made.kind,
             .id = made.id,
             .sealed = std::move(made.bytes),
             .at = correction.at,
             .expected_count = std::nullopt});
  world.bill();
  CHECK_THAT(all_of(world.verified(world.bundle()).proven), Contains("api.requests: 127 1"));

  Bundle forged = world.opened();
  const auto one = std::find_if(forged.statements.begin(), forged.statements.end(),
                                [](const auto& s) { return s.kind == LeafKind::correction; });
  REQUIRE(one != forged.statements.end());
  const BundleStatement twice = *one;
  forged.statements.insert(one, twice);
  forged = world.with_close(std::move(forged), [](CloseStatement& close, std::string&) {
    close.lines[0].quantity = Decimal::integer(147);
    close.lines[0].readings += 1;
    close.lines[0].amount = *Decimal::parse("1.47");
    close.log_leaves += 1;
  });
  CHECK_THAT(world.refused(world.sealed_again(forged)), Contains("come to 127"));
}

TEST_CASE("readings that the time of receipt makes implausible are named", "[bundle]") {
  Proven world;
  world.bill();
  Bundle forged = world.with_close(world.opened(), [](CloseStatement& close, std::string& body) {
    close.lines[0].quantity = Decimal::integer(67);
    close.lines[0].readings = 2;
    close.lines[0].amount = *Decimal::parse("0.67");
    for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
             {"\"quantity\":\"107\",\"readings\":3", "\"quantity\":\"67\",\"readings\":2"},
             {"\"billable_quantity\":\"107\"", "\"billable_quantity\":\"67\""},
             {"\"amount\":\"1.07\"", "\"amount\":\"0.67\""}})
      body = with(body, from, to);
  });
  forged.batches[1].received_at = at("2026-01-01T00:00:00Z");
  const VerifyReport report = world.verified(world.sealed_again(forged));
  INFO(report.failure);
  CHECK(report.holds());
  CHECK_THAT(all_of(report.not_proven), Contains("why 1 readings of these lines do not count"));
}

TEST_CASE("an adjustment is proven as the difference to what was booked", "[bundle]") {
  Proven world;
  world.bill();
  world.record({{"aqua", "2026-01-05T10:40:00Z", 13}});
  world.step("2026-01-05T12:00:00Z");
  world.documents = world.step("2026-01-05T13:30:00Z").documents;
  REQUIRE(world.documents.size() == 1);
  const VerifyReport report = world.verified(world.bundle());
  INFO(all_of(report.proven));
  CHECK(report.failure.empty());
  CHECK_THAT(all_of(report.proven), Contains("line 1: 13 1 x 0.01 EUR = 0.13 EUR") &&
                                        Contains("booked before of aqua-api, api.requests: 107 1"));
  CHECK_THAT(all_of(report.not_proven), Contains("says what was booked"));
}

}  // namespace
}  // namespace ledgerline::collector
