#pragma once
// Gives meters their numbers in the stream. A number keeps its meaning for ever, so a changed
// definition gets a new number, and a table keeps the rows of meters that are no longer declared:
// the newest table alone explains every batch of the stream. Pure.

#include "common/columns.h"

namespace ledgerline::agent {

struct NumberedMeters {
  MeterTable table;  // number + 1 where rows were added
  bool changed = false;
  std::vector<MeterRow> declared;  // as declared, in that order, with their numbers
};

struct MeterLimits {
  static constexpr size_t kRowsMax = 512;
  /// Of names and units together: a table travels in a batch of at most 64 KiB.
  static constexpr size_t kTextMax = 24 * 1024;
};

/// Errc::config where two declared meters have one name, or the stream would have too many rows.
Result<NumberedMeters> number_meters(const MeterTable& current,
                                     const std::vector<MeterRow>& declared);

}  // namespace ledgerline::agent
