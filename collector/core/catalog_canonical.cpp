#include "collector/core/catalog_canonical.h"

namespace ledgerline::collector {

namespace {

Json text(std::string value) { return Json::string(std::move(value)); }
Json text(const Decimal& value) { return Json::string(value.trimmed().text()); }
Json text(Timestamp value) { return Json::string(to_rfc3339(value)); }

template <class Value>
Json optional_text(const std::optional<Value>& value) {
  return value ? text(*value) : Json::null();
}

}  // namespace

Json canonical_meter(const CatalogMeter& meter, const std::string& kind_member) {
  return Json::object({{"name", text(meter.name)},
                       {"unit", text(meter.unit)},
                       {kind_member, text(std::string(to_string(meter.kind)))},
                       {"aggregation", text(std::string(to_string(meter.aggregation)))},
                       {"class", text(std::string(to_string(meter.stream_class)))}});
}

namespace {

Json canonical_price(const Price& price) {
  Json tiers = Json::array();
  for (const Tier& tier : price.tiers) {
    tiers.push(Json::object(
        {{"up_to", optional_text(tier.up_to)}, {"unit_price", text(tier.unit_price)}}));
  }
  return Json::object({{"meter", text(price.meter)},
                       {"product", text(price.product)},
                       {"description", text(price.description)},
                       {"included", text(price.included)},
                       {"tiers", std::move(tiers)}});
}

}  // namespace

Json canonical_rate_card(const RateCard& card) {
  Json prices = Json::array();
  for (const Price& price : card.prices) prices.push(canonical_price(price));
  return Json::object({{"name", text(card.name)},
                       {"version", Json::number(card.version)},
                       {"currency", text(card.currency)},
                       {"from", text(card.from)},
                       {"prices", std::move(prices)}});
}

Json canonical_account(const Account& account) {
  return Json::object({{"name", text(account.name)},
                       {"legal_name", text(account.legal_name)},
                       {"external", text(account.external)}});
}

Json canonical_contract(const Contract& contract) {
  Json subscriptions = Json::array();
  for (const Subscription& subscription : contract.subscriptions) {
    subscriptions.push(Json::object(
        {{"name", text(subscription.name)}, {"rate_card", text(subscription.rate_card)}}));
  }
  return Json::object(
      {{"name", text(contract.name)},
       {"account", text(contract.account)},
       {"connector", text(contract.connector)},
       {"currency", text(contract.currency)},
       {"time_zone", text(contract.rule.zone().name())},
       {"anchor", text(contract.rule.anchor())},
       {"anchor_text", text(contract.anchor_text)},
       {"period", text(contract.period_text)},
       {"until", optional_text(contract.until)},
       {"grace_ms", Json::number(contract.grace.count())},
       {"silence_ms", Json::number(contract.silence.count())},
       {"adjust_after_ms", Json::number(contract.adjust_after.count())},
       {"approval", text(contract.approval == Approval::automatic ? "auto" : "manual")},
       {"subscriptions", std::move(subscriptions)}});
}

Json canonical_link(const Link& link) {
  Json out = Json::object({{"device", text(link.device)}, {"subject", text(link.subject)}});
  const Json span = canonical_link_span(link);
  for (const auto& [name, value] : span.members()) out.set(name, value);
  return out;
}

Json canonical_link_span(const Link& link) {
  return Json::object({{"subscription", text(link.subscription)},
                       {"asset", text(link.asset)},
                       {"from", text(link.from)},
                       {"until", optional_text(link.until)}});
}

Json canonical_asset(const Asset& asset) {
  return Json::object({{"name", text(asset.name)},
                       {"model", text(asset.model)},
                       {"site", text(asset.site)},
                       {"account", text(asset.account)},
                       {"external", text(asset.external)},
                       {"in_service_from", optional_text(asset.in_service_from)}});
}

namespace {

Json canonical_where(const DimensionSet& where) {
  Json out = Json::object();
  for (const auto& [name, value] : where) out.set(name, text(value));
  return out;
}

Json canonical_condition(const Condition& condition) {
  return Json::object({{"source", Json::number(static_cast<int64_t>(condition.source))},
                       {"meter", text(condition.meter)},
                       {"where", canonical_where(condition.where)},
                       {"value", text(std::string(to_string(condition.value)))},
                       {"window_ms", Json::number(condition.window.count())},
                       {"ahead_ms", Json::number(condition.ahead.count())},
                       {"above", Json::boolean(condition.side == Condition::Side::above)},
                       {"limit", text(condition.limit)},
                       {"clear", text(condition.clear)},
                       {"steps_min", Json::number(static_cast<int64_t>(condition.steps_min))}});
}

}  // namespace

Json canonical_rule(const MaintenanceRule& rule) {
  Json conditions = Json::array();
  for (const Condition& condition : rule.conditions)
    conditions.push(canonical_condition(condition));
  Json parts = Json::array();
  for (const Part& part : rule.parts) {
    parts.push(Json::object({{"product", text(part.product)}, {"quantity", text(part.quantity)}}));
  }
  return Json::object({{"name", text(rule.name)},
                       {"description", text(rule.description)},
                       {"model", text(rule.model)},
                       {"connector", text(rule.connector)},
                       {"priority", text(rule.priority)},
                       {"step_ms", Json::number(rule.step.count())},
                       {"due_ms", Json::number(rule.due.count())},
                       {"effort_ms", Json::number(rule.effort.count())},
                       {"cool_down_ms", Json::number(rule.cool_down.count())},
                       {"update_ms", Json::number(rule.update.count())},
                       {"needed", Json::number(static_cast<int64_t>(rule.needed))},
                       {"conditions", std::move(conditions)},
                       {"parts", std::move(parts)}});
}

Json canonical_account_rule(const AccountRule& rule) {
  Json accounts = Json::array();
  for (const std::string& account : rule.accounts) accounts.push(text(account));
  Json limits = Json::array();
  for (const Decimal& limit : rule.limits) limits.push(text(limit));
  Json features = Json::array();
  for (const AccountFeature& feature : rule.features) {
    features.push(Json::object({{"name", text(feature.name)},
                                {"meter", text(feature.meter)},
                                {"where", canonical_where(feature.where)}}));
  }
  return Json::object({{"name", text(rule.name)},
                       {"connector", text(rule.connector)},
                       {"accounts", std::move(accounts)},
                       {"limits", std::move(limits)},
                       {"expansion_above", optional_text(rule.expansion_above)},
                       {"churn_below", optional_text(rule.churn_below)},
                       {"renewal_days", Json::number(rule.renewal_days)},
                       {"overage_periods", Json::number(rule.overage_periods)},
                       {"weights", Json::object({{"adoption", Json::number(rule.weights.adoption)},
                                                 {"trend", Json::number(rule.weights.trend)},
                                                 {"data", Json::number(rule.weights.data)}})},
                       {"features", std::move(features)}});
}

}  // namespace ledgerline::collector
