// Forgetting what agent/core/retention allows, in slices: one small transaction each. What is about
// to go need not be sound: damage in it is logged, counted and forgotten, or it would end every
// start anew.

#include <algorithm>

#include "agent/journal/journal_impl.h"
#include "common/io/log.h"

namespace ledgerline::agent {

namespace {

struct KeyList {
  Bytes key;
  Hour hour = 0;
  Bytes stored;
};

/// The oldest list of idempotency keys, by the hour in which they were recorded.
Result<std::optional<KeyList>> oldest_key_list(const io::LmdbTxn& txn) {
  TRY(auto cursor, io::LmdbCursor::open(txn));
  TRY(const auto entry, cursor.seek(keys::seen_by_hour(0, 0, 0)));
  if (!entry) return std::nullopt;
  const auto hour = keys::hour_of_key(entry->key);
  if (!hour) return std::nullopt;
  return KeyList{.key = copy_of(entry->key), .hour = *hour, .stored = copy_of(entry->value)};
}

/// What a damaged list still names, as far as the keys themselves say that they are of its hour: a
/// younger key that went by mistake would let an event count twice.
Result<std::vector<KeyHash>> left_of(const KeyList& list, const io::LmdbTxn& txn) {
  const ByteView stored(list.stored);
  TRY(const auto named,
      values::decode_hashes(stored.first(stored.size() / KeyHash::kSize * KeyHash::kSize)));
  std::vector<KeyHash> out;
  for (const KeyHash& hash : named) {
    const auto value = get_checked(txn, keys::seen(hash));
    if (!value || !*value) continue;
    const auto seen = values::decode_seen(**value);
    if (seen && seen->hour == list.hour) out.push_back(hash);
  }
  return out;
}

}  // namespace

Result<KeyClock> Journal::Impl::load_key_clock(const io::LmdbTxn& txn) const {
  const auto stored = get_checked(txn, keys::stream(keys::StreamPart::key_clock));
  if (stored && *stored) {
    const auto known = values::decode_key_clock(**stored);
    if (known) return advanced(*known, clock.monotonic());
  }
  TRY(auto cursor, io::LmdbCursor::open(txn));
  TRY(const auto newest, cursor.before(keys::seen_by_hour(UINT32_MAX, UINT64_MAX, UINT16_MAX)));
  const auto hour = newest ? keys::hour_of_key(newest->key) : std::nullopt;
  return KeyClock{.at = hour ? start_of(*hour) : clock.now(), .read_at = clock.monotonic()};
}

Result<Holdings> Journal::Impl::holdings() const {
  TRY(const auto txn, env.begin_read());
  TRY(const auto list, oldest_key_list(txn));
  Holdings out{.oldest_batch = state.oldest_batch,
               .acked_upto = state.acked_upto,
               .oldest_key_hour = list ? std::optional(list->hour) : std::nullopt,
               .key_time = key_clock_now().at,
               .oldest_skeleton = state.oldest_skeleton,
               .oldest_skeleton_sealed_at = std::nullopt,
               .keep_evidence = log.keep_evidence()};
  if (state.oldest_skeleton < state.next_batch) {
    const auto skeleton = skeleton_of(txn, state.oldest_skeleton);
    // Where it is damaged it counts as old: it goes as soon as it may.
    out.oldest_skeleton_sealed_at = skeleton ? skeleton->sealed_at : Timestamp();
  }
  if (may_drop()) TRY_VOID(add_droppable(txn, out));
  return out;
}

Status Journal::Impl::add_droppable(const io::LmdbTxn& txn, Holdings& held) const {
  held.droppable_upto = state.next_batch - 1;
  held.oldest_batch_seq = state.sealed_next_seq;
  if (state.oldest_batch < state.next_batch) {
    TRY(const Skeleton oldest, skeleton_of(txn, state.oldest_batch));
    held.oldest_batch_seq = oldest.first_seq;
  }
  TRY(const auto list, oldest_key_list(txn));
  if (!list) return {};
  held.oldest_key_seq = 0;  // where the list is damaged it may go
  const auto value = checked(list->key, list->stored);
  const auto hashes = value ? values::decode_hashes(*value) : fail(value.error());
  if (!hashes || hashes->empty()) return {};
  const auto stored = get_checked(txn, keys::seen(hashes->front()));
  if (!stored || !*stored) return {};
  const auto seen = values::decode_seen(**stored);
  if (seen) held.oldest_key_seq = seen->ranges.front().first;
  return {};
}

Result<Skeleton> Journal::Impl::skeleton_of(const io::LmdbTxn& txn, BatchNumber number) {
  TRY(const ByteView stored, require_checked(txn, keys::skeleton(number)));
  return values::decode_skeleton(stored);
}

void Journal::Impl::forget_damaged(ByteView key, const Error& error) {
  ++damaged_forgotten;
  io::log_warn("damaged_value_forgotten", {io::kv("key", to_hex(key)), io::kv("error", error)});
}

Status Journal::Impl::trim_keys(Hour before) {
  TRY(auto txn, env.begin_write());
  TRY(const auto list, oldest_key_list(txn));
  if (!list || list->hour >= before) return {};
  const auto value = checked(list->key, list->stored);
  if (!value) forget_damaged(list->key, value.error());
  TRY(const auto hashes, value ? values::decode_hashes(*value) : left_of(*list, txn));
  for (const auto& hash : hashes) TRY_VOID(txn.erase(keys::seen(hash)));
  TRY_VOID(txn.erase(list->key));
  return txn.commit();
}

Status Journal::Impl::trim_skeletons(const TrimStep& step) {
  TRY(auto txn, env.begin_write());
  StreamState next = state;
  for (size_t i = 0; i < options.retention.slice_keys; ++i) {
    TRY(const BatchNumber stored, next_skeleton(txn, next.oldest_skeleton));
    next.oldest_skeleton = std::min(stored, step.batches_upto + 1);
    if (next.oldest_skeleton > step.batches_upto) break;
    const Bytes key = keys::skeleton(next.oldest_skeleton);
    const auto skeleton = skeleton_of(txn, next.oldest_skeleton);
    if (!skeleton) forget_damaged(key, skeleton.error());
    if (skeleton && step.sealed_before && skeleton->sealed_at >= *step.sealed_before) break;
    TRY_VOID(txn.erase(key));
    ++next.oldest_skeleton;
  }
  TRY_VOID(put_state(txn, next));
  return commit(std::move(txn), std::move(next));
}

Result<BatchNumber> Journal::Impl::next_skeleton(const io::LmdbTxn& txn, BatchNumber number) const {
  TRY(auto cursor, io::LmdbCursor::open(txn));
  TRY(const auto entry, cursor.seek(keys::skeleton(number)));
  const auto found = entry ? keys::number_of_skeleton(entry->key) : std::nullopt;
  return found.value_or(state.next_batch);
}

Status Journal::Impl::trim_slice(const TrimStep& step) {
  switch (step.what) {
    case Trim::nothing:
      return {};
    case Trim::expired_keys:
    case Trim::keys_early:
      return trim_keys(step.keys_before);
    case Trim::batches:
    case Trim::unreceipted:
      return trim_batches(step);
    case Trim::skeletons:
      return trim_skeletons(step);
  }
  return {};
}

Result<bool> Journal::Impl::trim() {
  const auto step_now = [this]() -> Result<TrimStep> {
    TRY(const Space now, space());
    TRY(const Holdings held, holdings());
    return next_trim(clock.now(), now, held, options.retention);
  };
  TRY(const TrimStep step, step_now());
  const Status done = trim_slice(step);
  // Even forgetting copies pages; those that the last commits freed can be used by the next one.
  if (!done && done.error().code() == Errc::full) return false;
  if (!done) return fail(done.error());
  if (step.what == Trim::nothing) return false;
  TRY(const TrimStep after, step_now());
  return after.what != Trim::nothing;
}

Result<bool> Journal::trim() { return impl_->trim(); }

}  // namespace ledgerline::agent
