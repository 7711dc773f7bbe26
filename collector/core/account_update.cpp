#include "collector/core/account_update.h"

#include <algorithm>

#include "collector/core/account_health.h"
#include "collector/core/document_parts.h"
#include "common/check.h"

namespace ledgerline::collector {

namespace {

constexpr int kPlaces = 4;
constexpr int64_t kDayMs = 86'400'000;

Json text(std::string value) { return Json::string(std::move(value)); }
Json text(const Decimal& value) { return Json::string(value.trimmed().text()); }
Json number(uint64_t value) { return Json::number(std::to_string(value)); }

Result<Json> share_json(const std::optional<Fraction>& value) {
  if (!value) return Json::null();
  TRY(const Decimal shown, cut_off(*value, kPlaces));
  return Json::string(shown.text());
}

template <class Quantity>
std::vector<MeterUse> priced_meters(const Catalog& catalog, const Contract& contract, Period period,
                                    Quantity quantity_of) {
  std::vector<MeterUse> out;
  for (const Subscription& subscription : contract.subscriptions) {
    const RateCard* card = catalog.rate_card(subscription.rate_card, period.from);
    if (card == nullptr) continue;
    for (const Price& price : card->prices) {
      const CatalogMeter* meter = catalog.meter(price.meter);
      CHECK_INVARIANT(meter != nullptr);
      MeterUse use{.key = {subscription.name, price.meter},
                   .product = price.product,
                   .unit = meter->unit,
                   .aggregation = meter->aggregation,
                   .included = price.included,
                   .quantity = {},
                   .complete_quantity = {},
                   .previous_quantity = {}};
      use.quantity = quantity_of(use);
      use.complete_quantity = use.quantity;
      out.push_back(std::move(use));
    }
  }
  return out;
}

/// Of the quantity that the limit stands for.
std::optional<Fraction> share_of(const MeterUse& meter) {
  return ratio(meter.quantity, meter.included);
}

const std::vector<Decimal>& crossed_of(const CrossedLimits& crossed, const LineKey& key) {
  static const std::vector<Decimal> kNone;
  const auto found = crossed.find(key);
  return found == crossed.end() ? kNone : found->second;
}

bool holds(const std::vector<Decimal>& limits, const Decimal& limit) {
  return std::find(limits.begin(), limits.end(), limit) != limits.end();
}

Json days_to_limit(const AccountRule& rule, const AccountUpdateInput& input, const MeterUse& meter,
                   const std::vector<Decimal>& crossed) {
  const auto next = std::find_if(rule.limits.begin(), rule.limits.end(),
                                 [&](const Decimal& limit) { return !holds(crossed, limit); });
  const bool adds_up =
      meter.aggregation == Aggregation::sum || meter.aggregation == Aggregation::count;
  const int64_t elapsed = (input.as_of - input.period.from).count();
  if (input.closed || !adds_up || elapsed <= 0 || next == rule.limits.end()) return Json::null();
  const auto used = ratio(meter.complete_quantity, meter.included);
  if (!used || used->numerator <= 0) return Json::null();
  // (limit - used) / (used / elapsed), all over the included quantity.
  const BigInt limit = to_big(next->coefficient()) * used->denominator;
  const BigInt reached = used->numerator * power_of_ten(next->scale());
  const BigInt wait = std::max(BigInt(0), BigInt(limit - reached)) * elapsed / reached;
  if (wait >= (input.period.until - input.as_of).count()) return Json::null();
  return Json::number(static_cast<int64_t>(wait) / kDayMs);
}

Result<Json> meter_json(const AccountRule& rule, const AccountUpdateInput& input,
                        const MeterUse& meter) {
  const std::vector<Decimal>& limits = crossed_of(input.crossed, meter.key);
  Json crossed = Json::array();
  for (const Decimal& limit : limits) crossed.push(text(limit));
  TRY(Json share, share_json(share_of(meter)));
  TRY(Json trend, share_json(trend_of(meter)));
  return Json::object({{"subscription", text(meter.key.first)},
                       {"meter", text(meter.key.second)},
                       {"product", text(meter.product)},
                       {"unit", text(meter.unit)},
                       {"quantity", text(meter.quantity)},
                       {"included", text(meter.included)},
                       {"share", std::move(share)},
                       {"previous_quantity",
                        meter.previous_quantity ? text(*meter.previous_quantity) : Json::null()},
                       {"trend", std::move(trend)},
                       {"days_to_limit", days_to_limit(rule, input, meter, limits)},
                       {"limits_crossed", std::move(crossed)}});
}

Result<Json> feature_json(const FeatureUse& feature) {
  std::optional<Fraction> adoption;
  if (feature.known != 0) adoption = Fraction{BigInt(feature.active), BigInt(feature.known)};
  TRY(Json shown, share_json(adoption));
  return Json::object({{"name", text(feature.name)},
                       {"active", number(feature.active)},
                       {"known", number(feature.known)},
                       {"adoption", std::move(shown)}});
}

Result<std::string> body_of(const Catalog& catalog, const Contract& contract,
                            const AccountRule& rule, const AccountUpdateInput& input,
                            const DocumentRow& row) {
  const Account* account = catalog.account(contract.account);
  CHECK_INVARIANT(account != nullptr);
  TRY(Json period, period_json(contract.rule.zone(), input.period, input.zone_database));
  Json meters = Json::array();
  for (const MeterUse& meter : input.meters) {
    TRY(Json written, meter_json(rule, input, meter));
    meters.push(std::move(written));
  }
  Json features = Json::array();
  for (const FeatureUse& feature : input.features) {
    TRY(Json written, feature_json(feature));
    features.push(std::move(written));
  }
  return Json::object({{"format", number(1)},
                       {"kind", text(row.kind)},
                       {"id", text(row.id)},
                       {"revision", number(row.revision)},
                       {"tenant", text(row.tenant)},
                       {"account", account_json(*account)},
                       {"contract", text(row.contract)},
                       {"connector", text(row.connector)},
                       {"rule", text(rule.name)},
                       {"reason", text(input.closed ? "period" : "limit")},
                       {"as_of", text(to_rfc3339(input.as_of))},
                       {"period", std::move(period)},
                       {"meters", std::move(meters)},
                       {"features", std::move(features)},
                       {"signals", signals_json(rule, input)},
                       {"health", health_json(rule, input)},
                       {"catalog", text(catalog.hash().hex())},
                       {"evidence", evidence_json(input.evidence)}})
      .dump();
}

}  // namespace

std::string account_update_id(std::string_view tenant, std::string_view rule,
                              std::string_view contract, Timestamp period_from) {
  return document_id_of("au", {std::string(kAccountUpdate), std::string(tenant), std::string(rule),
                               std::string(contract), to_rfc3339(period_from)});
}

std::vector<MeterUse> meters_of(const Catalog& catalog, const Contract& contract, Period period,
                                const PeriodUsage& usage) {
  return priced_meters(catalog, contract, period, [&](const MeterUse& meter) {
    const auto used = usage.find(meter.key);
    return used == usage.end() ? Decimal() : used->second.quantity(meter.aggregation);
  });
}

std::vector<MeterUse> meters_of(const Catalog& catalog, const Contract& contract, Period period,
                                const PeriodDetail& booked) {
  auto out = priced_meters(catalog, contract, period, [&](const MeterUse& meter) {
    const BookedLine* line = booked.find(meter.key);
    return line == nullptr ? Decimal() : line->quantity;
  });
  for (const BookedLine& line : booked.lines) {
    const LineKey key{line.subscription, line.meter};
    const bool listed = std::any_of(out.begin(), out.end(),
                                    [&](const MeterUse& meter) { return meter.key == key; });
    if (listed) continue;
    out.push_back({.key = key,
                   .product = {},
                   .unit = line.unit,
                   .aggregation = Aggregation::sum,
                   .included = {},
                   .quantity = line.quantity,
                   .complete_quantity = line.quantity,
                   .previous_quantity = {}});
  }
  return out;
}

bool add_crossed(const AccountRule& rule, const std::vector<MeterUse>& meters,
                 CrossedLimits& crossed) {
  bool is_news = false;
  for (const MeterUse& meter : meters) {
    const auto share = share_of(meter);
    if (!share) continue;
    for (const Decimal& limit : rule.limits) {
      if (compare(*share, limit) < 0 || holds(crossed_of(crossed, meter.key), limit)) continue;
      std::vector<Decimal>& limits = crossed[meter.key];
      limits.push_back(limit);
      std::sort(limits.begin(), limits.end());
      is_news = true;
    }
  }
  return is_news;
}

Timestamp complete_as_of(Period period, const std::vector<DeviceNeed>& needs, Timestamp now) {
  Timestamp out = std::min(period.until, now);
  for (const Waiting& one : waiting_for(needs))
    out = std::min(out, one.complete_through.value_or(period.from));
  return std::max(out, period.from);
}

std::optional<Period> same_share_before(const Contract& contract, Period period, Timestamp as_of) {
  if (period.from <= contract.rule.anchor()) return std::nullopt;
  const auto before = contract.rule.containing(period.from - Duration(1));
  if (!before) return std::nullopt;
  // A period that the contract's end cuts is compared as the part of a regular one that it is.
  const auto regular = contract.rule.containing(period.from);
  const Timestamp until = regular ? std::max(period.until, regular->until) : period.until;
  if (as_of >= until) return Period{before->from, std::min(before->until, period.from)};
  const BigInt elapsed = (as_of - period.from).count();
  const BigInt length = (before->until - before->from).count();
  const BigInt cut = elapsed * length / BigInt((until - period.from).count());
  return Period{before->from, before->from + Duration(static_cast<int64_t>(cut))};
}

uint64_t devices_heard(const Contract& contract, const std::vector<DeviceNeed>& needs,
                       Timestamp now) {
  return static_cast<uint64_t>(
      std::count_if(needs.begin(), needs.end(), [&](const DeviceNeed& need) {
        DeviceNeed patient = need;
        patient.required = std::min(need.required, now - contract.grace - contract.silence);
        return waiting_for({patient}).empty();
      }));
}

Result<DocumentRow> make_account_update(const Catalog& catalog, const Contract& contract,
                                        const AccountRule& rule, const AccountUpdateInput& input) {
  DocumentRow row;
  row.revision = input.revision;
  row.id = account_update_id(input.tenant, rule.name, contract.name, input.period.from);
  row.kind = std::string(kAccountUpdate);
  row.tenant = input.tenant;
  row.account = contract.account;
  row.contract = contract.name;
  row.period_from = input.period.from;
  row.period_to = input.period.until;
  row.connector = rule.connector;
  row.created_at = input.now;
  row.state = DocumentState::approved;
  row.decided_by = "rule";
  row.decided_at = input.now;
  TRY(row.body, body_of(catalog, contract, rule, input, row));
  return row;
}

}  // namespace ledgerline::collector
