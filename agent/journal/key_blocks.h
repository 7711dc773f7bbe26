#pragma once
// A pack of idempotency keys is stored in blocks: sorted entries of 28 bytes, as many as fill one
// page of LMDB's with the checksum; the ranges of one key lie in one block. The block's own key
// ends with the last hash in it, so that one search finds the block that a hash would be in.
//
//   block := { hash[16] first_seq[8] count[4] }

#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/core/key_packs.h"
#include "common/bytes.h"
#include "common/result.h"

namespace ledgerline::agent {

/// (4096 - LMDB's page header - checksum) / 28.
inline constexpr size_t kBlockEntries = 145;

Bytes encode_entries(std::span<const KeyEntry> entries);
/// Errc::corrupt where the length is not a multiple of an entry's.
Result<std::vector<KeyEntry>> decode_entries(ByteView block);
/// The ranges of a key, empty where it is not in there. By binary search, in the stored bytes.
std::vector<SeqRange> find_in_block(ByteView block, const KeyHash& hash);

/// Whether these seqs were given by now.
bool is_given(const SeqRange& range, Seq next_seq);

/// What is left of damaged bytes that held entries: those with a seq that was given, in order; none
/// behind `last`. One whose hash was hit matches nothing any more.
std::vector<KeyEntry> salvage_entries(ByteView damaged, const KeyHash& last, Seq next_seq);

/// Which blocks' checksums this process has looked at: a block never changes, and a look-up goes
/// through one of each pack. Bounded: of many blocks some are looked at again.
class CheckedBlocks {
 public:
  /// `stored`: with its checksum, under `key`.
  bool is_sound(ByteView key, ByteView stored);
  [[nodiscard]] uint64_t damaged() const { return damaged_.size(); }

 private:
  std::vector<uint64_t> sound_ = std::vector<uint64_t>(4096);
  std::set<Bytes> damaged_;  // keys
};

/// Cuts sorted entries into blocks; entries of one key stay together.
class BlockCutter {
 public:
  /// A full block, where `next` does not belong into it any more.
  std::vector<KeyEntry> add(const KeyEntry& next);
  std::vector<KeyEntry> rest() { return std::exchange(block_, {}); }

 private:
  std::vector<KeyEntry> block_;
};

/// The keys that no pack has yet, in memory as well. Lists are added once their commit is done.
class FreshKeys {
 public:
  void add(std::span<const KeyEntry> entries, Hour hour);
  void add(const FreshKeys& newer);
  [[nodiscard]] std::vector<SeqRange> find(const KeyHash& hash) const;
  [[nodiscard]] FreshFacts facts() const { return {.entries = entries_.size(), .from = from_}; }
  [[nodiscard]] Hour newest() const { return to_; }
  [[nodiscard]] std::span<const KeyEntry> entries() const { return entries_; }

 private:
  struct OfHash {
    size_t operator()(const KeyHash& hash) const;
  };
  std::vector<KeyEntry> entries_;
  std::unordered_map<KeyHash, uint32_t, OfHash> first_;  // where a key's entries begin
  Hour from_ = 0;
  Hour to_ = 0;
};

}  // namespace ledgerline::agent
