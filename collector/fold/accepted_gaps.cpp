#include "collector/fold/accepted_gaps.h"

#include "collector/core/gap_acceptance.h"
#include "collector/fold/faults.h"

namespace ledgerline::collector {

Result<std::vector<AcceptedGap>> AcceptedGaps::read(Store& store, const std::string& tenant) {
  TRY(const uint64_t count, store.statement_count(LeafKind::gap_acceptance));
  while (count_ < count) {
    // One at a time: damage to one hides no other.
    const auto leaves = store.statements(LeafKind::gap_acceptance, count_ + 1, 1);
    if (!leaves && is_for_all(leaves.error())) return fail(leaves.error());
    ++count_;
    if (!leaves || leaves->empty()) continue;
    const LogEntry& leaf = leaves->front();
    const auto gap = read_gap_acceptance(leaf);
    if (!gap) continue;
    by_tenant_[gap->tenant].push_back({leaf.data, gap->device, gap->from, gap->until});
  }
  return by_tenant_[tenant];
}

}  // namespace ledgerline::collector
