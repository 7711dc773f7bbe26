#pragma once
// The commercial decisions over one period: what it becomes when it closes, and what usage that
// comes afterwards means. The shell (collector/fold/commerce_runner.h) reads usage and stores what
// is decided here. Pure.

#include <optional>
#include <string>
#include <vector>

#include "collector/core/booking.h"
#include "collector/core/documents.h"
#include "collector/core/mapping.h"

namespace ledgerline::collector {

/// Why a series cannot be counted under the catalog, whatever its mapping:
/// exception_kind::kUnknownMeter, kWrongUnit; empty where it can. Unit and kind must both be the
/// catalog's; scales may differ, decimals are exact.
std::string_view series_fault(const Catalog& catalog, const SeriesKey& key);

/// The contract's period that holds `from`, from there on: where the rule was changed, what is left
/// of a regular one; cut at the contract's end. Nothing from there on, or beyond the years that the
/// zone data covers.
std::optional<Period> period_from(const Contract& contract, Timestamp from);

struct CloseInput {
  std::string tenant;
  Period period;
  PeriodUsage usage;
  EvidenceSummary evidence;
  std::string zone_database;
  Timestamp now;
};

struct CloseDecision {
  PeriodRow period;  // revision 1, closed
  std::optional<DocumentRow> document;
  std::optional<DeliveryRow> delivery;  // where the document needs no person's approval
};

/// A document is made where a priced meter has a quantity other than 0, also where all of it is
/// included and the amount is 0; a period without any is closed without one. Errc::reject where it
/// cannot be rated: the period must stay open, and the exception is kNotRated.
Result<CloseDecision> close_period(const Catalog& catalog, const Contract& contract,
                                   const CloseInput& input);

/// The exception that says how far a closed line's present quantity is from what was booked; a
/// clear one where they agree. About (contract, period, subscription, meter, adjustments): one row
/// however often usage comes late before it is booked.
struct LateInput {
  std::string tenant;
  std::string contract;
  Period period;
  LineKey key;
  std::string unit;
  const BookedLine* booked = nullptr;  // nothing: nothing was booked
  size_t adjustments = 0;              // of the period so far
  Decimal quantity;                    // now
  uint64_t count = 0;                  // now
  std::string document;                // of the close
  Timestamp now;
};
Result<ExceptionUpsert> late_exception(const LateInput& input);

/// For a closed period that cannot be compared with its usage, because of `fault`; without one,
/// what says that it can again. One row per contract and start of the period, apart from those of
/// late_exception.
ExceptionUpsert uncompared_exception(const std::string& tenant, const std::string& contract,
                                     Period period, const std::optional<std::string>& fault,
                                     Timestamp now);

/// What of a series cannot be counted now; `kind` empty: nothing. For each of the three kinds one
/// upsert: replace for `kind`, clear for the others, so that a cause that was mended closes itself.
struct UncountedInput {
  std::string_view kind;
  SeriesRow series;
  UsageValue usage;  // that is not counted
  std::string detail;
  Timestamp now;
};
std::vector<ExceptionUpsert> uncounted_exceptions(const UncountedInput& input);

/// The exception for each device that keeps a period open longer than the contract allows, and
/// clear ones for the devices that do not. About (contract, device): one row, whichever period
/// waits.
std::vector<ExceptionUpsert> silence_exceptions(const std::string& tenant, const Contract& contract,
                                                Period period, const std::vector<DeviceNeed>& needs,
                                                const std::vector<Waiting>& waiting, Timestamp now);

}  // namespace ledgerline::collector
