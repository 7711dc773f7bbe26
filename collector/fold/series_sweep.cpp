#include "collector/fold/series_sweep.h"

#include <algorithm>
#include <utility>

namespace ledgerline::collector {

void SeriesSweep::look_at_all(std::set<SeriesId> first) {
  named_ = std::move(first);
  listing_ = true;
  start_ = after_;
  wrapped_ = start_ == 0;
}

void SeriesSweep::look_at(std::set<SeriesId> these) {
  named_ = std::move(these);
  listing_ = false;
}

SeriesSweep::Page SeriesSweep::page(size_t max) const {
  Page page;
  const size_t named_max = std::min(named_.size(), listing_ ? (max + 1) / 2 : max);
  auto next = named_.upper_bound(named_after_);
  while (page.named.size() < named_max) {
    if (next == named_.end()) next = named_.begin();
    page.named.push_back(*next++);
  }
  if (!listing_) return page;
  page.listed_max = max - page.named.size();
  page.after = after_;
  if (wrapped_ && start_ != 0) page.through = start_;
  return page;
}

void SeriesSweep::passed(const Page& page, std::optional<SeriesId> last) {
  for (const SeriesId id : page.named) named_.erase(id);
  if (!page.named.empty()) named_after_ = page.named.back();
  if (page.listed_max == 0) return;
  if (last) {
    after_ = *last;
  } else if (!wrapped_) {
    wrapped_ = true;
    after_ = 0;
  } else {
    listing_ = false;
    after_ = start_;
  }
}

}  // namespace ledgerline::collector
