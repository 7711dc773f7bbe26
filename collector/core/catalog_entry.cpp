#include "collector/core/catalog_entry.h"

#include <algorithm>

#include "collector/core/catalog_words.h"
#include "collector/core/currency.h"

namespace ledgerline::collector {

namespace {

constexpr Duration kQuarterHour = std::chrono::minutes(15);
constexpr uint64_t kMillisecondsMax = 10'000 * 366 * uint64_t{86'400'000};

std::string name(StatementReader& in, std::string_view member = "name") {
  std::string out = in.text(member);
  if (out.empty() || out.size() > kNameLengthMax) in.fault(member, "a name");
  return out;
}

template <class Value>
Value word(StatementReader& in, std::string_view member, std::initializer_list<Value> values) {
  const std::string written = in.text(member);
  for (const Value value : values) {
    if (to_string(value) == written) return value;
  }
  in.fault(member, "one of its words");
  return *values.begin();
}

Duration milliseconds(StatementReader& in, std::string_view member) {
  const uint64_t out = in.number(member);
  if (out > kMillisecondsMax) in.fault(member, "milliseconds, at most 10 000 years");
  return Duration(static_cast<int64_t>(std::min(out, kMillisecondsMax)));
}

Decimal not_negative(StatementReader& in, std::string_view member) {
  const Decimal out = in.decimal(member);
  if (out.is_negative()) in.fault(member, "a decimal that is not negative");
  return out;
}

std::optional<Decimal> optional_decimal(StatementReader& in, std::string_view member) {
  const auto text = in.optional_text(member);
  if (!text) return std::nullopt;
  const auto value = Decimal::parse(*text);
  if (value) return *value;
  in.fault(member, "a decimal as text, or null");
  return std::nullopt;
}

std::optional<Timestamp> optional_time(StatementReader& in, std::string_view member) {
  const auto text = in.optional_text(member);
  if (!text) return std::nullopt;
  const auto value = parse_rfc3339(*text);
  if (value) return *value;
  in.fault(member, "a time in RFC 3339, or null");
  return std::nullopt;
}

/// The members of `read` are those of each item; a fault of an item is one of the array.
template <class Value, class Read>
std::vector<Value> items(StatementReader& in, std::string_view member, Read read) {
  std::vector<Value> out;
  for (const Json& item : in.array(member)) {
    StatementReader inner(item);
    out.push_back(read(inner));
    const auto status = inner.end();
    if (!status) in.fault(member, "in each item: " + status.error().text());
  }
  return out;
}

Tier entry_tier(StatementReader& in) {
  Tier out;
  out.up_to = optional_decimal(in, "up_to");
  out.unit_price = not_negative(in, "unit_price");
  return out;
}

bool rise(const std::vector<Tier>& tiers) {
  if (tiers.empty() || tiers.back().up_to) return false;
  Decimal below;
  for (size_t i = 0; i + 1 < tiers.size(); ++i) {
    if (!tiers[i].up_to || *tiers[i].up_to <= below) return false;
    below = *tiers[i].up_to;
  }
  return true;
}

Price entry_price(StatementReader& in) {
  Price out;
  out.meter = name(in, "meter");
  out.product = name(in, "product");
  out.description = in.text("description");
  out.included = not_negative(in, "included");
  out.tiers = items<Tier>(in, "tiers", entry_tier);
  if (!rise(out.tiers)) in.fault("tiers", "bounds that rise, the last tier without one");
  return out;
}

std::string currency(StatementReader& in) {
  std::string out = in.text("currency");
  if (!currency_exponent(out)) in.fault("currency", "an ISO 4217 currency");
  return out;
}

DimensionSet entry_where(StatementReader& in) {
  const Json& json = in.any("where");
  DimensionSet out;
  for (const auto& [dimension, value] : json.members()) out.emplace_back(dimension, value.text());
  if (!json.is(Json::Kind::object) || !std::is_sorted(out.begin(), out.end()))
    in.fault("where", "an object of texts, ascending by name");
  return out;
}

Condition entry_condition(StatementReader& in) {
  using Source = Condition::Source;
  Condition out;
  const uint64_t source = in.number("source");
  if (source > static_cast<uint64_t>(Source::calendar)) in.fault("source", "0 to 2");
  out.source = static_cast<Source>(source);
  out.meter = in.text("meter");
  if (out.meter.empty() != (out.source == Source::calendar))
    in.fault("meter", "a meter, but for the calendar");
  out.where = entry_where(in);
  out.value =
      word<WindowValue>(in, "value",
                        {WindowValue::mean, WindowValue::min, WindowValue::max, WindowValue::last,
                         WindowValue::sum, WindowValue::count, WindowValue::trend});
  out.window = milliseconds(in, "window_ms");
  out.ahead = milliseconds(in, "ahead_ms");
  out.side = in.flag("above") ? Condition::Side::above : Condition::Side::below;
  out.limit = in.decimal("limit");
  out.clear = in.decimal("clear");
  out.steps_min = in.number("steps_min");
  return out;
}

Part entry_part(StatementReader& in) {
  Part out;
  out.product = name(in, "product");
  out.quantity = not_negative(in, "quantity");
  return out;
}

Subscription entry_subscription(StatementReader& in) {
  Subscription out;
  out.name = name(in);
  out.rate_card = in.text("rate_card");
  return out;
}

AccountFeature entry_feature(StatementReader& in) {
  AccountFeature out;
  out.name = name(in);
  out.meter = name(in, "meter");
  out.where = entry_where(in);
  return out;
}

HealthWeights entry_weights(const Json& json, StatementReader& outer) {
  StatementReader in(json);
  HealthWeights out;
  out.adoption = static_cast<int64_t>(in.number("adoption"));
  out.trend = static_cast<int64_t>(in.number("trend"));
  out.data = static_cast<int64_t>(in.number("data"));
  const bool in_range = std::max({out.adoption, out.trend, out.data}) <= 100 &&
                        out.adoption + out.trend + out.data > 0;
  if (!in.end() || !in_range) outer.fault("weights", "0 to 100 each, not all 0");
  return out;
}

}  // namespace

CatalogMeter entry_meter(StatementReader& in) {
  CatalogMeter out;
  out.name = name(in);
  out.unit = in.text("unit");
  out.kind =
      word<MeterKind>(in, "meter_kind",
                      {MeterKind::register_, MeterKind::delta, MeterKind::gauge, MeterKind::event});
  out.aggregation = word<Aggregation>(in, "aggregation",
                                      {Aggregation::sum, Aggregation::count, Aggregation::min,
                                       Aggregation::max, Aggregation::last});
  out.stream_class =
      word<StreamClass>(in, "class", {StreamClass::billing, StreamClass::diagnostic});
  const bool sums = out.aggregation == Aggregation::sum;
  if ((out.kind == MeterKind::gauge && sums) || (out.kind == MeterKind::register_ && !sums))
    in.fault("aggregation", "one that fits the meter's kind");
  return out;
}

RateCard entry_rate_card(StatementReader& in) {
  RateCard out;
  out.name = name(in);
  out.version = static_cast<int64_t>(in.number("version"));
  out.currency = currency(in);
  out.from = in.time("from");
  out.prices = items<Price>(in, "prices", entry_price);
  if (out.prices.empty()) in.fault("prices", "at least one");
  return out;
}

Account entry_account(StatementReader& in) {
  Account out;
  out.name = name(in);
  out.legal_name = in.text("legal_name");
  out.external = name(in, "external");
  return out;
}

Result<Contract> entry_contract(StatementReader& in) {
  const std::string contract = name(in);
  const std::string account = in.text("account");
  const std::string connector = in.text("connector");
  const std::string money = currency(in);
  const std::string zone_name = in.text("time_zone");
  in.time("anchor");  // what follows from anchor_text; compared with the whole entry
  const std::string anchor_text = in.text("anchor_text");
  const std::string period_text = in.text("period");
  TRY(const TimeZone zone, TimeZone::find(zone_name));
  TRY(const PeriodRule rule, PeriodRule::parse(period_text, anchor_text, zone));
  Contract out{.name = contract,
               .account = account,
               .connector = connector,
               .currency = money,
               .period_text = period_text,
               .anchor_text = anchor_text,
               .rule = rule,
               .until = optional_time(in, "until"),
               .subscriptions = {}};
  if (out.until && *out.until <= rule.anchor()) in.fault("until", "after the anchor");
  out.grace = milliseconds(in, "grace_ms");
  out.silence = milliseconds(in, "silence_ms");
  out.adjust_after = milliseconds(in, "adjust_after_ms");
  const std::string approval = in.text("approval");
  if (approval != "auto" && approval != "manual") in.fault("approval", "auto or manual");
  out.approval = approval == "auto" ? Approval::automatic : Approval::manual;
  out.subscriptions = items<Subscription>(in, "subscriptions", entry_subscription);
  if (out.subscriptions.empty()) in.fault("subscriptions", "at least one");
  return out;
}

Asset entry_asset(StatementReader& in) {
  Asset out;
  out.name = name(in);
  out.model = name(in, "model");
  out.site = in.text("site");
  out.account = in.text("account");
  out.external = in.text("external");
  out.in_service_from = optional_time(in, "in_service_from");
  return out;
}

MaintenanceRule entry_rule(StatementReader& in) {
  MaintenanceRule out;
  out.name = name(in);
  out.description = in.text("description");
  out.model = name(in, "model");
  out.connector = in.text("connector");
  out.priority = in.text("priority");
  out.step = milliseconds(in, "step_ms");
  const bool whole_steps = out.step.count() > 0 && out.step % kQuarterHour == Duration(0);
  if (!whole_steps) in.fault("step_ms", "whole quarter hours");
  out.due = milliseconds(in, "due_ms");
  out.effort = milliseconds(in, "effort_ms");
  out.cool_down = milliseconds(in, "cool_down_ms");
  out.update = milliseconds(in, "update_ms");
  out.needed = in.number("needed");
  out.conditions = items<Condition>(in, "conditions", entry_condition);
  if (out.needed < 1 || out.needed > out.conditions.size())
    in.fault("needed", "1 to the number of conditions");
  for (const Condition& condition : out.conditions) {
    const bool windowed = condition.source == Condition::Source::window;
    if (whole_steps && windowed &&
        (condition.window.count() <= 0 || condition.window % out.step != Duration(0) ||
         condition.ahead % out.step != Duration(0)))
      in.fault("conditions", "windows of whole steps");
  }
  out.parts = items<Part>(in, "parts", entry_part);
  return out;
}

AccountRule entry_account_rule(StatementReader& in) {
  AccountRule out;
  out.name = name(in);
  out.connector = in.text("connector");
  for (const Json& account : in.array("accounts")) out.accounts.push_back(account.text());
  if (!std::is_sorted(out.accounts.begin(), out.accounts.end())) in.fault("accounts", "ascending");
  for (const Json& limit : in.array("limits")) {
    const auto share = Decimal::parse(limit.text());
    if (!share || (!out.limits.empty() && *share <= out.limits.back())) {
      in.fault("limits", "decimals as text, ascending");
      break;
    }
    out.limits.push_back(*share);
  }
  out.expansion_above = optional_decimal(in, "expansion_above");
  out.churn_below = optional_decimal(in, "churn_below");
  out.renewal_days = static_cast<int64_t>(in.number("renewal_days"));
  out.overage_periods = static_cast<int64_t>(in.number("overage_periods"));
  out.weights = entry_weights(in.any("weights"), in);
  out.features = items<AccountFeature>(in, "features", entry_feature);
  if (out.limits.size() > AccountRule::kLimitsMax ||
      out.features.size() > AccountRule::kFeaturesMax ||
      out.renewal_days > AccountRule::kRenewalDaysMax ||
      out.overage_periods > AccountRule::kOveragePeriodsMax)
    in.fault("features", "a rule within its limits");
  return out;
}

std::vector<Link> entry_links(StatementReader& in) {
  const std::string device = name(in, "device");
  const std::string subject = in.text("subject");
  auto out = items<Link>(in, "links", [&](StatementReader& item) {
    Link link{.device = device,
              .subject = subject,
              .subscription = item.text("subscription"),
              .asset = item.text("asset"),
              .from = item.time("from"),
              .until = optional_time(item, "until")};
    if (link.until && *link.until <= link.from) item.fault("until", "after from");
    if (link.subscription.empty() && link.asset.empty())
      item.fault("subscription", "a subscription, an asset or both");
    return link;
  });
  if (out.empty()) in.fault("links", "at least one");
  return out;
}

}  // namespace ledgerline::collector
