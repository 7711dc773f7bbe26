// A journal of format 1 kept each idempotency key in a row of its own, ordered by hash. They become
// one pack. Format 2 is written first, so that an older agent, which would not know the keys that
// are moved already, refuses the journal from then on; what is left of the rows says what is to do.

#include <algorithm>

#include "agent/journal/journal_impl.h"
#include "common/io/log.h"

namespace ledgerline::agent {

namespace {

constexpr size_t kSliceRows = 16 * kBlockEntries;

struct OldKeys {
  std::vector<Bytes> rows;
  std::vector<KeyEntry> entries;
  Hour newest = 0;
  std::vector<Bytes> damaged;  // those of the rows
};

/// Of a damaged row what is left: its hash is in its key. False: it is damaged.
bool add_entries(const io::LmdbCursor::Entry& row, const KeyHash& hash, Seq next_seq,
                 OldKeys& out) {
  constexpr size_t kHourSize = 4;
  constexpr size_t kRangeSize = 12;
  const auto value = checked(row.key, row.value);
  const ByteView bytes = value ? *value : row.value;
  if (value && bytes.size() > kHourSize) out.newest = std::max(out.newest, big_endian32(bytes));
  for (size_t at = kHourSize; at + kRangeSize <= bytes.size(); at += kRangeSize) {
    const KeyEntry entry{.hash = hash,
                         .range = {.first = big_endian64(bytes.subspan(at, 8)),
                                   .count = big_endian32(bytes.subspan(at + 8, 4))}};
    if (value || is_given(entry.range, next_seq)) out.entries.push_back(entry);
  }
  return value.has_value();
}

Result<OldKeys> next_old_keys(const io::LmdbTxn& txn, Seq next_seq) {
  OldKeys out;
  TRY(auto cursor, io::LmdbCursor::open(txn));
  TRY(auto entry, cursor.seek(keys::seen(KeyHash())));
  while (entry && out.rows.size() < kSliceRows) {
    const auto hash = keys::hash_of_seen(entry->key);
    if (!hash) break;
    out.rows.push_back(copy_of(entry->key));
    if (!add_entries(*entry, *hash, next_seq, out)) out.damaged.push_back(out.rows.back());
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

/// 0 where it cannot be read.
Hour hour_of_key_clock(const io::LmdbTxn& txn) {
  const auto stored = get_checked(txn, keys::stream(keys::StreamPart::key_clock));
  if (!stored || !*stored) return 0;
  const auto clock = values::decode_key_clock(**stored);
  return clock ? hour_of(clock->at) : 0;
}

/// The pack that the old keys go into, named before the first of them does, and today's format.
Status begin(io::LmdbEnv& env, const StreamState& state) {
  TRY(auto txn, env.begin_write());
  TRY(const auto first, old_lists(txn, 1));
  TRY(const OldKeys old, next_old_keys(txn, state.next_seq));
  KeyPack pack{.id = 1, .last_seq = state.next_seq - 1};
  pack.from = pack.to = std::max(old.newest, hour_of_key_clock(txn));
  if (!first.empty()) {
    TRY(auto cursor, io::LmdbCursor::open(txn));
    TRY(const auto last, cursor.before(keys::seen_by_hour(UINT32_MAX, UINT64_MAX, UINT16_MAX)));
    pack.from = *keys::hour_of_key(first.front());
    if (last) pack.to = keys::hour_of_key(last->key).value_or(pack.to);
  }
  KeyPacks packs{.next_id = 2, .first_fresh = state.next_key_list};
  if (!old.rows.empty()) packs.packs.push_back(pack);
  TRY_VOID(put_packs(txn, packs));
  TRY_VOID(put_checked(txn, keys::format(), values::encode_format(values::kFormat)));
  return txn.commit();
}

/// Moves some; nothing where there are no more.
Result<std::optional<OldKeys>> move_keys(io::LmdbEnv& env, Seq next_seq) {
  TRY(auto txn, env.begin_write());
  TRY(auto old, next_old_keys(txn, next_seq));
  if (old.rows.empty()) return std::nullopt;
  TRY(const ByteView stored, require_checked(txn, keys::stream(keys::StreamPart::key_packs)));
  TRY(KeyPacks packs, values::decode_key_packs(stored));
  if (packs.packs.empty()) return fail(Errc::corrupt, "old idempotency keys have no pack");
  packs.packs.front().entries += old.entries.size();
  TRY_VOID(put_key_blocks(txn, packs.packs.front().id, old.entries));
  TRY_VOID(put_packs(txn, packs));
  for (const Bytes& row : old.rows) TRY_VOID(txn.erase(row));
  TRY_VOID(txn.commit());
  return old;
}

/// False where there are no more.
Result<bool> erase_lists(io::LmdbEnv& env) {
  TRY(auto txn, env.begin_write());
  TRY(const auto lists, old_lists(txn, kSliceRows));
  for (const Bytes& row : lists) TRY_VOID(txn.erase(row));
  if (lists.empty()) return false;
  TRY_VOID(txn.commit());
  return true;
}

}  // namespace

Result<uint64_t> upgrade(io::LmdbEnv& env, size_t steps) {
  StreamState state;
  bool needs_begin = false;
  {
    TRY(const auto txn, env.begin_read());
    TRY(const ByteView value, require_checked(txn, keys::format()));
    TRY(const uint32_t format, values::decode_format(value));
    TRY(const auto lists, old_lists(txn, 1));
    TRY(auto cursor, io::LmdbCursor::open(txn));
    TRY(const auto row, cursor.seek(keys::seen(KeyHash())));
    const bool has_rows = row && keys::hash_of_seen(row->key).has_value();
    if (format > values::kFormat || (format == values::kFormat && lists.empty() && !has_rows)) {
      return 0;
    }
    TRY(const auto stored, get_checked(txn, keys::stream(keys::StreamPart::state)));
    if (stored) {
      TRY(state, values::decode_state(*stored));
    }
    needs_begin = format < values::kFormat;
  }
  if (needs_begin) TRY_VOID(begin(env, state));
  uint64_t moved = 0;
  uint64_t damaged = 0;
  for (; steps > 1; --steps) {
    TRY(const auto some, move_keys(env, state.next_seq));
    if (!some) break;
    moved += some->entries.size();
    for (const Bytes& row : some->damaged) {
      io::log_warn("damaged_idempotency_keys", {io::kv("key", to_hex(row))});
    }
    damaged += some->damaged.size();
  }
  for (; steps > 1; --steps) {
    TRY(const bool more, erase_lists(env));
    if (!more) break;
  }
  io::log_info("journal_upgraded", {io::kv("idempotency_keys", moved)});
  return damaged;
}

}  // namespace ledgerline::agent
