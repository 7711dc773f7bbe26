// Forgetting what agent/core/retention allows, in slices: one small transaction each. What is about
// to go need not be sound: damage in it is logged, counted and forgotten, or it would end every
// start anew.

#include <algorithm>

#include "agent/journal/journal_impl.h"
#include "common/io/log.h"

namespace ledgerline::agent {

namespace {

/// Even forgetting copies pages; those that the last commits freed can be used by the next one.
Result<bool> did(const Status& step) {
  if (step) return true;
  if (step.error().code() == Errc::full) return false;
  return fail(step.error());
}

}  // namespace

Result<KeyClock> Journal::Impl::load_key_clock(const io::LmdbTxn& txn) const {
  const auto stored = get_checked(txn, keys::stream(keys::StreamPart::key_clock));
  if (stored && *stored) {
    const auto known = values::decode_key_clock(**stored);
    if (known) return advanced(*known, clock.monotonic());
  }
  const Timestamp at = packs.packs.empty() ? clock.now() : start_of(packs.packs.back().to);
  return KeyClock{.at = at, .read_at = clock.monotonic()};
}

Result<Holdings> Journal::Impl::holdings() const {
  TRY(const auto txn, env.begin_read());
  const MergeRoom merge =
      merge_room(packs, hour_of(key_clock_now().at), key_pack_limits(options.retention));
  const KeyPack* oldest = packs.packs.empty() ? nullptr : &packs.packs.front();
  Holdings out{.oldest_batch = state.oldest_batch,
               .acked_upto = state.acked_upto,
               .oldest_key_hour = oldest ? std::optional(oldest->to) : std::nullopt,
               .key_time = key_clock_now().at,
               .oldest_skeleton = state.oldest_skeleton,
               .oldest_skeleton_sealed_at = std::nullopt,
               .merge_bytes = merge.wanted,
               .merging_bytes = packs.merge ? std::optional(merge.needed) : std::nullopt,
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
  if (!packs.packs.empty()) held.oldest_key_seq = packs.packs.front().last_seq;
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
      return forget_oldest_keys(step.keys_before);
    case Trim::batches:
    case Trim::unreceipted:
      return trim_batches(step);
    case Trim::skeletons:
      return trim_skeletons(step);
    case Trim::merge:
      return give_up_key_merge();
  }
  return {};
}

Result<TrimStep> Journal::Impl::next_trim_step(const Space& now) {
  TRY(const Holdings held, holdings());
  return next_trim(clock.now(), now, held, options.retention);
}

Result<bool> Journal::Impl::make_space(const Space& now) {
  // What was given up makes room before more is given up.
  if (!packs.doomed.empty()) return did(remove_doomed_slice());
  TRY(const TrimStep step, next_trim_step(now));
  if (step.what == Trim::nothing) return false;
  return did(trim_slice(step));
}

Result<bool> Journal::Impl::do_key_work(const Space& now) {
  const KeyWork work = key_work(now);
  if (work == KeyWork::nothing) return false;
  return did(tidy_keys(work));
}

Result<bool> Journal::Impl::trim() {
  TRY(const Space before, space());
  // In turns: in a full journal there is something to forget after each commit, and keys that are
  // not packed stay in memory.
  keys_turn = !keys_turn;
  TRY(bool done, keys_turn ? do_key_work(before) : make_space(before));
  if (!done) {
    TRY(done, keys_turn ? make_space(before) : do_key_work(before));
  }
  if (!done) return false;
  TRY(const Space now, space());
  TRY(const TrimStep step, next_trim_step(now));
  return !packs.doomed.empty() || step.what != Trim::nothing || key_work(now) != KeyWork::nothing;
}

Result<bool> Journal::trim() { return impl_->trim(); }

}  // namespace ledgerline::agent
