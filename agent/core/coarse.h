#pragma once
// What becomes of readings that cannot wait while the journal is full (reliability.md 1.3): they
// are merged, so that the quantity goes on being counted and only its detail coarsens. Pure; the
// journal keeps the result.
//
// Readings of one series and one quarter hour, the grain of usage, become one. As rows fill up the
// step doubles, so that a bounded number of rows lasts for weeks: 60 series fill 512 rows in two
// hours at the first step, and the eighth step is 32 hours wide. Rows that stand are left as they
// are, so a seq once given stays given. A Coarsened record in front says what was done.

#include <optional>
#include <vector>

#include "common/columns.h"

namespace ledgerline::agent {

struct CoarseLimits {
  Duration step = std::chrono::minutes(15);
  size_t rows_per_step = 512;
  size_t rows_max = Columns::kReadingsMax;
  /// Of the run so far; beyond it, as beyond rows_max, a reading only joins what is there, and the
  /// step that is said widens until it holds both.
  size_t bytes_max = 256 * 1024;
};

struct CoarseContext {
  const MeterRows& meters;
  std::optional<ClockAnchor> anchor;  // places monotonic times in a quarter hour
  Timestamp now;
  size_t open_bytes = 0;  // encoded size of `open`
};

struct CoarseMerge {
  Columns run;
  std::vector<Seq> seqs;  // one per reading of `more`: the row that holds it
  /// Gauge levels that a newer one replaced, by meter: no longer in the sum of readings.
  std::vector<std::pair<uint32_t, int64_t>> replaced;
};

/// Merges `more` into `open`, which is empty at first. Nothing where a reading's series is new and
/// there is no room left for another. Invariant: more.first_seq == open.next_seq().
std::optional<CoarseMerge> coarsen(const Columns& open, const Columns& more,
                                   const CoarseContext& context, const CoarseLimits& limits = {});

}  // namespace ledgerline::agent
