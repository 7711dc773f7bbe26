// Idempotency keys: found, put as they come, packed, merged, removed. What to do next,
// agent/core/key_packs decides; each step is one small transaction.

#include <algorithm>

#include "agent/journal/journal_impl.h"
#include "common/io/log.h"

namespace ledgerline::agent {

namespace {

constexpr size_t kSliceEntries = 32 * kBlockEntries;  // at least: a commit costs some pages itself

/// Of a damaged block what is left.
Result<std::vector<KeyEntry>> read_block(const io::LmdbCursor::Entry& entry, const KeyHash& last,
                                         CheckedBlocks& checks, Seq next_seq) {
  if (!checks.is_sound(entry.key, entry.value)) return salvage_entries(entry.value, last, next_seq);
  return decode_entries(entry.value.first(entry.value.size() - 4));
}

/// Goes through a pack's entries behind a hash.
class PackReader {
 public:
  PackReader(const io::LmdbTxn& txn, uint64_t pack, const std::optional<KeyHash>& after,
             CheckedBlocks& checks, Seq next_seq)
      : txn_(&txn), checks_(&checks), next_seq_(next_seq), pack_(pack), after_(after) {}

  /// Reads the first block, or the next where one is used up.
  Status fill() {
    while (!ended_ && at_ == entries_.size()) {
      TRY(auto block, next_block());
      ended_ = !block.has_value();
      if (ended_) return {};
      entries_ = std::move(*block);
      at_ = 0;
      while (at_ < entries_.size() && after_ && entries_[at_].hash <= *after_) ++at_;
      if (!entries_.empty()) after_ = std::max(after_.value_or(KeyHash()), entries_.back().hash);
    }
    return {};
  }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] const KeyEntry& front() const { return entries_[at_]; }
  void pop() { ++at_; }

 private:
  Result<std::optional<std::vector<KeyEntry>>> next_block() {
    TRY(auto cursor, io::LmdbCursor::open(*txn_));
    Bytes from = keys::key_block(pack_, read_upto_ ? *read_upto_ : after_.value_or(KeyHash()));
    if (read_upto_) from.push_back(0);
    TRY(const auto entry, cursor.seek(from));
    const auto block = entry ? keys::block_of_key(entry->key) : std::nullopt;
    if (!block || block->pack != pack_) return std::nullopt;
    read_upto_ = block->last;
    TRY(auto out, read_block(*entry, block->last, *checks_, next_seq_));
    return out;
  }

  const io::LmdbTxn* txn_;
  CheckedBlocks* checks_;
  Seq next_seq_;
  uint64_t pack_;
  std::optional<KeyHash> after_;
  std::optional<KeyHash> read_upto_;
  std::vector<KeyEntry> entries_;
  size_t at_ = 0;
  bool ended_ = false;
};

struct Slice {
  std::vector<KeyEntry> entries;
  bool ended = false;
};

Result<std::vector<Bytes>> blocks_of(const io::LmdbTxn& txn, uint64_t pack, size_t most) {
  std::vector<Bytes> out;
  TRY(auto cursor, io::LmdbCursor::open(txn));
  TRY(auto entry, cursor.seek(keys::key_block(pack, KeyHash())));
  while (entry && out.size() < most) {
    const auto block = keys::block_of_key(entry->key);
    if (!block || block->pack != pack) break;
    out.push_back(copy_of(entry->key));
    TRY(entry, cursor.next());
  }
  return out;
}

/// The next entries of all inputs in order, to the end of a key. Where two have the same one (it
/// was out of reach when it came again), the older stays.
Result<Slice> next_slice(std::vector<PackReader>& inputs, size_t entries_max) {
  Slice out;
  const PackReader* source = nullptr;
  for (;;) {
    PackReader* least = nullptr;
    for (PackReader& input : inputs) {
      TRY_VOID(input.fill());
      if (!input.ended() && (!least || input.front().hash < least->front().hash)) least = &input;
    }
    out.ended = least == nullptr;
    if (out.ended) return out;
    const bool repeated = !out.entries.empty() && out.entries.back().hash == least->front().hash;
    if (out.entries.size() >= entries_max && !repeated) return out;
    if (!repeated || source == least) {
      out.entries.push_back(least->front());
      source = least;
    }
    least->pop();
  }
}

}  // namespace

