#pragma once
// What is booked after a period was closed. A closed period is never edited: the cumulative
// quantity is rated as it is now, what was booked is subtracted, and the difference is booked, by
// a document where a billable quantity or an amount differs. So the documents of a period add up,
// tier by tier, to the rated cumulative quantity, in whatever order readings came. Pure.

#include <optional>
#include <string>
#include <vector>

#include "collector/core/booking.h"
#include "collector/core/documents.h"

namespace ledgerline::collector {

/// Tier by tier what `now` has more than `booked`; nullptr: nothing. The lines carry the quantity,
/// readings and included quantity of `now`. Tiers of another price or rate card version are taken
/// back and booked anew. None where nothing differs.
Result<std::vector<RatedLine>> difference(const BookedLine* booked, const BookedLine* now);

struct AdjustInput {
  std::string tenant;
  PeriodRow row;        // closed
  PeriodDetail detail;  // of the row
  Period period;        // named_period() of the row
  PeriodUsage usage;    // as it is now
  EvidenceSummary evidence;
  std::string zone_database;
  Timestamp now;
};

struct AdjustDecision {
  /// What to store; each replaces the stored revision before its own, 0: none. Where the row stood
  /// for many empty periods, it is divided: what lies before and after the period goes on as it
  /// was. Empty: booked and present usage agree.
  std::vector<PeriodRow> periods;
  std::optional<DocumentRow> document;
  std::optional<DeliveryRow> delivery;  // where the document needs no person's approval
  std::string outcome;                  // for the exceptions that it settles
};

/// Errc::reject where it cannot be rated, a line that was booked is not priced any more, or the
/// period has PeriodDetail::kBookingsMax bookings: nothing can be booked, the exception is
/// kNotRated.
Result<AdjustDecision> adjust_period(const Catalog& catalog, const Contract& contract,
                                     const AdjustInput& input);

}  // namespace ledgerline::collector
