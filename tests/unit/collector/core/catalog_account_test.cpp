#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

const std::string kRule = R"(
[[account_update]]
name = "health"
accounts = ["aqua"]
connector = "tryton"
limits = ["0.8", "1"]
expansion_above = "0.2"
churn_below = "-0.3"
renewal_window = "60d"
overage_periods = 3
weights = { adoption = 50, data = 25 }
  [[account_update.feature]]
  name = "search"
  meter = "api.requests"
  where = { code = "search" }
)";

std::string rule_with(const std::string& old_text, const std::string& new_text) {
  std::string out = kExampleCatalog + kRule;
  const size_t at = out.rfind(old_text);
  REQUIRE(at != std::string::npos);
  return out.replace(at, old_text.size(), new_text);
}

TEST_CASE("an account update is read with everything in it, and is in the hash",
          "[account_update]") {
  const Catalog catalog = read_catalog(kExampleCatalog + kRule);
  const AccountRule& rule = catalog.account_rules().at("health");
  CHECK(rule.connector == "tryton");
  CHECK((rule.is_for("aqua") && !rule.is_for("other")));
  CHECK(rule.limits == std::vector{*Decimal::parse("0.8"), Decimal::integer(1)});
  CHECK(rule.expansion_above == *Decimal::parse("0.2"));
  CHECK(rule.churn_below == *Decimal::parse("-0.3"));
  CHECK(rule.renewal_days == 60);
  CHECK(rule.overage_periods == 3);
  CHECK(rule.weights == HealthWeights{50, 0, 25});
  REQUIRE(rule.features.size() == 1);
  CHECK(rule.features[0].where == DimensionSet{{"code", "search"}});

  CHECK(catalog.hash() != read_catalog(kExampleCatalog).hash());
  for (const auto& [old_text, new_text] : std::vector<std::pair<std::string, std::string>>{
           {"\"0.8\", ", ""},
           {"\"60d\"", "\"59d\""},
           {"periods = 3", "periods = 2"},
           {"0.2", "0.3"},
           {"-0.3", "-0.4"},
           {"data = 25", "data = 26"},
           {"accounts = [\"aqua\"]", ""},
           {"code = \"search\"", "code = \"find\""},
       }) {
    INFO(old_text);
    CHECK(read_catalog(rule_with(old_text, new_text)).hash() != catalog.hash());
  }
  CHECK(read_catalog(rule_with("\"0.8\"", "\"0.80\"")).hash() == catalog.hash());
}

TEST_CASE("an account update needs a name and a connector, the rest is optional",
          "[account_update]") {
  const AccountRule rule =
      read_catalog(kExampleCatalog + "[[account_update]]\nname = \"h\"\nconnector = \"crm\"\n")
          .account_rules()
          .at("h");
  CHECK((rule.is_for("aqua") && rule.limits.empty() && !rule.expansion_above && !rule.churn_below));
  CHECK((rule.renewal_days == 0 && rule.overage_periods == 0));
  CHECK(rule.weights == HealthWeights{40, 30, 30});
}

TEST_CASE("what is wrong in an account update is named where it is written", "[account_update]") {
  const auto line = std::count(kExampleCatalog.begin(), kExampleCatalog.end(), '\n') + 1;
  struct Case {
    std::string old_text;
    std::string new_text;
    int line;  // of the rule's text
    std::string complaint;
  };
  for (const Case& one : std::vector<Case>{
           {"[\"aqua\"]", "[\"aqa\"]", 3, "unknown account \"aqa\"; did you mean \"aqua\"?"},
           {"[\"aqua\"]", "[]", 3, "no account is named; without the key it is all"},
           {"[\"0.8\", \"1\"]", "[\"1\", \"0.8\"]", 5, "\"0.8\" is not above the limit before it"},
           {"\"0.8\"", "\"0\"", 5, "\"0\" is no share above 0 of at most 4 places"},
           {"\"0.8\"", "\"80%\"", 5, "\"80%\" is no share above 0"},
           {"\"0.8\"", "\"0.80001\"", 5, "\"0.80001\" is no share above 0 of at most 4 places"},
           {"\"0.8\", \"1\"", "0.8", 5, "not a list of quoted texts"},
           {"\"0.2\"", "\"-0.2\"", 6, "\"expansion_above\" is negative"},
           {"\"-0.3\"", "\"0.3\"", 7, "\"churn_below\" is a fall: between -1 and 0"},
           {"\"-0.3\"", "\"-1\"", 7, "\"churn_below\" is a fall: between -1 and 0"},
           {"\"60d\"", "\"36h\"", 8, "\"renewal_window\" is whole days, 1d to 400d"},
           {"\"60d\"", "\"401d\"", 8, "\"renewal_window\" is whole days, 1d to 400d"},
           {"periods = 3", "periods = 0", 9, "overage_periods"},
           {"data = 25", "dat = 25", 10, "unknown key \"dat\"; did you mean \"data\"?"},
           {"adoption = 50, data = 25", "trend = 0", 10, "one part of health has a weight"},
           {"\"api.requests\"", "\"api.request\"", 13, "unknown meter \"api.request\""},
       }) {
    INFO(one.new_text);
    const auto result = Catalog::read({{"c.toml", rule_with(one.old_text, one.new_text)}});
    REQUIRE_FALSE(result);
    CHECK_THAT(result.error().text(), Catch::Contains(one.complaint));
    CHECK_THAT(result.error().text(),
               Catch::Contains("c.toml:" + std::to_string(line + one.line) + ":"));
  }
  CHECK_THAT(Catalog::read({{"c.toml", kExampleCatalog + kRule + kRule}}).error().text(),
             Catch::Contains("the account update \"health\" is defined twice"));
  CHECK_THAT(Catalog::read({{"c.toml", kExampleCatalog + kRule}}, {.connectors = {{"tryto"}}})
                 .error()
                 .text(),
             Catch::Contains("unknown connector \"tryton\"; did you mean \"tryto\"?"));
}

}  // namespace
}  // namespace ledgerline::collector
