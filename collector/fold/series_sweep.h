#pragma once
// Whose turn it is in a look at all series, or at some. It holds places, and nothing of what was
// found there. Two rings: named series, which go first, and all of the store by their ids. Each
// goes on where it stood, also in the next look, and while both have work each has half of a page:
// looks that never come to their end reach every series all the same. Pure.

#include <optional>
#include <set>
#include <vector>

#include "collector/core/records.h"

namespace ledgerline::collector {

class SeriesSweep {
 public:
  struct Page {
    std::vector<SeriesId> named;
    size_t listed_max = 0;            // of all series, beside the named
    SeriesId after = 0;               // those above this one ...
    std::optional<SeriesId> through;  // ... up to this one
  };

  /// Begin a look. What is left of the one before is forgotten.
  void look_at_all(std::set<SeriesId> first);
  void look_at(std::set<SeriesId> these);

  /// At most `max` series, at least 1. The same until passed() is told.
  [[nodiscard]] Page page(size_t max) const;
  /// The page was looked at. `last`: of those listed, where there may be more behind it.
  void passed(const Page& page, std::optional<SeriesId> last);
  [[nodiscard]] bool more() const { return !named_.empty() || listing_; }

 private:
  std::set<SeriesId> named_;  // still to be looked at
  SeriesId named_after_ = 0;
  bool listing_ = false;  // of all series, some are still to be looked at
  SeriesId after_ = 0;
  SeriesId start_ = 0;    // where this look's listing began
  bool wrapped_ = false;  // it goes on from the first one to where it began
};

}  // namespace ledgerline::collector
