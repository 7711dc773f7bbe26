// Sealing: runs become batches, once and for ever, in the transaction that removes the runs.

#include <algorithm>

#include "agent/journal/journal_impl.h"
#include "common/check.h"

namespace ledgerline::agent {

namespace {

/// The totals after `columns`, counted from the readings themselves.
Result<Totals> totals_after(const Totals& before, const Columns& columns) {
  std::map<uint32_t, Int128> sums(before.begin(), before.end());
  for (size_t i = 0; i < columns.size(); ++i) {
    Int128& sum = sums[columns.meters[i]];
    TRY(sum, checked_add(sum, Int128(columns.values[i])));
  }
  return Totals(sums.begin(), sums.end());
}

uint32_t table_after(uint32_t before, const Columns& columns) {
  for (const auto& record : columns.records) {
    if (const auto* table = std::get_if<MeterTable>(&record.kind)) before = table->number;
  }
  return before;
}

/// More waits for the next call: a backlog of weeks must not keep recording waiting.
constexpr size_t kBatchesPerCall = 16;

}  // namespace

uint64_t Journal::Impl::sealing_end() const {
  const uint64_t end = state.next_run - (state.coarse ? 1 : 0);
  return boots.waiting.empty() ? end : std::min(end, boots.waiting.front().run);
}

/// Merges the oldest runs, as many as fit one batch and at least one, and removes them.
Result<Columns> Journal::Impl::take_runs(io::LmdbTxn& txn, StreamState& next) const {
  ColumnsBuilder builder(next.sealed_next_seq);
  Unsealed batch;
  const uint64_t end = sealing_end();
  while (next.first_run < end) {
    const Bytes key = keys::run(next.first_run);
    TRY(const ByteView value, require_checked(txn, key));
    TRY(const StoredRun run, values::decode_run(value));
    const Unsealed size{
        .readings = run.readings, .records = run.records, .plain_bytes = run.section.size()};
    if (!builder.empty() && !fits(batch, size, options.batch)) break;
    TRY(const Columns columns, decode_section(run.section, run.first_seq, meters));
    if (columns.first_seq != builder.next_seq() || columns.size() != run.readings) {
      return fail(Errc::corrupt, "a stored run is not the next one of its stream");
    }
    if (!builder.empty() && !sections_fit(builder.columns(), columns, options.batch)) break;
    builder.append(columns);
    batch.readings += size.readings;
    batch.records += size.records;
    batch.plain_bytes += size.plain_bytes;
    TRY_VOID(txn.erase(key));
    ++next.first_run;
  }
  next.unsealed_records -= batch.records;
  next.unsealed_bytes -= batch.plain_bytes;
  return builder.take();
}

/// Seals the readings as one batch, or in parts where they come out larger than a batch may be or
/// are of more subjects than it has sections.
Status Journal::Impl::put_batches(io::LmdbTxn& txn, const Columns& columns, Signer& signer,
                                  StreamState& next, size_t& batches) const {
  const bool divisible = columns.size() + columns.records.size() >= 2;
  const auto put_both = [&](const std::pair<Columns, Columns>& parts) -> Status {
    TRY_VOID(put_batches(txn, parts.first, signer, next, batches));
    return put_batches(txn, parts.second, signer, next, batches);
  };
  if (divisible && columns.size() > options.batch.readings_max) return put_both(halve(columns));
  if (options.batch.sections == Sections::by_subject) {
    const size_t within = readings_within(columns, kBatchSubjectsMax);
    if (within < columns.size()) return put_both(cut(columns, within));
  }

  TRY(Totals totals, totals_after(next.sealed_totals, columns));
  const uint32_t table = table_after(next.sealed_meter_table, columns);
  Bytes salts(salt_size(options.batch.sections));
  options.random(salts);
  const SealOptions place{.stream = grant->stream,
                          .number = next.next_batch,
                          .previous = next.head_id,
                          .totals = totals,
                          .meter_table = table,
                          .sections = options.batch.sections};
  const auto sealed = ledgerline::seal(columns, meters, place, salts, signer);
  const bool too_large = !sealed && sealed.error().code() == Errc::full;
  if (too_large && divisible) return put_both(halve(columns));
  // Limits on a reading's text and on the meter table make one reading always fit.
  CHECK_INVARIANT(!too_large);
  if (!sealed) return fail(sealed.error());

  const Skeleton skeleton{.id = sealed->id,
                          .first_seq = columns.first_seq,
                          .last_seq = columns.next_seq() - 1,
                          .sealed_at = clock.now(),
                          .totals = totals};
  TRY_VOID(put_checked(txn, keys::batch(next.next_batch), sealed->bytes));
  TRY_VOID(put_checked(txn, keys::skeleton(next.next_batch), values::encode(skeleton)));
  ++next.next_batch;
  ++batches;
  next.head_id = sealed->id;
  next.sealed_next_seq = columns.next_seq();
  next.sealed_totals = std::move(totals);
  next.sealed_meter_table = table;
  return {};
}

Result<size_t> Journal::Impl::seal_runs(Signer& signer) {
  StreamState next = state;
  size_t batches = 0;
  TRY(auto txn, begin_growing());
  TRY(const Columns columns, take_runs(txn, next));
  TRY_VOID(put_batches(txn, columns, signer, next, batches));
  // Counted twice, once when recorded and once when sealed: the sums must be one.
  const bool all_sealed = next.sealed_next_seq == next.next_seq;
  if (all_sealed && next.sealed_totals != next.totals) {
    return fail(Errc::corrupt, "the sealed readings do not add up to the recorded totals");
  }
  TRY_VOID(put_state(txn, next));
  TRY_VOID(commit(std::move(txn), std::move(next)));
  // What is left is younger than what went; its age counts from here, so it waits at most twice the
  // age.
  unsealed_since = clock.monotonic();
  return batches;
}

Result<size_t> Journal::seal(SealWhen when, Signer& signer) {
  auto& j = *impl_;
  if (!j.grant) return fail(Errc::config, "the agent is not enrolled");
  if (signer.public_key().id() != j.grant->key) {
    return fail(Errc::config, "the signing key is not the one that the stream was granted to");
  }
  TRY_VOID(j.end_coarsening_where_room());
  size_t batches = 0;
  const SealReason due = should_seal(j.clock.monotonic(), j.unsealed(), j.options.batch);
  // What stands before a boot that waits for its time is of earlier boots, and so is due.
  const bool everything =
      when == SealWhen::now || due == SealReason::age || !j.boots.waiting.empty();
  while (j.state.first_run < j.sealing_end()) {
    if (when == SealWhen::due && batches >= kBatchesPerCall) break;
    const bool more = everything || should_seal(j.clock.monotonic(), j.unsealed(),
                                                j.options.batch) != SealReason::none;
    if (!more) break;
    const auto sealed = j.seal_runs(signer);
    if (!sealed && sealed.error().code() == Errc::full) {
      ++j.seals_put_off;
      break;
    }
    if (!sealed) return fail(sealed.error());
    batches += *sealed;
  }
  return batches;
}

}  // namespace ledgerline::agent
