#pragma once
// Which series the fold changed since the commercial step asked last, so that it looks at these and
// not at all. A hint: it knows from which cursor to which it is complete, and whoever asks about
// more is told nothing and has to look at all. Used on the storage thread only.

#include <optional>
#include <set>

#include "collector/store/store.h"

namespace ledgerline::collector {

class ChangedSeries {
 public:
  /// Beyond them it forgets, as after a cursor that it did not see moving.
  static constexpr size_t kMax = 100'000;

  void folded(const FoldChanges& changes);

  /// What changed between the two cursors, and forgets it; nothing where that is not known.
  std::optional<std::set<SeriesId>> take(LeafNumber from, LeafNumber until);

 private:
  LeafNumber from_ = 0;
  LeafNumber until_ = 0;
  std::set<SeriesId> series_;
};

}  // namespace ledgerline::collector
