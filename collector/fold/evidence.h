#pragma once
// Usage to the millisecond, read back from the evidence: for periods that begin or end inside a
// quarter hour. Whole quarter hours come from their rows; only the batches that touch a cut one are
// decoded again. Runs on the storage thread.

#include <map>
#include <span>

#include "collector/store/store.h"

namespace ledgerline::collector {

/// Usage of each series in [from, to); a series without readings in it is missing. All are to be of
/// one tenant and device.
Result<std::map<SeriesId, UsageValue>> exact_usage(Store& store, std::span<const SeriesId> series,
                                                   Timestamp from, Timestamp to);

}  // namespace ledgerline::collector
