#pragma once
// Builds a store again from the evidence log of another one and compares the ledgers: each leaf is
// checked (core/replay.h) and put into the empty target in its place, the fold and the bookings are
// the live collector's (Folder, CommerceRunner). Each close statement says at which leaf of the
// fold it was made, when, and under which versions: there the replay books again. Blocking; reads
// the source in short transactions, so that a collector may go on beside it.

#include <string>
#include <vector>

#include "collector/store/store.h"

namespace ledgerline::collector {

struct ReplayReport {
  static constexpr size_t kFindingsMax = 20;

  uint64_t log_leaves = 0;  // of the source when the replay began
  uint64_t leaves = 0;      // taken; fewer where one of them is damaged
  uint64_t batches = 0;     // and tombstones
  uint64_t readings = 0;
  uint64_t bookings = 0;        // closes and adjustments
  size_t rows = 0;              // of the source's ledger
  Digest there;                 // ledger hash of the source
  Digest here;                  // of the replay
  bool usage_compared = false;  // the source's fold did not move meanwhile
  /// What differs or is damaged, in the order of the log, for a person; the first kFindingsMax.
  std::vector<std::string> findings;
  size_t more_findings = 0;

  void find(std::string what);
  [[nodiscard]] bool complete() const { return leaves == log_leaves; }
  [[nodiscard]] bool equal() const { return complete() && findings.empty() && there == here; }
};

/// `collector`: the key that signed the grants and closes. What is wrong with the source's log is a
/// finding and no error. Errc::config where the target holds something, Errc::retry where the
/// source's ledger changes too fast to be read.
Result<ReplayReport> replay(Store& source, Store& target, const PublicKey& collector);

}  // namespace ledgerline::collector
