#include "agent/core/key_packs.h"

#include <algorithm>
#include <span>

#include "common/check.h"

namespace ledgerline::agent {

namespace {

/// One pack's worth, of one span of hours.
bool fits(std::span<const KeyPack> packs, const KeyPackLimits& limits) {
  uint64_t entries = 0;
  for (const KeyPack& pack : packs) {
    entries += pack.entries;
    const bool same_span = pack.from / limits.span_hours == packs.front().from / limits.span_hours;
    if (!same_span) return false;
  }
  return entries <= limits.pack_max;
}

/// What they become is at least four times the largest of them: so a key is rewritten a few times,
/// not with each of its neighbours.
bool pays(std::span<const KeyPack> packs) {
  uint64_t entries = 0;
  uint64_t largest = 0;
  for (const KeyPack& pack : packs) {
    entries += pack.entries;
    largest = std::max(largest, pack.entries);
  }
  return largest * 4 <= entries;
}

/// Bytes, with LMDB's part of a page.
uint64_t left_to_write(const KeyPacks& packs, const KeyMerge& merge) {
  uint64_t entries = 0;
  for (size_t i = 0; i < merge.count; ++i) entries += packs.packs[merge.first + i].entries;
  const uint64_t left = entries - std::min(entries, merge.entries);
  return left * KeyEntry::kSize / 30 * 31;
}

}  // namespace

KeyPackLimits key_pack_limits(const RetentionLimits& limits) {
  KeyPackLimits out;
  out.pack_max = limits.quota_bytes / 16 / KeyEntry::kSize;
  out.fresh_max = std::min<size_t>(out.fresh_max, static_cast<size_t>(out.pack_max / out.fan / 2));
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(limits.idempotency_window);
  out.span_hours = static_cast<uint32_t>(std::clamp<int64_t>(hours.count() / 8, 1, 24 * 365));
  return out;
}

MergeRoom merge_room(const KeyPacks& packs, Hour now, const KeyPackLimits& limits) {
  const auto merge = packs.merge ? packs.merge : mergeable(packs, now, limits);
  if (!merge) return {};
  const uint64_t left = left_to_write(packs, *merge);
  return {.needed = left, .wanted = left + (left + limits.pack_max * KeyEntry::kSize) / 4};
}

KeyWork next_key_work(const KeyPacks& packs, const FreshFacts& fresh, Hour now, uint64_t room_bytes,
                      const KeyPackLimits& limits) {
  if (fresh.entries >= 4 * limits.fresh_max) return KeyWork::pack_fresh;
  const bool has_room = merge_room(packs, now, limits).needed <= room_bytes;
  if (packs.merge && has_room) return KeyWork::go_on_merging;
  // The last ones of an hour first: they belong into what its span is merged to.
  if (fresh.entries > 0 && fresh.from < now) return KeyWork::pack_fresh;
  if (!packs.merge && has_room && mergeable(packs, now, limits)) return KeyWork::begin_merge;
  return fresh.entries >= limits.fresh_max ? KeyWork::pack_fresh : KeyWork::nothing;
}

size_t merge_slice_entries(uint64_t recorded, size_t least) {
  constexpr uint64_t kWritten = 6;  // times that a key is written while it is merged, at most
  return static_cast<size_t>(std::clamp<uint64_t>(recorded * kWritten, least, least * 4));
}

std::optional<KeyMerge> mergeable(const KeyPacks& packs, Hour now, const KeyPackLimits& limits) {
  const std::span<const KeyPack> all(packs.packs);
  for (size_t end = all.size(); end >= limits.fan; --end) {
    const size_t first = end - limits.fan;
    const auto some = all.subspan(first, limits.fan);
    if (!pays(some) || !fits(some, limits)) continue;
    return KeyMerge{.first = first, .count = limits.fan, .output = packs.next_id};
  }
  for (size_t first = 0; first < all.size(); ++first) {
    if (all[first].from / limits.span_hours >= now / limits.span_hours) break;
    size_t count = 1;
    while (first + count < all.size() && fits(all.subspan(first, count + 1), limits)) ++count;
    if (count > 1) return KeyMerge{.first = first, .count = count, .output = packs.next_id};
  }
  return std::nullopt;
}

void add_pack(KeyPacks& packs, const KeyPack& pack) {
  if (packs.packs.size() >= KeyPacks::kPacksMax) forget_oldest(packs, UINT32_MAX);
  packs.packs.push_back(pack);
}

void end_merge(KeyPacks& packs) {
  CHECK_INVARIANT(packs.merge && packs.merge->first + packs.merge->count <= packs.packs.size());
  const KeyMerge merge = *packs.merge;
  const auto first = packs.packs.begin() + static_cast<std::ptrdiff_t>(merge.first);
  const auto end = first + static_cast<std::ptrdiff_t>(merge.count);
  KeyPack output{
      .id = merge.output, .entries = merge.entries, .from = first->from, .to = first->to};
  for (auto input = first; input != end; ++input) {
    output.from = std::min(output.from, input->from);
    output.to = std::max(output.to, input->to);
    output.last_seq = std::max(output.last_seq, input->last_seq);
    packs.doomed.push_back(input->id);
  }
  *first = output;
  packs.packs.erase(first + 1, end);
  packs.merge.reset();
}

void give_up_merge(KeyPacks& packs) {
  if (!packs.merge) return;
  packs.doomed.push_back(packs.merge->output);
  packs.merge.reset();
}

bool forget_oldest(KeyPacks& packs, Hour before) {
  if (packs.packs.empty() || packs.packs.front().to >= before) return false;
  if (packs.merge && packs.merge->first == 0) give_up_merge(packs);
  if (packs.merge) --packs.merge->first;
  packs.doomed.push_back(packs.packs.front().id);
  packs.packs.erase(packs.packs.begin());
  return true;
}

}  // namespace ledgerline::agent
