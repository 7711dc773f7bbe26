// Forgetting the oldest batches, those of a diagnostic stream also without a receipt, and the
// tombstone that stands for them.

#include <algorithm>

#include "agent/journal/journal_impl.h"
#include "common/check.h"

namespace ledgerline::agent {

namespace {

constexpr size_t kDropsPerSlice = 64;  // each batch is decoded for its records
constexpr const char* kReason = "the device's diagnostic journal had no room left";
constexpr const char* kReceiptedReason =
    "the device's journal had no room to keep them beyond their receipt";

bool is_boot(const Record& record) { return std::holds_alternative<BootRecord>(record.kind); }
bool is_anchor(const Record& record) { return std::holds_alternative<ClockAnchor>(record.kind); }

/// Keeps the newest boot record and the newest clock anchor since.
void follow(const Record& record, std::vector<Record>& records) {
  if (is_boot(record)) records.clear();
  if (is_anchor(record)) std::erase_if(records, is_anchor);
  if (is_boot(record) || is_anchor(record)) records.push_back(record);
}

/// Damage must not stop forgetting; what fails otherwise is still an error.
Result<std::optional<Skeleton>> unless_damaged(Result<Skeleton> skeleton) {
  if (skeleton) return std::move(*skeleton);
  if (skeleton.error().code() == Errc::corrupt) return std::nullopt;
  return fail(skeleton.error());
}

}  // namespace

void Journal::Impl::note_records(ByteView sealed, Columns& records) const {
  const auto read = [&]() -> Result<Columns> {
    TRY(const auto batch, open_envelope(sealed));
    return open_columns(batch, meters);
  };
  const auto columns = read();
  if (!columns) {
    // Nobody knows now which boot its readers are in: an old anchor must not place the new times.
    records.records = {{records.first_seq, BootRecord{}}};
    return;
  }
  for (const Record& record : columns->records) follow(record, records.records);
}

Result<Columns> Journal::Impl::noted_records(const io::LmdbTxn& txn,
                                             std::optional<Timestamp>& from) const {
  TRY(const auto value, get_checked(txn, keys::stream(keys::StreamPart::dropped)));
  Columns none;
  // Batches that an older version forgot without looking: nobody knows which boot they were of.
  if (state.oldest_batch > 1) none.records = {{none.first_seq, BootRecord{}}};
  if (!value) return none;
  TRY(const Dropped dropped, values::decode_dropped(*value));
  from = dropped.from;
  return decode_section(dropped.records.section, dropped.records.first_seq, meters);
}

Status Journal::Impl::forget_batches(io::LmdbTxn& txn, const TrimStep& step, StreamState& next) {
  TRY(const auto first, unless_damaged(skeleton_of(txn, next.oldest_batch)));
  std::optional<Timestamp> from;
  TRY(Columns records, noted_records(txn, from));
  if (step.what == Trim::unreceipted && !has_tombstone()) from.reset();
  uint64_t freed = 0;
  for (size_t i = 0; i < std::min(kDropsPerSlice, options.retention.slice_keys); ++i) {
    if (next.oldest_batch > step.batches_upto || freed >= step.bytes) break;
    const Bytes key = keys::batch(next.oldest_batch);
    const auto sealed = require_checked(txn, key);
    note_records(sealed.value_or(ByteView()), records);
    if (sealed) freed += sealed->size();
    if (!sealed) forget_damaged(key, sealed.error());
    TRY_VOID(txn.erase(key));
    // The ids of the first ones behind the receipt stay: the collector may have those batches.
    const BatchNumber before = next.oldest_batch - 1;
    if (step.what == Trim::unreceipted && before > state.acked_upto + Receipt::kParkedMax)
      TRY_VOID(txn.erase(keys::skeleton(before)));
    ++next.oldest_batch;
  }
  TRY(const auto last, unless_damaged(skeleton_of(txn, next.oldest_batch - 1)));
  if (last) records.first_seq = last->last_seq + 1;
  for (Record& record : records.records) record.before_seq = records.first_seq;
  const Bytes section = encode_section(records, meters);
  const StoredRun run{.first_seq = records.first_seq,
                      .readings = 0,
                      .records = static_cast<uint16_t>(records.records.size()),
                      .section = section};
  return put_checked(
      txn, keys::stream(keys::StreamPart::dropped),
      values::encode(Dropped{.from = from.value_or(first ? first->sealed_at : clock.now()),
                             .at = clock.now(),
                             .records = run}));
}

Status Journal::Impl::trim_batches(const TrimStep& step) {
  CHECK_INVARIANT(step.what == Trim::batches ||
                  (may_drop() && state.oldest_batch > state.acked_upto));
  TRY(auto txn, env.begin_write());
  StreamState next = state;
  TRY_VOID(forget_batches(txn, step, next));
  TRY_VOID(put_state(txn, next));
  return commit(std::move(txn), std::move(next));
}

Status Journal::Impl::begin_tombstone(const io::LmdbTxn& txn, BatchNumber after,
                                      Tombstone& out) const {
  out.first_batch = 1;
  out.previous = grant_hash;
  if (after == 0) return {};
  const auto before = skeleton_of(txn, after);
  // Where even its id is gone, it stands for everything from the beginning.
  if (!before && after < state.acked_upto) return {};
  if (!before) return fail(before.error());
  out.first_batch = after + 1;
  out.previous = before->id;
  out.first_seq = before->last_seq + 1;
  return {};
}

Result<StoredBatch> Journal::Impl::tombstone(const io::LmdbTxn& txn, BatchNumber after) const {
  CHECK_INVARIANT(after + 1 < state.oldest_batch);
  const bool receipted = after < state.acked_upto;
  Tombstone out{.stream = grant->stream,
                .last_batch = state.oldest_batch - 1,
                .reason = receipted ? kReceiptedReason : kReason};
  TRY_VOID(begin_tombstone(txn, receipted ? after : state.acked_upto, out));
  TRY(Skeleton last, skeleton_of(txn, out.last_batch));
  out.last_seq = last.last_seq;
  out.last_id = last.id;
  out.totals = std::move(last.totals);
  std::optional<Timestamp> from;
  TRY(auto records, noted_records(txn, from));
  out.from = from.value_or(last.sealed_at);
  out.created_at = last.sealed_at;
  if (const auto value = get_checked(txn, keys::stream(keys::StreamPart::dropped));
      value && *value) {
    TRY(const Dropped dropped, values::decode_dropped(**value));
    out.created_at = dropped.at;
  }
  out.records = std::move(records.records);
  for (Record& record : out.records) record.before_seq = out.last_seq + 1;
  if (!meter_table.rows.empty()) out.records.push_back({out.last_seq + 1, meter_table});
  return StoredBatch{.number = out.last_batch,
                     .id = out.last_id,
                     .sealed = encode(out, meters),
                     .tombstone_from = out.first_batch};
}

Result<Seq> Journal::Impl::dropped_readings(const io::LmdbTxn& txn) const {
  TRY(const Skeleton last, skeleton_of(txn, state.oldest_batch - 1));
  if (state.acked_upto == 0) return last.last_seq;
  TRY(const Skeleton before, skeleton_of(txn, state.acked_upto));
  return last.last_seq - before.last_seq;
}

Status Journal::Impl::make_room() {
  for (bool more = may_drop(); more;) {
    TRY(const Space now, space());
    if (may_record(now, options.retention)) break;
    TRY(more, make_space(now));
  }
  return {};
}

}  // namespace ledgerline::agent
