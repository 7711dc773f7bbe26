#include "collector/core/catalog.h"

#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

Timestamp at(std::string_view text) { return parse_rfc3339(text).value(); }

std::string complaint(const std::string& text, const CatalogOptions& options = {}) {
  const auto catalog = Catalog::read({{"c.toml", text}}, options);
  if (catalog) return "no complaint";
  CHECK(catalog.error().code() == Errc::config);
  return catalog.error().text();
}

TEST_CASE("a catalog is read with everything in it") {
  const Catalog catalog = read_catalog(kExampleCatalog);

  CHECK(catalog.tenant() == "demo");
  CHECK(catalog.meter("seats")->aggregation == Aggregation::max);
  CHECK(catalog.meter("nope") == nullptr);
  CHECK(catalog.account("aqua")->external == "C-1001");
  const Contract* contract = catalog.contract_of("aqua-api");
  REQUIRE(contract != nullptr);
  CHECK(contract->name == "aqua-2026");
  CHECK(contract->grace == Duration(10'000));
  CHECK(contract->adjust_after == std::chrono::hours(1));
  CHECK(contract->approval == Approval::automatic);
  CHECK(contract->rule.zone().name() == "Europe/Brussels");
  REQUIRE(catalog.links().size() == 1);
  CHECK(catalog.links()[0].asset == "pump-7");
  CHECK_FALSE(catalog.links()[0].until);
}

TEST_CASE("the rate card's version in force is the latest that began") {
  const Catalog catalog = read_catalog(kExampleCatalog);

  CHECK(catalog.rate_card("standard", at("2025-12-31T23:59:59Z")) == nullptr);
  CHECK(catalog.rate_card("standard", at("2026-01-01T00:00:00Z"))->version == 1);
  CHECK(catalog.rate_card("standard", at("2026-02-28T23:59:59Z"))->version == 1);
  CHECK(catalog.rate_card("standard", at("2026-03-01T00:00:00Z"))->version == 2);
  CHECK(catalog.rate_card("other", at("2026-03-01T00:00:00Z")) == nullptr);
}

TEST_CASE("a price without tiers is one tier, and prices stand by meter") {
  const Catalog catalog = read_catalog(kExampleCatalog);
  const RateCard* first = catalog.rate_card("standard", at("2026-01-01T00:00:00Z"));

  REQUIRE(first->prices.size() == 2);
  CHECK(first->prices[0].meter == "api.requests");
  CHECK(first->prices[0].tiers.size() == 2);
  CHECK(first->prices[1].tiers.size() == 1);
  CHECK(first->prices[1].included.is_zero());
  CHECK(catalog.rate_card("standard", at("2026-03-01T00:00:00Z"))->prices[0].description ==
        "API-CALL");
}

TEST_CASE("what does not fit together is named where it is written") {
  struct Row {
    const char* what;
    const char* old_text;
    const char* new_text;
    const char* expected;
  };
  const Row rows[] = {
      {"unknown meter in a rate card", "meter = \"seats\"", "meter = \"seat\"",
       "c.toml:22:3: unknown meter \"seat\"; did you mean \"seats\"?"},
      {"unknown rate card", "rate_card = \"standard\"", "rate_card = \"standrad\"",
       "c.toml:60:3: unknown rate card \"standrad\"; did you mean \"standard\"?"},
      {"unknown account", "account = \"aqua\"", "account = \"aquarium\"",
       "c.toml:50:1: unknown account \"aquarium\""},
      {"unknown subscription", "subscription = \"aqua-api\"", "subscription = \"aqua-app\"",
       "c.toml:65:1: unknown subscription \"aqua-app\"; did you mean \"aqua-api\"?"},
      {"unknown time zone", "Europe/Brussels", "Europe/Brusels",
       "c.toml:53:1: \"Europe/Brusels\" is no time zone of the IANA database; did you mean "
       "\"Europe/Brussels\"?"},
      {"unknown currency", "currency = \"EUR\"", "currency = \"EUX\"",
       "c.toml:19:1: \"EUX\" is no ISO 4217 currency in use"},
      {"currencies differ between card versions", "currency = \"EUR\"", "currency = \"USD\"",
       "c.toml:36:1: version 1 is in USD"},
      {"tier bounds do not rise", "{ unit_price = \"0.0020\" }",
       "{ up_to = \"10000\", unit_price = \"0.0020\" }",
       "c.toml:31:59: tier bounds rise: 10000 is not above 10000"},
      {"a last tier with a bound", "{ unit_price = \"0.0020\" }",
       "{ up_to = \"10001\", unit_price = \"0.0020\" }",
       "c.toml:31:3: the last tier has no up_to, so that every quantity has a price"},
      {"neither price nor tiers", "unit_price = \"9.90\"", "included = \"1\"",
       "a price has either unit_price or tiers"},
      {"an unquoted price", "\"9.90\"", "9.90",
       "c.toml:25:3: prices and quantities are quoted: unit_price = \"0.35\""},
      {"a negative price", "\"9.90\"", "\"-9.90\"", "c.toml:25:3: \"unit_price\" is negative"},
      {"an anchor that is no time", "anchor = \"2026-01-01T00:00:00Z\"", "anchor = \"soon\"",
       "c.toml:55:1: period and anchor: the anchor is neither"},
      {"a calendar period from an instant", "period = \"PT1H\"", "period = \"P1M\"",
       "c.toml:55:1: period and anchor: a period of months or days begins at a local date"},
      {"a rate card that begins too late", "from = \"2026-01-01T00:00:00Z\"",
       "from = \"2026-02-01T00:00:00Z\"",
       "c.toml:60:3: the rate card begins at 2026-02-01T00:00:00.000Z, after the contract's first "
       "period"},
      {"an unknown key", "legal_name", "legalname",
       "c.toml:45:1: unknown key \"legalname\"; did you mean \"legal_name\"?"},
      {"a gauge that is summed", "aggregation = \"max\"", "aggregation = \"sum\"",
       "c.toml:13:1: a gauge is not summed"},
      {"an unknown aggregation", "aggregation = \"max\"", "aggregation = \"maxx\"",
       "c.toml:13:1: \"maxx\" is none of sum, count, min, max, last; did you mean \"max\"?"},
      {"a diagnostic meter with a price", "class = \"billing\"", "class = \"diagnostic\"",
       "c.toml:22:3: the meter \"seats\" is diagnostic and cannot be billed"},
      {"an empty name", "name = \"aqua-2026\"", "name = \"\"",
       "c.toml:49:1: a name has 1 to 100 bytes"},
      {"a link that ends before it begins", "asset = \"pump-7\"",
       "until = \"2025-01-01T00:00:00Z\"", "c.toml:66:1: the link ends before it begins"},
      {"the same version twice", "version = 2", "version = 1",
       "the rate card has this version already"},
  };

  for (const Row& row : rows) {
    INFO(row.what);
    const std::string found = complaint(example_with(row.old_text, row.new_text));
    INFO(found);
    CHECK(found.find(row.expected) != std::string::npos);
  }
}

TEST_CASE("links of one device and subject do not overlap, gaps are allowed") {
  const auto link = [](const std::string& subject, const std::string& from,
                       const std::string& until) {
    return "\n[[link]]\ndevice = \"app-1\"\nsubject = \"" + subject +
           "\"\nsubscription = \"aqua-api\"\nfrom = \"" + from + "-01-01T00:00:00Z\"\n" +
           (until.empty() ? "" : "until = \"" + until + "-01-01T00:00:00Z\"\n");
  };
  const std::string base = kExampleCatalog;

  CHECK(complaint(base + link("*", "2026", "")) == "no complaint");
  CHECK(complaint(base + link("x", "2026", "2027") + link("x", "2027", "")) == "no complaint");
  CHECK(complaint(base + link("x", "2026", "2027") + link("x", "2028", "2029")) == "no complaint");
  CHECK(complaint(base + link("x", "2027", "2029") + link("x", "2026", "2028"))
            .find("overlaps the link of device \"app-1\", subject \"x\"") != std::string::npos);
  CHECK(complaint(base + link("aqua", "2030", "")).find("that begins at 2026-01-01") !=
        std::string::npos);
}

TEST_CASE("all complaints come at once, up to a limit") {
  std::string text = example_with("account = \"aqua\"", "account = \"x\"");
  text.replace(text.find("rate_card = \"standard\""), 22, "rate_card = \"y\"");
  const std::string found = complaint(text);
  CHECK(found.find("unknown account") != std::string::npos);
  CHECK(found.find("unknown rate card") != std::string::npos);

  std::string many;
  for (int i = 0; i < 30; ++i) many += "[[meter]]\nname = \"m\"\n";
  CHECK(complaint(many).find("and 10 more") != std::string::npos);
}

TEST_CASE("a subscription belongs to one contract") {
  const size_t begin = kExampleCatalog.find("[[contract]]");
  std::string second = kExampleCatalog.substr(begin, kExampleCatalog.find("[[link]]") - begin);
  second.replace(second.find("aqua-2026"), 9, "aqua-2027");

  CHECK(complaint(kExampleCatalog + second)
            .find("the subscription \"aqua-api\" is in contract \"aqua-2026\" already") !=
        std::string::npos);
}

TEST_CASE("a connector that is not configured is named where the configuration is known") {
  CHECK(complaint(kExampleCatalog, {.connectors = {{"tryton"}}}) == "no complaint");
  CHECK(complaint(kExampleCatalog, {.connectors = {{"trytn"}}}) ==
        "c.toml:51:1: unknown connector \"tryton\"; did you mean \"trytn\"?");
}

TEST_CASE("the hash names the content, not the spelling") {
  const Catalog catalog = read_catalog(kExampleCatalog);
  const std::string meters = kExampleCatalog.substr(0, kExampleCatalog.find("[[rate_card]]"));
  const std::string rest = kExampleCatalog.substr(meters.size());

  const auto split = Catalog::read({{"b.toml", rest}, {"a.toml", "# a comment\n" + meters}});
  REQUIRE(split);
  CHECK(split->hash() == catalog.hash());
  CHECK(read_catalog(example_with("\"9.90\"", "\"9.9\"")).hash() == catalog.hash());
  CHECK(read_catalog(example_with("\"9.90\"", "\"9.91\"")).hash() != catalog.hash());
  CHECK(read_catalog(example_with("Hall 3", "Hall 4")).hash() != catalog.hash());
  CHECK(catalog.hash().hex() == "34540c81c7870dd35b82cc5e15f2be8c28be1ea9a2b901be22d7ef612818e02f");
}

TEST_CASE("files of two tenants do not make one catalog") {
  const auto catalog =
      Catalog::read({{"a.toml", "tenant = \"one\"\n"}, {"b.toml", "tenant = \"two\"\n"}});

  REQUIRE_FALSE(catalog);
  CHECK(catalog.error().text().find("b.toml:1:1: another file names the tenant \"one\"") == 0);
}

}  // namespace
}  // namespace ledgerline::collector
