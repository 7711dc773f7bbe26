#pragma once
// Readings on a monotonic clock become wall time by the anchors among their batch's records. Pure.

#include <limits>
#include <optional>
#include <vector>

#include "common/columns.h"

namespace ledgerline::collector {

/// For a reading on the monotonic clock of a boot that has no anchor.
inline constexpr int64_t kNoTime = std::numeric_limits<int64_t>::min();

struct WallTimes {
  std::vector<int64_t> ms;  // of each reading, since 1970
  bool by_carried = false;  // the anchor from before the batch placed one of them
};

/// A monotonic time is placed by its boot's latest anchor before it; readings ahead of the boot's
/// first anchor by that one. `carried` is the anchor that was in force before the batch.
WallTimes wall_times(const Columns& columns, const std::optional<ClockAnchor>& carried);

}  // namespace ledgerline::collector