Status put_packs(io::LmdbTxn& txn, const KeyPacks& packs) {
  return put_checked(txn, keys::stream(keys::StreamPart::key_packs), values::encode(packs));
}

Status put_key_blocks(io::LmdbTxn& txn, uint64_t pack, std::span<const KeyEntry> sorted) {
  BlockCutter cutter;
  const auto put = [&](const std::vector<KeyEntry>& block) -> Status {
    if (block.empty()) return {};
    return put_checked(txn, keys::key_block(pack, block.back().hash), encode_entries(block));
  };
  for (const KeyEntry& each : sorted) TRY_VOID(put(cutter.add(each)));
  return put(cutter.rest());
}

Status Journal::Impl::load_packs(const io::LmdbTxn& txn) {
  TRY(const auto stored, get_checked(txn, keys::stream(keys::StreamPart::key_packs)));
  if (!stored) return {};
  TRY(packs, values::decode_key_packs(*stored));
  return {};
}

Status Journal::Impl::load_fresh_keys(const io::LmdbTxn& txn) {
  TRY(auto cursor, io::LmdbCursor::open(txn));
  TRY(auto entry, cursor.seek(keys::fresh_keys(packs.first_fresh)));
  while (entry && keys::number_of_fresh_keys(entry->key)) {
    load_fresh_row(*entry);
    TRY(entry, cursor.next());
  }
  // Where the key clock could not be read.
  if (fresh.facts().entries > 0) key_clock.at = std::max(key_clock.at, start_of(fresh.newest()));
  return {};
}

void Journal::Impl::load_fresh_row(const io::LmdbCursor::Entry& row) {
  const auto value = checked(row.key, row.value);
  const auto list = value ? values::decode_fresh_keys(*value) : fail(value.error());
  if (list) {
    return fresh.add(list->entries, list->hour);
  }
  forget_damaged(row.key, list.error());
  constexpr size_t kHourSize = 4;
  const ByteView rest = row.value.subspan(std::min(row.value.size(), kHourSize));
  const KeyHash last = *KeyHash::from(std::string(KeyHash::kSize, '\xff'));
  fresh.add(salvage_entries(rest, last, state.next_seq), hour_of(key_clock.at));
}

Result<std::vector<SeqRange>> find_in_packs(const io::LmdbTxn& txn, const KeyPacks& packs,
                                            const KeyHash& hash, CheckedBlocks& checks,
                                            Seq next_seq) {
  TRY(auto cursor, io::LmdbCursor::open(txn));
  for (auto pack = packs.packs.rbegin(); pack != packs.packs.rend(); ++pack) {
    TRY(const auto entry, cursor.seek(keys::key_block(pack->id, hash)));
    const auto block = entry ? keys::block_of_key(entry->key) : std::nullopt;
    if (!block || block->pack != pack->id) continue;
    auto found =
        checks.is_sound(entry->key, entry->value)
            ? find_in_block(entry->value.first(entry->value.size() - 4), hash)
            : find_in_block(encode_entries(salvage_entries(entry->value, block->last, next_seq)),
                            hash);
    if (!found.empty()) return found;
  }
  return std::vector<SeqRange>();
}

std::optional<Hour> Journal::Impl::oldest_key_hour() const {
  if (!packs.packs.empty()) return packs.packs.front().from;
  if (fresh.facts().entries > 0) return fresh.facts().from;
  return std::nullopt;
}

Status Journal::Impl::put_keys(io::LmdbTxn& txn, const RecordPlan& plan, FreshKeys& pending,
                               StreamState& next) const {
  FreshKeyList list{.hour = hour_of(key_clock_now().at), .entries = {}};
  for (const auto& [hash, seq] : plan.ids) {
    list.entries.push_back({.hash = hash, .range = {.first = seq, .count = 1}});
  }
  for (const auto& [hash, ranges] : plan.requests) {
    for (const SeqRange& range : ranges) list.entries.push_back({.hash = hash, .range = range});
  }
  if (list.entries.empty()) return {};
  TRY_VOID(put_checked(txn, keys::fresh_keys(next.next_key_list), values::encode(list)));
  ++next.next_key_list;
  pending.add(list.entries, list.hour);
  return {};
}

