#include "collector/core/linkage.h"

#include <algorithm>

#include "common/check.h"

namespace ledgerline::collector {

namespace {

struct Waiting {
  ChainedBatch batch;
  std::optional<size_t> arrival;
};

class Group {
 public:
  explicit Group(const LinkageState& state)
      : open_(state.status == StreamStatus::open), forks_(state.forks) {
    out_.head_number = state.head_number;
    out_.head_id = state.head_id;
    linked_ = state.linked;
    linked_[state.head_number] = state.head_id;
    for (const auto& [number, batch] : state.parked) waiting_[number] = {batch, std::nullopt};
  }

  void add(const ChainedBatch& batch, size_t arrival) {
    out_.fates.push_back(fate_of(batch, arrival));
  }

  Linkage result() {
    for (const auto& [number, waiting] : waiting_) out_.parked.push_back(number);
    // What came in this group and still waits is parked now; what found its predecessor meanwhile
    // is linked.
    for (const auto& [number, waiting] : waiting_) {
      if (waiting.arrival) out_.parks.push_back(*waiting.arrival);
    }
    for (const auto& link : out_.links) {
      if (link.arrival) out_.fates[*link.arrival] = Fate::linked;
    }
    return std::move(out_);
  }

 private:
  Fate fate_of(const ChainedBatch& batch, size_t arrival) {
    if (is_duplicate(batch)) return Fate::duplicate;
    if (!open_) return keep(batch, arrival, Fate::kept);
    const auto common = batch.first == 0 ? contradiction(batch) : tombstone_contradiction(batch);
    if (common) {
      freeze(*common);
      return keep(batch, arrival, Fate::forked);
    }
    if (batch.first != 0) return bury(batch, arrival);
    if (batch.number == out_.head_number + 1) {
      link(batch, arrival);
      link_waiting();
      return Fate::linked;
    }
    if (waiting_.size() >= Linkage::kParkedMax) return Fate::dropped;
    waiting_[batch.number] = {batch, arrival};
    return Fate::parked;
  }

  [[nodiscard]] bool is_duplicate(const ChainedBatch& batch) const {
    if (batch.number <= out_.head_number) {
      const BatchId* linked = linked_id(batch.number);
      if (linked == nullptr || *linked == batch.id) return true;
    }
    if (forks_.contains(batch.id)) return true;
    if (batch.first != 0) return false;  // what waits at its end does not stand for the rest
    const auto waiting = waiting_.find(batch.number);
    return waiting != waiting_.end() && waiting->second.batch.id == batch.id;
  }

  /// nullptr inside a tombstone.
  [[nodiscard]] const BatchId* linked_id(BatchNumber number) const {
    const auto found = linked_.find(number);
    return found == linked_.end() ? nullptr : &found->second;
  }

  /// The last batch that both branches can have in common, where the batch contradicts what is
  /// known.
  [[nodiscard]] std::optional<BatchNumber> contradiction(const ChainedBatch& batch) const {
    const BatchNumber before = batch.number - 1;
    if (batch.number <= out_.head_number) {
      const BatchId* linked = linked_id(before);
      const bool shared = before == 0 || linked == nullptr || *linked == batch.previous;
      return shared ? before : before - 1;
    }
    if (before == out_.head_number && batch.previous != out_.head_id)
      return before == 0 ? 0 : before - 1;
    if (waiting_.contains(batch.number)) return out_.head_number;
    const auto left = waiting_.find(before);
    if (left != waiting_.end() && left->second.batch.id != batch.previous) return out_.head_number;
    const auto right = waiting_.find(batch.number + 1);
    if (right != waiting_.end() && right->second.batch.previous != batch.id)
      return out_.head_number;
    return std::nullopt;
  }

