#pragma once
// Trend, signals and health of an account update: the figures that are a judgement. Their
// definitions are in account_update.h. Pure.

#include <optional>

#include "collector/core/account_update.h"
#include "common/json.h"

namespace ledgerline::collector {

/// a / b; nothing where b is not above 0.
std::optional<Fraction> ratio(const Decimal& a, const Decimal& b);
/// Towards 0.
Result<Decimal> cut_off(const Fraction& value, int places);

/// The change against the period before; nothing where there is none to compare with.
std::optional<Fraction> trend_of(const MeterUse& meter);

Json signals_json(const AccountRule& rule, const AccountUpdateInput& input);
Json health_json(const AccountRule& rule, const AccountUpdateInput& input);

}  // namespace ledgerline::collector
