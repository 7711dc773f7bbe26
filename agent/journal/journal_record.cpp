// Recording: what the recorder decides, in one transaction for the whole group.

#include <algorithm>

#include "agent/journal/journal_impl.h"
#include "agent/journal/transaction_lookups.h"
#include "common/check.h"

namespace ledgerline::agent {

std::vector<RecordResult> refuse_all(size_t count, const Error& why) {
  const RecordRefusal refusal{.code = why.code(), .index = 0, .field = "", .message = why.text()};
  return std::vector<RecordResult>(count, tl::unexpected<RecordRefusal>(refusal));
}

Status Journal::Impl::record_chunk(io::LmdbTxn& txn, std::span<const RecordRequest> requests,
                                   FreshKeys& pending, StreamState& next,
                                   std::vector<RecordResult>& answers) const {
  const auto chunk = requests.first(chunk_size(requests));
  CHECK_INVARIANT(!chunk.empty());
  TransactionLookups lookups(txn, pending, fresh, packs, checks, next.next_seq);
  TRY(RecordPlan plan, plan_record(recorder_state(next), meters, chunk, lookups));

  if (plan.run.size() > 0) TRY_VOID(put_run(txn, plan.run, next));
  TRY_VOID(put_keys(txn, plan, pending, next));
  TRY_VOID(put_counters(txn, plan, next));
  TRY_VOID(put_bookmarks(txn, chunk, plan.answers));
  std::move(plan.answers.begin(), plan.answers.end(), std::back_inserter(answers));
  return {};
}

Status Journal::Impl::put_bookmarks(io::LmdbTxn& txn, std::span<const RecordRequest> requests,
                                    const std::vector<RecordResult>& answers) {
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!answers[i] || !requests[i].bookmark) continue;
    const Bookmark& bookmark = *requests[i].bookmark;
    CHECK_INVARIANT(!bookmark.name.empty() && bookmark.name.size() <= Bookmark::kNameSizeMax &&
                    bookmark.value.size() <= Bookmark::kValueSizeMax);
    TRY_VOID(put_checked(txn, keys::bookmark(bookmark.name), bookmark.value));
  }
  return {};
}

RecorderState Journal::Impl::recorder_state(const StreamState& next) const {
  return {.stream = grant->stream,
          .next_seq = next.next_seq,
          .totals = next.totals,
          .promised = next.promised,
          .anchor = next.anchor,
          .series_count = next.series_count};
}

Status Journal::Impl::put_counters(io::LmdbTxn& txn, const RecordPlan& plan,
                                   StreamState& next) const {
  for (const auto& [series, raw] : plan.last_raws) {
    TRY_VOID(put_checked(txn, keys::series(series), values::encode_raw(raw)));
  }
  next.totals = plan.totals;
  next.series_count += plan.new_series;
  return {};
}

Result<std::vector<RecordResult>> Journal::Impl::put_group(io::LmdbTxn& txn,
                                                           std::span<const RecordRequest> requests,
                                                           FreshKeys& pending,
                                                           StreamState& next) const {
  std::vector<RecordResult> answers;
  answers.reserve(requests.size());
  while (answers.size() < requests.size()) {
    TRY_VOID(record_chunk(txn, requests.subspan(answers.size()), pending, next, answers));
  }
  TRY_VOID(put_state(txn, next));
  return answers;
}

Result<std::vector<RecordResult>> Journal::record(std::span<const RecordRequest> requests) {
  auto& j = *impl_;
  if (!j.grant)
    return refuse_all(requests.size(), Error(Errc::config, "the agent is not enrolled"));
  TRY_VOID(j.must_be_booted());
  TRY_VOID(j.make_room());
  TRY(const Space space, j.space());
  if (const auto room = may_record(space, j.options.retention); !room) {
    if (j.may_drop()) return refuse_all(requests.size(), room.error());
    return j.record_coarse(requests, space, room.error());
  }
  StreamState next = j.state;
  TRY(auto txn, j.env.begin_write());
  FreshKeys pending;
  auto answers = j.put_group(txn, requests, pending, next);
  // A full map, here or at the commit: the transaction is given up and nothing was promised.
  if (!answers && answers.error().code() == Errc::full) {
    return refuse_all(requests.size(), answers.error());
  }
  // Duplicates and refusals alone change nothing: what they say is durable already.
  const bool bookmarks = std::any_of(requests.begin(), requests.end(),
                                     [](const auto& each) { return each.bookmark.has_value(); });
  if (!answers || (next == j.state && !bookmarks)) return answers;
  const Status done = j.commit(std::move(txn), std::move(next));
  if (!done && done.error().code() == Errc::full) return refuse_all(requests.size(), done.error());
  if (!done) return fail(done.error());
  j.fresh.add(pending);
  j.keys_since_slice += pending.entries().size();
  return answers;
}

}  // namespace ledgerline::agent
