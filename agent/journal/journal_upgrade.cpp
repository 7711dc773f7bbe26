// A journal of format 1 kept each idempotency key in a row of its own, ordered by hash. They become
// one pack. Each step is one transaction and finds out from the rows how far the last one came.

#include "agent/journal/journal_impl.h"
#include "common/io/log.h"

namespace ledgerline::agent {

namespace {

constexpr size_t kSliceRows = 16 * kBlockEntries;

struct OldKeys {
  std::vector<Bytes> rows;
  std::vector<KeyEntry> entries;
};

/// Errc::corrupt for a value that is no key's.
Status add_entries(ByteView key, const KeyHash& hash, ByteView stored, OldKeys& out) {
  TRY(const ByteView value, checked(key, stored));
  constexpr size_t kHourSize = 4;
  constexpr size_t kRangeSize = 12;
  if (value.size() <= kHourSize || (value.size() - kHourSize) % kRangeSize != 0)
    return fail(Errc::corrupt, "a stored idempotency key does not parse");
  for (size_t at = kHourSize; at < value.size(); at += kRangeSize) {
    out.entries.push_back({.hash = hash,
                           .range = {.first = big_endian64(value.subspan(at, 8)),
                                     .count = big_endian32(value.subspan(at + 8, 4))}});
  }
  return {};
}

Result<OldKeys> next_old_keys(const io::LmdbTxn& txn) {
  OldKeys out;
  TRY(auto cursor, io::LmdbCursor::open(txn));
  TRY(auto entry, cursor.seek(keys::seen(KeyHash())));
  while (entry && out.rows.size() < kSliceRows) {
    const auto hash = keys::hash_of_seen(entry->key);
    if (!hash) break;
    out.rows.push_back(copy_of(entry->key));
    if (const auto added = add_entries(entry->key, *hash, entry->value, out); !added) {
      io::log_warn("damaged_value_forgotten",
                   {io::kv("key", to_hex(entry->key)), io::kv("error", added.error())});
    }
    TRY(entry, cursor.next());
  }
  return out;
}

constexpr uint64_t kPack = 1;

/// False where there are no more.
Result<bool> move_keys(io::LmdbEnv& env) {
  TRY(auto txn, env.begin_write());
  TRY(const OldKeys old, next_old_keys(txn));
  if (old.rows.empty()) return false;
  TRY_VOID(put_key_blocks(txn, kPack, old.entries));
  for (const Bytes& row : old.rows) TRY_VOID(txn.erase(row));
  TRY_VOID(txn.commit());
  return true;
}

Result<uint64_t> entries_of_pack(const io::LmdbTxn& txn) {
  uint64_t out = 0;
  TRY(auto cursor, io::LmdbCursor::open(txn));
  TRY(auto entry, cursor.seek(keys::key_block(kPack, KeyHash())));
  while (entry && keys::block_of_key(entry->key)) {
    out += entry->value.size() / KeyEntry::kSize;
    TRY(entry, cursor.next());
  }
  return out;
}

Result<std::vector<Bytes>> old_lists(const io::LmdbTxn& txn, size_t most) {
  std::vector<Bytes> out;
  TRY(auto cursor, io::LmdbCursor::open(txn));
  TRY(auto entry, cursor.seek(keys::seen_by_hour(0, 0, 0)));
  while (entry && out.size() < most && keys::hour_of_key(entry->key)) {
    out.push_back(copy_of(entry->key));
    TRY(entry, cursor.next());
  }
  return out;
}

/// Once all keys are in it, before the lists go that say how old they are.
Status name_pack(io::LmdbEnv& env) {
  TRY(auto txn, env.begin_write());
  const Bytes row = keys::stream(keys::StreamPart::key_packs);
  TRY(const auto known, txn.get(row));
  TRY(const auto stored_state, get_checked(txn, keys::stream(keys::StreamPart::state)));
  if (known || !stored_state) return {};
  TRY(const StreamState state, values::decode_state(*stored_state));
  KeyPacks packs{.next_id = kPack + 1, .first_fresh = state.next_key_list};
  TRY(const uint64_t entries, entries_of_pack(txn));
  TRY(const auto first, old_lists(txn, 1));
  if (entries > 0 && !first.empty()) {
    TRY(auto cursor, io::LmdbCursor::open(txn));
    TRY(const auto last, cursor.before(keys::seen_by_hour(UINT32_MAX, UINT64_MAX, UINT16_MAX)));
    packs.packs.push_back({.id = kPack,
                           .entries = entries,
                           .from = *keys::hour_of_key(first.front()),
                           .to = last ? keys::hour_of_key(last->key).value_or(0) : 0,
                           .last_seq = state.next_seq - 1});
  }
  TRY_VOID(put_checked(txn, row, values::encode(packs)));
  return txn.commit();
}

/// False where there are no more.
Result<bool> erase_lists(io::LmdbEnv& env) {
  TRY(auto txn, env.begin_write());
  TRY(const auto lists, old_lists(txn, kSliceRows));
  for (const Bytes& row : lists) TRY_VOID(txn.erase(row));
  if (lists.empty())
    TRY_VOID(put_checked(txn, keys::format(), values::encode_format(values::kFormat)));
  TRY_VOID(txn.commit());
  return !lists.empty();
}

}  // namespace

Status upgrade(io::LmdbEnv& env) {
  {
    TRY(const auto txn, env.begin_read());
    TRY(const ByteView value, require_checked(txn, keys::format()));
    TRY(const uint32_t format, values::decode_format(value));
    if (format >= values::kFormat) return {};
  }
  for (bool more = true; more;) {
    TRY(more, move_keys(env));
  }
  TRY_VOID(name_pack(env));
  for (bool more = true; more;) {
    TRY(more, erase_lists(env));
  }
  return {};
}

}  // namespace ledgerline::agent
