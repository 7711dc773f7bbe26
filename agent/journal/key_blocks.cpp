#include "agent/journal/key_blocks.h"

#include <algorithm>
#include <cstring>

#include "common/check.h"
#include "common/crc32c.h"
#include "common/io/log.h"

namespace ledgerline::agent {

namespace {

ByteView entry_at(ByteView block, size_t index) {
  return block.subspan(index * KeyEntry::kSize, KeyEntry::kSize);
}

KeyEntry decode_entry(ByteView bytes) {
  KeyEntry out;
  out.hash = *KeyHash::from(bytes.first(KeyHash::kSize));
  out.range.first = big_endian64(bytes.subspan(KeyHash::kSize, 8));
  out.range.count = big_endian32(bytes.subspan(KeyHash::kSize + 8, 4));
  return out;
}

}  // namespace

Bytes encode_entries(std::span<const KeyEntry> entries) {
  Bytes out;
  out.reserve(entries.size() * KeyEntry::kSize);
  for (const KeyEntry& each : entries) {
    CHECK_INVARIANT(each.range.count <= UINT32_MAX);
    out.insert(out.end(), each.hash.view().begin(), each.hash.view().end());
    append_big_endian64(out, each.range.first);
    append_big_endian32(out, static_cast<uint32_t>(each.range.count));
  }
  return out;
}

Result<std::vector<KeyEntry>> decode_entries(ByteView block) {
  if (block.size() % KeyEntry::kSize != 0) {
    return fail(Errc::corrupt, "the journal's idempotency keys are damaged");
  }
  std::vector<KeyEntry> out;
  out.reserve(block.size() / KeyEntry::kSize);
  for (size_t i = 0; i < block.size() / KeyEntry::kSize; ++i) {
    out.push_back(decode_entry(entry_at(block, i)));
  }
  return out;
}

std::vector<SeqRange> find_in_block(ByteView block, const KeyHash& hash) {
  const auto less = [&](size_t index) {
    return std::memcmp(entry_at(block, index).data(), hash.view().data(), KeyHash::kSize) < 0;
  };
  const size_t count = block.size() / KeyEntry::kSize;
  size_t low = 0;
  for (size_t high = count; low < high;) {
    const size_t middle = low + (high - low) / 2;
    if (less(middle)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  std::vector<SeqRange> out;
  for (; low < count; ++low) {
    const KeyEntry entry = decode_entry(entry_at(block, low));
    if (entry.hash != hash) break;
    out.push_back(entry.range);
  }
  return out;
}

bool is_given(const SeqRange& range, Seq next_seq) {
  return range.first > 0 && range.first < next_seq && range.count > 0 &&
         range.count <= next_seq - range.first;
}

std::vector<KeyEntry> salvage_entries(ByteView damaged, const KeyHash& last, Seq next_seq) {
  std::vector<KeyEntry> out;
  for (size_t i = 0; i < damaged.size() / KeyEntry::kSize; ++i) {
    const KeyEntry entry = decode_entry(entry_at(damaged, i));
    if (is_given(entry.range, next_seq) && entry.hash <= last) out.push_back(entry);
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const KeyEntry& a, const KeyEntry& b) { return a.hash < b.hash; });
  return out;
}

bool CheckedBlocks::is_sound(ByteView key, ByteView stored) {
  // The last bytes of a block's key are a hash's.
  const uint64_t tag = big_endian64(key.last(8)) ^ crc32c(key);
  uint64_t& slot = sound_[static_cast<size_t>(tag % sound_.size())];
  if (slot == tag && tag != 0) return true;
  if (const auto value = checked(key, stored); !value) {
    if (damaged_.insert(copy_of(key)).second) {
      io::log_warn("damaged_idempotency_keys", {io::kv("error", value.error())});
    }
    return false;
  }
  slot = tag;
  return true;
}

std::vector<KeyEntry> BlockCutter::add(const KeyEntry& next) {
  std::vector<KeyEntry> full;
  if (block_.size() >= kBlockEntries && block_.back().hash != next.hash) full = rest();
  block_.push_back(next);
  return full;
}

size_t FreshKeys::OfHash::operator()(const KeyHash& hash) const {
  size_t out = 0;
  std::memcpy(&out, hash.view().data(), sizeof out);  // of a SHA-256
  return out;
}

void FreshKeys::add(std::span<const KeyEntry> entries, Hour hour) {
  if (entries.empty()) return;
  if (entries_.empty()) from_ = hour;
  to_ = hour;
  for (const KeyEntry& each : entries) {
    first_.try_emplace(each.hash, static_cast<uint32_t>(entries_.size()));
    entries_.push_back(each);
  }
}

void FreshKeys::add(const FreshKeys& newer) { add(newer.entries_, newer.to_); }

std::vector<SeqRange> FreshKeys::find(const KeyHash& hash) const {
  std::vector<SeqRange> out;
  const auto first = first_.find(hash);
  if (first == first_.end()) return out;
  for (size_t i = first->second; i < entries_.size() && entries_[i].hash == hash; ++i) {
    out.push_back(entries_[i].range);
  }
  return out;
}

}  // namespace ledgerline::agent
