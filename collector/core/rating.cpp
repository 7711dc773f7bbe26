#include "collector/core/rating.h"

#include <algorithm>

#include "common/check.h"

namespace ledgerline::collector {

Status MeterUsage::add(const UsageValue& value, int scale) {
  if (value.count == 0) return {};
  const Decimal low(value.min, scale);
  const Decimal high(value.max, scale);
  TRY(sum_, ledgerline::add(sum_, Decimal(value.sum, scale)));
  min_ = count_ == 0 ? low : std::min(min_, low);
  max_ = count_ == 0 ? high : std::max(max_, high);
  if (count_ == 0 || last_order_ < value.last_order) {
    last_ = Decimal(value.last, scale);
    last_order_ = value.last_order;
  }
  count_ += value.count;
  return {};
}

Decimal MeterUsage::quantity(Aggregation aggregation) const {
  switch (aggregation) {
    case Aggregation::sum:
      return sum_;
    case Aggregation::count:
      return {Int128(count_), 0};
    case Aggregation::min:
      return min_;
    case Aggregation::max:
      return max_;
    case Aggregation::last:
      return last_;
  }
  CHECK_INVARIANT(false);
  return {};
}

Result<std::vector<RatedLine>> rate(const RatingInput& input, const RateCard& card,
                                    const Price& price, int exponent) {
  CHECK_INVARIANT(!price.tiers.empty() && !price.tiers.back().up_to);
  if (input.quantity.is_negative()) {
    return fail(Error(Errc::reject, "a negative quantity cannot be rated")
                    .with("quantity", input.quantity.text()));
  }
  std::vector<RatedLine> out;
  if (input.quantity.is_zero()) return out;

  const Decimal included = std::min(input.quantity, price.included);
  TRY(const Decimal billable, subtract(input.quantity, included));
  Decimal from;
  for (const Tier& tier : price.tiers) {
    const Decimal to = tier.up_to ? std::min(*tier.up_to, billable) : billable;
    TRY(const Decimal part, subtract(to, from));
    RatedLine line{.subscription = input.subscription,
                   .meter = input.meter,
                   .unit = input.unit,
                   .product = price.product,
                   .description = price.description,
                   .quantity = input.quantity.trimmed(),
                   .count = input.count,
                   .included = included.trimmed(),
                   .tier_from = from.trimmed(),
                   .tier_to = tier.up_to,
                   .billable_quantity = part.trimmed(),
                   .unit_price = tier.unit_price,
                   .amount = {},
                   .rate_card = card.name,
                   .rate_card_version = card.version};
    TRY(line.amount, multiply_rounded(part, tier.unit_price, exponent, Rounding::half_even));
    out.push_back(std::move(line));
    if (!tier.up_to || *tier.up_to >= billable) break;
    from = *tier.up_to;
  }
  return out;
}

}  // namespace ledgerline::collector
