#include "collector/fold/changed_series.h"

#include <utility>

namespace ledgerline::collector {

void ChangedSeries::folded(const FoldChanges& changes) {
  if (changes.cursor_before != until_) {
    series_.clear();
    from_ = changes.cursor_before;
  }
  until_ = changes.cursor_after;
  // A correction changes what series that are not in here come to.
  if (!changes.corrections.empty()) {
    series_.clear();
    from_ = until_;
    return;
  }
  for (const UsageDelta& delta : changes.usage) series_.insert(delta.series);
  if (series_.size() <= kMax) return;
  series_.clear();
  from_ = until_;
}

std::optional<std::set<SeriesId>> ChangedSeries::take(LeafNumber from, LeafNumber until) {
  const bool known = from_ <= from && until_ == until;
  auto out = std::exchange(series_, {});
  from_ = until_;
  if (!known) return std::nullopt;
  return out;
}

}  // namespace ledgerline::collector
