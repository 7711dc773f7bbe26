#pragma once
// The ledger: what closed periods have booked, in the one form that any order of arrival gives.
// ARCHITECTURE.md, "Evidence". Pure.

#include <string>
#include <vector>

#include "collector/core/records.h"
#include "common/crypto.h"
#include "common/decimal.h"
#include "common/result.h"

namespace ledgerline::collector {

/// One line of a closed period; quantity and amount are cumulative over the close and its
/// adjustments.
struct LedgerRow {
  std::string tenant;
  std::string subscription;
  Timestamp from;
  Timestamp until;
  std::string meter;
  Decimal quantity;
  Decimal amount;
  std::string rate_card;
  int64_t rate_card_version = 0;

  /// The JSON array [tenant, subscription, from, until, meter, quantity, amount, rate card,
  /// version]; decimals as text without superfluous zeros.
  [[nodiscard]] std::string text() const;
};

/// None of a period that is open or booked nothing. Errc::corrupt.
Result<std::vector<LedgerRow>> ledger_rows(const PeriodRow& period);

/// SHA-256 over the texts in ascending order of their bytes, each with a line feed behind it.
Digest ledger_hash(std::vector<std::string> texts);

}  // namespace ledgerline::collector
