#pragma once
// Usage as it counts: with corrections, and to the millisecond. Whole quarter hours come from their
// rows; where a period or a void begins or ends inside one, only the leaves that touch it are
// decoded again. Whatever becomes money reads usage here. Runs on the storage thread.

#include <map>
#include <span>

#include "collector/core/correction.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

/// Usage of each series in [from, to); a series without readings in it is missing. All are to be of
/// one tenant and device.
Result<std::map<SeriesId, UsageValue>> exact_usage(Store& store, std::span<const SeriesId> series,
                                                   Timestamp from, Timestamp to);
/// The same under other corrections than those that the store holds.
Result<std::map<SeriesId, UsageValue>> exact_usage(Store& store, std::span<const SeriesId> series,
                                                   Timestamp from, Timestamp to,
                                                   const Corrections& corrections);

/// Rows of a series with readings that count in [from, to), ascending by quarter hour.
Result<std::vector<UsageRow>> counted_rows(Store& store, const SeriesRow& series, QuarterHour from,
                                           QuarterHour to, const Corrections& corrections);

}  // namespace ledgerline::collector
