#include "collector/fold/series_sweep.h"

#include <catch2/catch.hpp>

namespace ledgerline::collector {
namespace {

using Ids = std::vector<SeriesId>;

/// The next page of a store with series 1 ... `count`: the named ones, then those listed.
Ids next_of(SeriesSweep& sweep, SeriesId count, size_t max) {
  const auto page = sweep.page(max);
  Ids out = page.named;
  std::optional<SeriesId> last;
  for (SeriesId id = page.after + 1; id <= page.through.value_or(count); ++id) {
    if (out.size() == page.named.size() + page.listed_max) break;
    out.push_back(id);
    last = id;
  }
  if (out.size() < page.named.size() + page.listed_max) last.reset();
  sweep.passed(page, last);
  return out;
}

TEST_CASE("the named series share a page with all until none is left of them") {
  SeriesSweep sweep;
  sweep.look_at_all({3, 7, 8});

  CHECK(next_of(sweep, 9, 4) == Ids{3, 7, 1, 2});
  CHECK(next_of(sweep, 9, 4) == Ids{8, 3, 4, 5});
  CHECK(next_of(sweep, 9, 4) == Ids{6, 7, 8, 9});
  CHECK(sweep.more());
  CHECK(next_of(sweep, 9, 4).empty());
  CHECK_FALSE(sweep.more());
}

TEST_CASE("a look goes on where the one before was stopped, and comes full circle") {
  SeriesSweep sweep;
  sweep.look_at_all({1, 2, 3, 4});
  CHECK(next_of(sweep, 6, 4) == Ids{1, 2, 1, 2});

  sweep.look_at_all({1, 2, 3, 4});
  CHECK(next_of(sweep, 6, 4) == Ids{3, 4, 3, 4});

  sweep.look_at_all({});
  CHECK(next_of(sweep, 6, 4) == Ids{5, 6});
  CHECK(next_of(sweep, 6, 4) == Ids{1, 2, 3, 4});
  CHECK(sweep.more());
  CHECK(next_of(sweep, 6, 4).empty());
  CHECK_FALSE(sweep.more());
}

TEST_CASE("a page that is not passed comes again") {
  SeriesSweep sweep;
  sweep.look_at_all({2});

  CHECK(sweep.page(4).named == Ids{2});
  CHECK(next_of(sweep, 9, 4) == Ids{2, 1, 2, 3});
}

TEST_CASE("a look at some series takes whole pages of them and lists none") {
  SeriesSweep sweep;
  sweep.look_at({1, 2, 3});

  CHECK(next_of(sweep, 9, 2) == Ids{1, 2});
  CHECK(next_of(sweep, 9, 2) == Ids{3});
  CHECK_FALSE(sweep.more());
  sweep.look_at({});
  CHECK_FALSE(sweep.more());
}

}  // namespace
}  // namespace ledgerline::collector
