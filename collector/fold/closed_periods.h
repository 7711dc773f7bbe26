#pragma once
// What another catalog would make of periods that are closed: their lines under both, with the
// usage as it is now. A closed period is never edited, so a catalog that alters one is not taken.
// Blocking: reads usage.

#include <optional>
#include <string>
#include <vector>

#include "collector/core/commerce.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

struct LineFigures {
  Decimal quantity;
  Decimal amount;  // of all tiers
  std::string currency;
  std::vector<std::string> products;  // of each tier
  friend bool operator==(const LineFigures&, const LineFigures&) = default;
};

struct AlteredLine {
  std::string contract;
  Period period;
  LineKey key;
  std::optional<LineFigures> before;  // nothing: there is no such line
  std::optional<LineFigures> after;
  [[nodiscard]] std::string text() const;
};

struct AlteredLines {
  static constexpr size_t kLinesMax = 20;
  std::vector<AlteredLine> lines;  // the first kLinesMax
  size_t more = 0;
};

enum class LinkChanges {
  compared,  // what links move is an alteration too
  allowed,   // only what prices, meters and contracts alter counts: under the links of `after`
};

/// Of all closed periods of the tenant of `before`. Only contracts and periods that the difference
/// of the two reaches are read.
Result<AlteredLines> altered_lines(Store& store, const Catalog& before, const Catalog& after,
                                   LinkChanges links);

}  // namespace ledgerline::collector
