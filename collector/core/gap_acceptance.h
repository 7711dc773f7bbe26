#pragma once
// A gap acceptance: an operator says that periods need not wait for what a device has not promised
// in [from, until). What comes from there later is late usage. Pure.

#include "collector/core/periods.h"
#include "collector/core/statement.h"

namespace ledgerline::collector {

struct GapAcceptance {
  static constexpr size_t kReasonSizeMax = 4096;

  std::string tenant;
  std::string device;
  Timestamp from;
  Timestamp until;
  std::string by;
  Timestamp at;
  std::string reason;

  [[nodiscard]] std::string json() const;
  /// Errc::corrupt, naming the member.
  static Result<GapAcceptance> parse(std::string_view json);
};

/// What a gap-acceptance leaf says. Errc::corrupt.
Result<GapAcceptance> read_gap_acceptance(const LogEntry& leaf);

}  // namespace ledgerline::collector
