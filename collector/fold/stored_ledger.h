#pragma once
// The ledger of a store, read. Blocking.

#include <string>
#include <vector>

#include "collector/store/store.h"

namespace ledgerline::collector {

/// The texts of all rows (core/ledger.h), in the order of periods. Errc::corrupt names the period
/// that cannot be read; Errc::reject beyond ten million rows.
Result<std::vector<std::string>> stored_ledger(Store& store);

}  // namespace ledgerline::collector