Status Journal::Impl::commit_packs(io::LmdbTxn txn, KeyPacks next) {
  TRY_VOID(put_packs(txn, next));
  TRY_VOID(commit(std::move(txn), state));
  packs = std::move(next);
  return {};
}

Status Journal::Impl::pack_fresh() {
  KeyPacks next = packs;
  std::vector<KeyEntry> sorted(fresh.entries().begin(), fresh.entries().end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const KeyEntry& a, const KeyEntry& b) { return a.hash < b.hash; });
  KeyPack pack{.id = next.next_id++,
               .entries = sorted.size(),
               .from = fresh.facts().from,
               .to = fresh.newest()};
  for (const KeyEntry& each : sorted) {
    pack.last_seq = std::max(pack.last_seq, each.range.first + each.range.count - 1);
  }
  TRY(auto txn, begin_growing());
  TRY_VOID(put_key_blocks(txn, pack.id, sorted));
  for (; next.first_fresh < state.next_key_list; ++next.first_fresh) {
    TRY_VOID(txn.erase(keys::fresh_keys(next.first_fresh)));
  }
  add_pack(next, pack);
  TRY_VOID(commit_packs(std::move(txn), std::move(next)));
  fresh = FreshKeys();
  return {};
}

Status Journal::Impl::merge_slice(KeyPacks next) {
  TRY(auto txn, begin_growing());
  std::vector<PackReader> inputs;
  for (size_t i = 0; i < next.merge->count; ++i) {
    inputs.emplace_back(txn, next.packs[next.merge->first + i].id, next.merge->written, checks,
                        state.next_seq);
  }
  TRY(const Slice slice, next_slice(inputs, merge_slice_entries(keys_since_slice, kSliceEntries)));
  TRY_VOID(put_key_blocks(txn, next.merge->output, slice.entries));
  next.merge->entries += slice.entries.size();
  if (!slice.entries.empty()) next.merge->written = slice.entries.back().hash;
  if (slice.ended) end_merge(next);
  TRY_VOID(commit_packs(std::move(txn), std::move(next)));
  keys_since_slice = 0;
  return {};
}

Status Journal::Impl::remove_doomed_slice() {
  KeyPacks next = packs;
  size_t room = options.retention.slice_keys;
  TRY(auto txn, env.begin_write());
  while (!next.doomed.empty() && room > 0) {
    TRY(const auto blocks, blocks_of(txn, next.doomed.front(), room));
    for (const Bytes& key : blocks) TRY_VOID(txn.erase(key));
    if (blocks.size() < room) next.doomed.erase(next.doomed.begin());
    room -= blocks.size();
  }
  return commit_packs(std::move(txn), std::move(next));
}

Status Journal::Impl::give_up_key_merge() {
  KeyPacks next = packs;
  give_up_merge(next);
  TRY(auto txn, env.begin_write());
  return commit_packs(std::move(txn), std::move(next));
}

Status Journal::Impl::forget_oldest_keys(Hour before) {
  KeyPacks next = packs;
  if (!forget_oldest(next, before)) return {};
  TRY(auto txn, env.begin_write());
  return commit_packs(std::move(txn), std::move(next));
}

KeyWork Journal::Impl::key_work(const Space& now) const {
  return next_key_work(packs, fresh.facts(), hour_of(key_clock_now().at),
                       room_before_trimming(now, options.retention),
                       key_pack_limits(options.retention));
}

Status Journal::Impl::tidy_keys(KeyWork work) {
  KeyPacks next = packs;
  switch (work) {
    case KeyWork::nothing:
      return {};
    case KeyWork::pack_fresh:
      return pack_fresh();
    case KeyWork::begin_merge:
      next.merge = mergeable(next, hour_of(key_clock_now().at), key_pack_limits(options.retention));
      ++next.next_id;
      return merge_slice(std::move(next));
    case KeyWork::go_on_merging:
      return merge_slice(std::move(next));
  }
  return {};
}

}  // namespace ledgerline::agent