  [[nodiscard]] std::optional<BatchNumber> tombstone_contradiction(
      const ChainedBatch& tombstone) const {
    const BatchNumber before = tombstone.first - 1;
    if (before > out_.head_number) return std::nullopt;
    const BatchId* linked = linked_id(before);
    if (linked != nullptr && *linked != tombstone.previous) return before == 0 ? 0 : before - 1;
    if (tombstone.number <= out_.head_number) return before;  // no duplicate, so another id
    const auto last = waiting_.find(tombstone.number);
    if (last != waiting_.end() && last->second.batch.id != tombstone.id) return out_.head_number;
    const auto right = waiting_.find(tombstone.number + 1);
    if (right != waiting_.end() && right->second.batch.previous != tombstone.id)
      return out_.head_number;
    return std::nullopt;
  }

  /// Links the tombstone where it reaches the head; what waited below its end is given up with it.
  Fate bury(const ChainedBatch& tombstone, size_t arrival) {
    const BatchNumber before = tombstone.first - 1;
    // Nobody has a receipt that ends inside a tombstone, so nobody may begin one there.
    if (before > out_.head_number || linked_id(before) == nullptr) return Fate::dropped;
    const auto end = waiting_.upper_bound(tombstone.number);
    for (auto it = waiting_.begin(); it != end; it = waiting_.erase(it)) {
      if (it->second.arrival) out_.fates[*it->second.arrival] = Fate::duplicate;
    }
    append(tombstone, arrival);
    link_waiting();
    return Fate::linked;
  }

  Fate keep(const ChainedBatch& batch, size_t arrival, Fate fate) {
    if (forks_.size() >= Linkage::kForksMax) return Fate::dropped;
    forks_.insert(batch.id);
    out_.keeps.push_back(arrival);
    return fate;
  }

  void freeze(BatchNumber common) {
    open_ = false;
    out_.frozen_at = common;
  }

  void link(const ChainedBatch& batch, std::optional<size_t> arrival) {
    CHECK_INVARIANT(batch.number == out_.head_number + 1 && batch.previous == out_.head_id);
    append(batch, arrival);
  }

  void append(const ChainedBatch& batch, std::optional<size_t> arrival) {
    out_.links.push_back({batch.number, batch.id, arrival});
    out_.head_number = batch.number;
    out_.head_id = batch.id;
    linked_[batch.number] = batch.id;
  }

  void link_waiting() {
    for (auto next = waiting_.begin();
         next != waiting_.end() && next->first == out_.head_number + 1;
         next = waiting_.erase(next)) {
      // contradiction() compared neighbours, also when the newcomer came second.
      link(next->second.batch, next->second.arrival);
    }
  }

  bool open_;
  std::set<BatchId> forks_;
  std::map<BatchNumber, BatchId> linked_;
  std::map<BatchNumber, Waiting> waiting_;
  Linkage out_;
};

}  // namespace

Linkage link_group(const LinkageState& state, const std::vector<ChainedBatch>& arrivals) {
  Group group(state);
  for (size_t i = 0; i < arrivals.size(); ++i) {
    CHECK_INVARIANT(arrivals[i].number > 0 && arrivals[i].first <= arrivals[i].number);
    group.add(arrivals[i], i);
  }
  return group.result();
}

ResumeVerdict judge_resume(const HeldStream& held, const Resume& resume) {
  if (held.status == StreamStatus::frozen)
    return {Verdict::stream_frozen, "the stream was frozen by a fork", false};
  if (held.status == StreamStatus::closed)
    return {Verdict::stream_frozen, "the stream was closed", false};
  const BatchNumber held_upto =
      held.parked.empty() ? held.head_number : std::max(held.head_number, held.parked.back());
  if (resume.head_batch < held_upto) {
    return {Verdict::rollback,
            "the device has batches up to " + std::to_string(resume.head_batch) +
                ", the collector up to " + std::to_string(held_upto),
            false};
  }
  if (resume.head_batch == held.head_number && resume.head_id != held.head_id) {
    return {Verdict::rollback,
            "batch " + std::to_string(resume.head_batch) + " of the device is not ours", false};
  }
  // A receipt that never arrived leaves acked_upto behind: that is ordinary, and the answer brings
  // it.
  return {Verdict::continue_, {}, resume.acked_upto > held.head_number};
}

}  // namespace ledgerline::collector
