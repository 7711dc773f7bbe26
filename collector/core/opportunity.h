#pragma once
// Opportunities for the people who sell: a contract is about to end, or uses more than it includes
// period after period. Pure.
//
// renewal  once per end of a contract, from the first instant of the local day that lies
//          renewal_days before the day of the end, in the contract's time zone, until just before
//          the end: [opens, until).
// overage  when a line was billed beyond its included quantity in overage_periods closed periods in
//          a row; again only after a period in which it was not.
//
// The body is compact JSON with exactly these members in this order; decimals are text, absent
// values null:
//   format (1), kind, id, revision (1), tenant, account {name, legal_name, external}, contract,
//   connector, rule, reason ("renewal", "overage"), description, opened_at, due_at, currency,
//   amount, lines [{subscription, meter, unit, quantity, included, periods}], catalog (hash),
//   evidence {log_leaves}
// opened_at is when the window opened, or the last of the periods ended; due_at the contract's end,
// or the end of the period that now runs (of one as long as the last, where the contract has
// ended). amount is the mean of the bills of the periods looked at, rounded half to even to the
// currency's places; quantity the mean of theirs, rounded to two more places than they have;
// periods how many they were: for a renewal the newest closed ones, at most kPeriodsShown without a
// gap, for overage those in a row. included is one period's.

#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "collector/core/commerce.h"

namespace ledgerline::collector {

inline constexpr std::string_view kOpportunity = "opportunity";
inline constexpr size_t kPeriodsShown = 12;

struct ClosedPeriod {
  Period period;
  PeriodDetail booked;
  std::optional<Decimal> total;  // billed by now; nothing: there was nothing to bill
};

/// Nothing where the rule has no window or the contract no end.
Result<std::optional<Period>> renewal_window(const Contract& contract, const AccountRule& rule);

/// After a period closed: the lines for which an opportunity opens now. `told` are those for which
/// one opened before; lines that are no longer beyond leave it, the new ones enter it. `periods`
/// newest first and without a gap, overage_periods of them where there are so many. A line that
/// includes nothing is never beyond.
std::set<LineKey> repeated_overage(const Catalog& catalog, const Contract& contract,
                                   const AccountRule& rule, std::span<const ClosedPeriod> periods,
                                   std::set<LineKey>& told);

struct OpportunityInput {
  enum class Reason { renewal, overage };
  std::string tenant;
  Reason reason = Reason::renewal;
  Timestamp opened_at;
  Timestamp due_at;
  /// Makes the id: the contract's end, or the start of the last period in the row.
  Timestamp about;
  std::span<const ClosedPeriod> periods;  // newest first
  std::optional<std::set<LineKey>> only;  // lines to be shown; nothing: all
  LeafNumber log_leaves = 0;
  Timestamp now;
};

/// document_id_of() "op" and kind, tenant, rule, contract, reason, `about`.
std::string opportunity_id(std::string_view tenant, std::string_view rule,
                           std::string_view contract, OpportunityInput::Reason reason,
                           Timestamp about);

/// Approved. Errc::reject where a sum needs more than 128 bits.
Result<DocumentRow> make_opportunity(const Catalog& catalog, const Contract& contract,
                                     const AccountRule& rule, const OpportunityInput& input);

}  // namespace ledgerline::collector
