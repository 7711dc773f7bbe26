#pragma once
// How much of a journal is what, for support: counts and bytes, no contents.

#include <string>
#include <vector>

#include "agent/journal/journal.h"

namespace ledgerline::agent {

struct TableSize {
  std::string table;  // as keys.h names it
  uint64_t entries = 0;
  uint64_t bytes = 0;  // of keys and values, without LMDB's pages
};

/// Reads the journal in its folder, also while an agent runs on it, up to `entries_max` entries:
/// what lies behind them is not counted. Errc::not_found where there is none, Errc::corrupt for a
/// file that is none.
Result<std::vector<TableSize>> read_table_sizes(const JournalOptions& options,
                                                uint64_t entries_max = 5'000'000);

}  // namespace ledgerline::agent
