// Recording into a full journal: what cannot wait is merged into the newest run (core/coarse.h),
// which is not sealed before there is room again.

#include "agent/core/coarse.h"
#include "agent/journal/journal_impl.h"
#include "agent/journal/transaction_lookups.h"
#include "common/check.h"

namespace ledgerline::agent {

namespace {

/// Keys would each need room of their own, and who has keys can ask again.
bool can_wait(const RecordRequest& request) {
  if (request.can_wait || !request.request_key.empty()) return true;
  for (const auto& item : request.items) {
    if (!item.key.empty()) return true;
  }
  return false;
}

void name_rows(std::vector<RecordResult>& answers, const CoarseMerge& merge, Seq first) {
  for (auto& answer : answers) {
    if (!answer) continue;
    for (Seq& seq : answer->seqs) seq = merge.seqs.at(static_cast<size_t>(seq - first));
  }
}

Status take_out(const CoarseMerge& merge, Totals& totals) {
  for (const auto& [meter, value] : merge.replaced) {
    for (auto& [number, sum] : totals) {
      if (number != meter) continue;
      TRY(sum, checked_add(sum, -Int128(value)));
    }
  }
  return {};
}

}  // namespace

void end_coarsening(StreamState& state) {
  if (!state.coarse) return;
  ++state.unsealed_records;  // Coarsened
  state.unsealed_bytes += state.coarse->bytes;
  state.coarse.reset();
}

Result<Columns> Journal::Impl::open_coarse_run(const io::LmdbTxn& txn,
                                               const StreamState& next) const {
  Columns none;
  none.first_seq = next.next_seq;
  if (!next.coarse) return none;
  TRY(const ByteView value, require_checked(txn, keys::run(next.next_run - 1)));
  TRY(const StoredRun run, values::decode_run(value));
  return decode_section(run.section, run.first_seq, meters);
}

Result<bool> Journal::Impl::coarsen_chunk(io::LmdbTxn& txn, std::span<const RecordRequest> requests,
                                          StreamState& next,
                                          std::vector<RecordResult>& answers) const {
  const FreshKeys none;  // what cannot wait has no keys
  TransactionLookups lookups(txn, none, fresh, packs, checks, next.next_seq);
  TRY(RecordPlan plan, plan_record(recorder_state(next), meters, requests, lookups));
  TRY(const Columns open, open_coarse_run(txn, next));
  const CoarseContext context{
      .meters = meters,
      .anchor = next.anchor,
      .now = clock.now(),
      .open_bytes = static_cast<size_t>(next.coarse ? next.coarse->bytes : 0)};
  const auto merge = coarsen(open, plan.run, context);
  if (!merge) return false;
  name_rows(plan.answers, *merge, plan.run.first_seq);
  TRY_VOID(put_counters(txn, plan, next));
  TRY_VOID(take_out(*merge, next.totals));
  TRY_VOID(put_bookmarks(txn, requests, plan.answers));

  const Bytes section = encode_section(merge->run, meters);
  CHECK_INVARIANT(section.size() <= Columns::kPlainSizeMax);
  const StoredRun run{.first_seq = merge->run.first_seq,
                      .readings = static_cast<uint32_t>(merge->run.size()),
                      .records = static_cast<uint16_t>(merge->run.records.size()),
                      .section = section};
  if (!next.coarse) ++next.next_run;
  TRY_VOID(put_checked(txn, keys::run(next.next_run - 1), values::encode(run)));
  next.coarse = {.first_seq = run.first_seq, .bytes = section.size()};
  next.next_seq = merge->run.next_seq();
  std::move(plan.answers.begin(), plan.answers.end(), std::back_inserter(answers));
  return true;
}

/// Errc::full where they do not fit: everything is as it was.
Status Journal::Impl::put_coarse(std::span<const RecordRequest> urgent,
                                 std::vector<RecordResult>& answers) {
  StreamState next = state;
  TRY(auto txn, env.begin_write());
  while (answers.size() < urgent.size()) {
    const auto rest = urgent.subspan(answers.size());
    TRY(const bool merged, coarsen_chunk(txn, rest.first(chunk_size(rest)), next, answers));
    if (!merged) return fail(Errc::full, "there is no room for another series");
  }
  TRY_VOID(put_state(txn, next));
  return commit(std::move(txn), std::move(next));
}

Result<std::vector<RecordResult>> Journal::Impl::record_coarse(
    std::span<const RecordRequest> requests, const Space& space, const Error& why) {
  std::vector<RecordResult> out = refuse_all(requests.size(), why);
  std::vector<size_t> places;
  std::vector<RecordRequest> urgent;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (can_wait(requests[i])) continue;
    places.push_back(i);
    urgent.push_back(requests[i]);
  }
  if (urgent.empty() || !may_coarsen(space, options.retention)) return out;

  std::vector<RecordResult> answers;
  const Status put = put_coarse(urgent, answers);
  if (!put && put.error().code() == Errc::full) return out;
  if (!put) return fail(put.error());
  for (size_t i = 0; i < places.size(); ++i) out[places[i]] = std::move(answers[i]);
  return out;
}

Status Journal::Impl::end_coarsening_where_room() {
  if (!state.coarse) return {};
  TRY(const Space now, space());
  if (!may_record(now, options.retention)) return {};
  StreamState next = state;
  end_coarsening(next);
  TRY(auto txn, env.begin_write());
  const Status put = put_state(txn, next);
  if (!put && put.error().code() == Errc::full) return {};
  TRY_VOID(put);
  return commit(std::move(txn), std::move(next));
}

}  // namespace ledgerline::agent
