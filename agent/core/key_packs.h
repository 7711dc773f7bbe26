#pragma once
// Decides how idempotency keys are kept: those of the last hour as they came, older ones in packs.
// Pure; the journal stores. Keys are hashes and lie apart: in one sorted table each would cost a
// page of its own, once to keep it and once to forget it. A pack is a sorted table of its own that
// is written once, from beginning to end; packs of about one size are merged into a larger one, so
// that few have to be asked (a log-structured merge tree, O'Neil et al. 1996, tiered).

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/core/recorder.h"
#include "agent/core/retention.h"

namespace ledgerline::agent {

/// A key and where what it is for was recorded. A request has one for each of its ranges, in order.
struct KeyEntry {
  static constexpr size_t kSize = 28;  // stored
  KeyHash hash;
  SeqRange range;
  friend bool operator==(const KeyEntry&, const KeyEntry&) = default;
};

struct KeyPack {
  uint64_t id = 0;
  uint64_t entries = 0;
  Hour from = 0;  // of its oldest key, by KeyClock
  Hour to = 0;    // of its newest: it is kept as long as that one
  Seq last_seq = 0;
  friend bool operator==(const KeyPack&, const KeyPack&) = default;
};

/// Packs [first, first + count) become one. Until its end the old ones answer.
struct KeyMerge {
  size_t first = 0;
  size_t count = 0;
  uint64_t output = 0;             // id
  uint64_t entries = 0;            // written so far
  std::optional<KeyHash> written;  // all keys up to here
  friend bool operator==(const KeyMerge&, const KeyMerge&) = default;
};

/// Stored in one row, whenever it changes.
struct KeyPacks {
  /// Some forty are usual; more where there is no room to merge them.
  static constexpr size_t kPacksMax = 1 << 15;
  uint64_t next_id = 1;
  uint64_t first_fresh = 1;    // the oldest list of keys that no pack has
  std::vector<KeyPack> packs;  // oldest first
  std::optional<KeyMerge> merge;
  std::vector<uint64_t> doomed;  // ids whose entries are being removed
  friend bool operator==(const KeyPacks&, const KeyPacks&) = default;
};

/// What is known of the keys that no pack has yet.
struct FreshFacts {
  size_t entries = 0;
  Hour from = 0;  // of the oldest
};

struct KeyPackLimits {
  size_t fresh_max = 2048;  // entries; they are held in memory too
  uint64_t pack_max = 0;    // entries of a pack that is made by merging
  uint32_t span_hours = 1;  // packs of one such span of hours are merged, those of two never: the
                            // oldest key of a pack is kept until the newest one's window ends
  size_t fan = 8;           // packs of about one size that are merged
};

/// Packs of at most a 16th of the quota; spans of an 8th of the window.
KeyPackLimits key_pack_limits(const RetentionLimits& limits);

enum class KeyWork {
  nothing,
  pack_fresh,  // all of them into a new pack
  begin_merge,
  go_on_merging,
};

/// Bytes that the merge under way, or the one that is due, takes until its inputs go.
struct MergeRoom {
  uint64_t needed = 0;
  uint64_t wanted = 0;  // more, for readings that come meanwhile
};
/// Of 0 bytes where there is none. Packs that are not merged become so many that every look-up is
/// slow, so retention makes this room.
MergeRoom merge_room(const KeyPacks& packs, Hour now, const KeyPackLimits& limits);

/// Merging goes before packing, so that packs stay few however fast keys come; fresh ones are found
/// as quickly until they are too many for the memory. `room_bytes`: room_before_trimming(), without
/// which a merge waits.
KeyWork next_key_work(const KeyPacks& packs, const FreshFacts& fresh, Hour now, uint64_t room_bytes,
                      const KeyPackLimits& limits);

/// How many entries to merge in one transaction: `least`, or more where so many keys were recorded
/// since the last one that merging would fall behind.
size_t merge_slice_entries(uint64_t recorded, size_t least);

/// Those that KeyWork::begin_merge means: the newest neighbours of about one size; of a span that
/// is over, all that fit into one pack.
std::optional<KeyMerge> mergeable(const KeyPacks& packs, Hour now, const KeyPackLimits& limits);

/// The newest one. Of too many the oldest is forgotten.
void add_pack(KeyPacks& packs, const KeyPack& pack);
/// Puts the merged pack in the place of its inputs, which are doomed.
void end_merge(KeyPacks& packs);
/// Dooms what was written so far; the inputs stay.
void give_up_merge(KeyPacks& packs);
/// Dooms the oldest pack where its newest key is older than `before`, and gives a merge of it up.
/// False where there is none.
bool forget_oldest(KeyPacks& packs, Hour before);

}  // namespace ledgerline::agent
