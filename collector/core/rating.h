#pragma once
// From the cumulative quantity of a period to rated lines: included quantity, then graduated tiers.
// Exact decimals; each line's amount is rounded once, half to even, to the currency's exponent.
// Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collector/core/catalog.h"
#include "collector/core/usage.h"
#include "common/decimal.h"

namespace ledgerline::collector {

/// What one meter of one subscription used in a period, however many series and scales it came in.
class MeterUsage {
 public:
  /// Nothing happens where value.count is 0. Errc::reject where the sum needs more than 128 bits.
  Status add(const UsageValue& value, int scale);

  [[nodiscard]] uint64_t count() const { return count_; }
  /// By the meter's aggregation; 0 where there was no reading.
  [[nodiscard]] Decimal quantity(Aggregation aggregation) const;

 private:
  uint64_t count_ = 0;
  Decimal sum_;
  Decimal min_;
  Decimal max_;
  Decimal last_;
  ReadingOrder last_order_;
};

/// One line of a document: one tier of one price. Lines of the same (subscription, meter) share
/// quantity and included.
struct RatedLine {
  std::string subscription;
  std::string meter;
  std::string unit;
  std::string product;
  std::string description;
  Decimal quantity;    // of the period and meter, all tiers together
  uint64_t count = 0;  // readings in it
  Decimal included;    // part of it that the included quantity covers
  Decimal tier_from;   // of the billable quantity
  std::optional<Decimal> tier_to;
  Decimal billable_quantity;  // in this tier
  Decimal unit_price;
  Decimal amount;  // billable_quantity x unit_price, at the currency's exponent
  std::string rate_card;
  int64_t rate_card_version = 0;
};

struct RatingInput {
  std::string subscription;
  std::string meter;
  std::string unit;
  Decimal quantity;
  uint64_t count = 0;
};

/// Lines in the order of the tiers; one line with billable quantity 0 where all is included; none
/// for quantity 0. Errc::reject for a negative quantity or an amount beyond 128 bits.
Result<std::vector<RatedLine>> rate(const RatingInput& input, const RateCard& card,
                                    const Price& price, int exponent);

}  // namespace ledgerline::collector
