// The catalog's account updates.
#include "collector/core/catalog_reader.h"
#include "collector/core/catalog_words.h"

namespace ledgerline::collector {

namespace {

constexpr Duration kDay = std::chrono::hours(24);
constexpr int kLimitPlacesMax = 4;  // as many as a share is shown with

tl::unexpected<Error> not_limits(const TomlTable& table, const std::string& what) {
  return fail(table.error_at(
      "limits", what + "; limits are shares of the included quantity, rising and at most " +
                    std::to_string(AccountRule::kLimitsMax) + ", such as [\"0.8\", \"1\"]"));
}

Result<std::vector<Decimal>> read_shares(TomlTable& table) {
  std::vector<Decimal> out;
  TRY(const auto written, table.strings("limits"));
  if (written.size() > AccountRule::kLimitsMax) return not_limits(table, "too many limits");
  for (const std::string& text : written) {
    const auto limit = Decimal::parse(text);
    if (!limit || *limit <= Decimal() || limit->trimmed().scale() > kLimitPlacesMax)
      return not_limits(table, in_quotes(text) + " is no share above 0 of at most 4 places");
    if (!out.empty() && *limit <= out.back())
      return not_limits(table, in_quotes(text) + " is not above the limit before it");
    out.push_back(limit->trimmed());
  }
  return out;
}

Status read_signals(TomlTable& table, AccountRule& rule) {
  if (table.has("expansion_above")) {
    TRY(rule.expansion_above, read_not_negative(table, "expansion_above"));
  }
  if (!table.has("churn_below")) return {};
  TRY(rule.churn_below, table.decimal("churn_below"));
  if (rule.churn_below->is_negative() && *rule.churn_below > Decimal::integer(-1)) return {};
  return fail(table.error_at(
      "churn_below",
      "\"churn_below\" is a fall: between -1 and 0, such as \"-0.3\" for 30 % less"));
}

Status read_opportunities(TomlTable& table, AccountRule& rule) {
  if (table.has("renewal_window")) {
    TRY(const Duration window, table.duration("renewal_window"));
    rule.renewal_days = window / kDay;
    if (window % kDay != Duration(0) || rule.renewal_days < 1 ||
        rule.renewal_days > AccountRule::kRenewalDaysMax)
      return fail(table.error_at("renewal_window",
                                 "\"renewal_window\" is whole days, 1d to 400d, such as \"60d\""));
  }
  if (table.has("overage_periods")) {
    TRY(rule.overage_periods, table.integer("overage_periods", 1, AccountRule::kOveragePeriodsMax));
  }
  return {};
}

Result<HealthWeights> read_weights(TomlTable& table) {
  HealthWeights out;
  if (!table.has("weights")) return out;
  TRY(TomlTable written, table.table("weights"));
  TRY(out.adoption, written.integer("adoption", 0, 100, 0));
  TRY(out.trend, written.integer("trend", 0, 100, 0));
  TRY(out.data, written.integer("data", 0, 100, 0));
  TRY_VOID(written.finish());
  if (out.adoption + out.trend + out.data == 0)
    return fail(table.error_at("weights", "one part of health has a weight above 0"));
  return out;
}

Result<AccountFeature> read_feature(TomlTable& table) {
  AccountFeature out;
  TRY(out.name, read_name(table, "name"));
  TRY(out.meter, read_name(table, "meter"));
  TRY(out.where, table.string_map("where"));
  std::sort(out.where.begin(), out.where.end());
  TRY_VOID(table.finish());
  return out;
}

}  // namespace

bool AccountRule::is_for(const std::string& account) const {
  return accounts.empty() || std::binary_search(accounts.begin(), accounts.end(), account);
}

Status CatalogReader::read_account_update(TomlTable table) {
  WrittenAccountRule rule{{}, table, {}};
  AccountRule& value = rule.value;
  TRY(value.name, read_name(table, "name"));
  TRY(value.connector, table.string("connector"));
  TRY(value.accounts, table.strings("accounts"));
  std::sort(value.accounts.begin(), value.accounts.end());
  if (table.has("accounts") && value.accounts.empty())
    return fail(table.error_at("accounts", "no account is named; without the key it is all"));
  TRY(value.limits, read_shares(table));
  TRY_VOID(read_signals(table, value));
  TRY_VOID(read_opportunities(table, value));
  TRY(value.weights, read_weights(table));
  TRY(rule.features, table.tables("feature"));
  if (rule.features.size() > AccountRule::kFeaturesMax)
    return fail(table.error_at("feature", "a rule names at most 32 features"));
  for (TomlTable& written : rule.features) {
    TRY(AccountFeature feature, read_feature(written));
    value.features.push_back(std::move(feature));
  }
  TRY_VOID(table.finish());
  account_rules_.push_back(std::move(rule));
  return {};
}

void CatalogReader::check_account_updates() {
  for (const WrittenAccountRule& rule : account_rules_) {
    const AccountRule& value = rule.value;
    for (const std::string& account : value.accounts) {
      if (!catalog_.accounts_.contains(account))
        complain(rule.at, "accounts", unknown("account", account, catalog_.accounts_));
    }
    check_connector(rule.at, value.connector);
    std::set<std::string> features;
    for (size_t i = 0; i < value.features.size(); ++i) {
      const AccountFeature& feature = value.features[i];
      if (!catalog_.meters_.contains(feature.meter))
        complain(rule.features[i], "meter", unknown("meter", feature.meter, catalog_.meters_));
      if (!features.insert(feature.name).second)
        complain(rule.features[i], "name",
                 "the feature " + in_quotes(feature.name) + " is in this rule already");
    }
    if (!catalog_.account_rules_.emplace(value.name, value).second)
      complain(rule.at, "name",
               "the account update " + in_quotes(value.name) + " is defined twice");
  }
}

}  // namespace ledgerline::collector
