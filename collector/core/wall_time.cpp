#include "collector/core/wall_time.h"

#include <algorithm>

namespace ledgerline::collector {

namespace {

int64_t placed(int64_t monotonic_ms, const ClockAnchor& anchor) {
  int64_t since = 0;
  int64_t wall = 0;
  const bool overflows = __builtin_sub_overflow(monotonic_ms, anchor.monotonic.ms, &since) ||
                         __builtin_add_overflow(anchor.wall.unix_ms(), since, &wall);
  return overflows ? kNoTime : wall;
}

/// Readings from `begin` on lie under the anchor, up to the next stretch.
struct Stretch {
  size_t begin = 0;
  std::optional<ClockAnchor> anchor;
  bool carried = false;
};

std::vector<Stretch> stretches_of(const Columns& columns,
                                  const std::optional<ClockAnchor>& carried) {
  std::vector<Stretch> out{{.begin = 0, .anchor = carried, .carried = carried.has_value()}};
  for (const Record& record : columns.records) {
    const size_t begin = columns.index_of(record.before_seq);
    if (std::holds_alternative<BootRecord>(record.kind))
      out.push_back({.begin = begin, .anchor = {}});
    if (const auto* anchor = std::get_if<ClockAnchor>(&record.kind)) {
      // The boot's first anchor also places what came before it.
      if (!out.back().anchor) out.back().anchor = *anchor;
      out.push_back({.begin = begin, .anchor = *anchor});
    }
  }
  return out;
}

bool has_monotonic(const Columns& columns) {
  return std::any_of(columns.flags.begin(), columns.flags.end(),
                     [](uint8_t flags) { return (flags & Columns::kFlagMonotonic) != 0; });
}

}  // namespace

WallTimes wall_times(const Columns& columns, const std::optional<ClockAnchor>& carried) {
  WallTimes out{.ms = columns.times};
  if (!has_monotonic(columns)) return out;
  const auto stretches = stretches_of(columns, carried);
  size_t at = 0;
  for (size_t i = 0; i < columns.size(); ++i) {
    while (at + 1 < stretches.size() && stretches[at + 1].begin <= i) ++at;
    if ((columns.flags[i] & Columns::kFlagMonotonic) == 0) continue;
    out.ms[i] = stretches[at].anchor ? placed(out.ms[i], *stretches[at].anchor) : kNoTime;
    out.by_carried = out.by_carried || stretches[at].carried;
  }
  return out;
}

}  // namespace ledgerline::collector
