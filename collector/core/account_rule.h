#pragma once
// What the catalog says about account updates: for whom they are written, at which shares of the
// included quantity, which features count as adoption, and when an opportunity opens. What the
// figures mean is in account_update.h and opportunity.h. Pure data.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/columns.h"
#include "common/decimal.h"

namespace ledgerline::collector {

/// Something that subjects of an account use or do not use.
struct AccountFeature {
  std::string name;
  std::string meter;
  DimensionSet where;  // dimensions that a series must have, ascending by name; it may have more
};

/// Each 0 to 100, not all 0. A part of weight 0 is not shown.
struct HealthWeights {
  int64_t adoption = 40;
  int64_t trend = 30;
  int64_t data = 30;
  friend bool operator==(const HealthWeights&, const HealthWeights&) = default;
};

/// About every contract of its accounts.
struct AccountRule {
  static constexpr size_t kLimitsMax = 8;
  static constexpr size_t kFeaturesMax = 32;
  static constexpr int64_t kOveragePeriodsMax = 24;
  static constexpr int64_t kRenewalDaysMax = 400;

  std::string name;
  std::string connector;
  std::vector<std::string> accounts;       // ascending; empty: all
  std::vector<Decimal> limits;             // shares of the included quantity, ascending
  std::optional<Decimal> expansion_above;  // trend; nothing: no such signal
  std::optional<Decimal> churn_below;      // trend, negative
  int64_t renewal_days = 0;                // before the contract ends; 0: no such opportunity
  int64_t overage_periods = 0;             // in a row; 0: no such opportunity
  HealthWeights weights;
  std::vector<AccountFeature> features;

  [[nodiscard]] bool is_for(const std::string& account) const;
};

}  // namespace ledgerline::collector
