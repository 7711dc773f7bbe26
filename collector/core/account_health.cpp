#include "collector/core/account_health.h"

#include <algorithm>

namespace ledgerline::collector {

namespace {

Json text(std::string value) { return Json::string(std::move(value)); }
Json number(int64_t value) { return Json::number(value); }

std::string before(const AccountUpdateInput& input) {
  return input.closed ? "the period before" : "the period before at the same share of it";
}

std::string name_of(const MeterUse& meter) { return meter.key.second + " of " + meter.key.first; }

/// Towards 0.
std::string percent(const Fraction& value) {
  return to_text(BigInt(value.numerator * 100 / value.denominator)) + " %";
}

void append(std::string& list, const std::string& item) {
  list += (list.empty() ? "" : ", ") + item;
}

struct HealthPart {
  std::string name;
  int64_t score = 0;
  int64_t weight = 0;
  std::string because;
};

/// The mean of scores, each 0 to 100; nothing where there are none.
class Mean {
 public:
  void add(const Fraction& share) {
    const BigInt score = share.numerator * 100 / share.denominator;
    sum_ += static_cast<int64_t>(std::clamp(score, BigInt(0), BigInt(100)));
    ++count_;
  }
  [[nodiscard]] std::optional<int64_t> value() const {
    return count_ == 0 ? std::nullopt : std::optional(sum_ / count_);
  }

 private:
  int64_t sum_ = 0;
  int64_t count_ = 0;
};

std::optional<HealthPart> adoption_part(const std::vector<FeatureUse>& features, int64_t weight) {
  Mean mean;
  std::string because;
  for (const FeatureUse& feature : features) {
    if (feature.known == 0) continue;
    mean.add({BigInt(feature.active), BigInt(feature.known)});
    append(because, feature.name + " " + std::to_string(feature.active) + " of " +
                        std::to_string(feature.known) + " subjects");
  }
  if (!mean.value()) return std::nullopt;
  return HealthPart{"adoption", *mean.value(), weight, because};
}

std::optional<HealthPart> trend_part(const AccountUpdateInput& input, int64_t weight) {
  Mean mean;
  std::string because;
  for (const MeterUse& meter : input.meters) {
    if (!trend_of(meter)) continue;
    const Fraction share = *ratio(meter.complete_quantity, *meter.previous_quantity);
    mean.add(share);
    append(because, name_of(meter) + " " + percent(share));
  }
  if (!mean.value()) return std::nullopt;
  return HealthPart{"trend", *mean.value(), weight, "of " + before(input) + ": " + because};
}

std::optional<HealthPart> data_part(const AccountUpdateInput& input, int64_t weight) {
  if (input.devices == 0) return std::nullopt;
  Mean mean;
  mean.add({BigInt(input.devices_heard), BigInt(input.devices)});
  return HealthPart{"data", *mean.value(), weight,
                    "readings of " + std::to_string(input.devices_heard) + " of " +
                        std::to_string(input.devices) + " devices are there"};
}

}  // namespace

std::optional<Fraction> ratio(const Decimal& a, const Decimal& b) {
  if (b <= Decimal()) return std::nullopt;
  return Fraction{to_big(a.coefficient()) * power_of_ten(b.scale()),
                  to_big(b.coefficient()) * power_of_ten(a.scale())};
}

Result<Decimal> cut_off(const Fraction& value, int places) {
  const BigInt shifted = value.numerator * power_of_ten(places) / value.denominator;
  return to_decimal({shifted, power_of_ten(places)}, places);
}

std::optional<Fraction> trend_of(const MeterUse& meter) {
  if (!meter.previous_quantity) return std::nullopt;
  auto out = ratio(meter.complete_quantity, *meter.previous_quantity);
  if (out) out->numerator -= out->denominator;
  return out;
}

Json signals_json(const AccountRule& rule, const AccountUpdateInput& input) {
  Json out = Json::array();
  for (const MeterUse& meter : input.meters) {
    const auto trend = trend_of(meter);
    if (!trend) continue;
    const bool expands = rule.expansion_above && compare(*trend, *rule.expansion_above) > 0;
    const bool churns = rule.churn_below && compare(*trend, *rule.churn_below) < 0;
    if (!expands && !churns) continue;
    const Fraction size{boost::multiprecision::abs(trend->numerator), trend->denominator};
    out.push(Json::object({{"kind", text(expands ? "expansion" : "churn")},
                           {"because", text(name_of(meter) + " is " + percent(size) +
                                            (expands ? " above " : " below ") + before(input))}}));
  }
  return out;
}

Json health_json(const AccountRule& rule, const AccountUpdateInput& input) {
  Json parts = Json::array();
  int64_t sum = 0;
  int64_t weights = 0;
  for (const auto& part :
       {adoption_part(input.features, rule.weights.adoption), trend_part(input, rule.weights.trend),
        data_part(input, rule.weights.data)}) {
    if (!part || part->weight == 0) continue;
    sum += part->score * part->weight;
    weights += part->weight;
    parts.push(Json::object({{"name", text(part->name)},
                             {"score", number(part->score)},
                             {"weight", number(part->weight)},
                             {"because", text(part->because)}}));
  }
  if (weights == 0) return Json::null();
  return Json::object(
      {{"score", number((2 * sum + weights) / (2 * weights))}, {"parts", std::move(parts)}});
}

}  // namespace ledgerline::collector
