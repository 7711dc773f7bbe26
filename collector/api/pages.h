#pragma once
// Goes through a list of the store, a page at a time.

#include <functional>
#include <string>
#include <vector>

#include "common/result.h"

namespace ledgerline::collector {

inline constexpr size_t kPage = 1000;

/// `read` gives the rows after an id, kPage at most, ascending by id.
template <class Row, class Read>
Status each_page(Read read, const std::function<Status(const Row&)>& visit) {
  std::string after;
  for (;;) {
    TRY(const std::vector<Row> page, read(after));
    for (const Row& row : page) TRY_VOID(visit(row));
    if (page.size() < kPage) return {};
    after = page.back().id;
  }
}

}  // namespace ledgerline::collector
