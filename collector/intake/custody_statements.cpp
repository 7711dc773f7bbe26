// Heartbeats, resumes and introductions: what devices say beside their batches.

#include "collector/core/completeness.h"
#include "collector/core/enrolling.h"
#include "collector/core/exceptions.h"
#include "collector/intake/custody.h"
#include "common/io/log.h"

namespace ledgerline::collector {

using io::kv;

namespace {

constexpr int kConflictsMax = 5;  // other writers that may be first
/// How often one unknown stream is asked who it is, and written about; for this many of them.
constexpr Duration kUnknownInterval = std::chrono::seconds(30);
constexpr size_t kUnknownMax = 4096;
constexpr Duration kRecoveryReadInterval = std::chrono::seconds(1);

ExceptionRow clock_exception(const StreamRow& row, const Heartbeat& heartbeat,
                             Timestamp received_at) {
  const std::string stream = row.grant.stream.hex();
  ExceptionRow out = new_exception(exception_kind::kImplausibleTime, {stream, "heartbeat"},
                                   row.grant.tenant, received_at);
  out.device = row.grant.device;
  out.count = 1;
  out.detail = "a heartbeat of stream " + stream + " promised that all is there up to " +
               to_rfc3339(heartbeat.complete_through) + ", but came at " + to_rfc3339(received_at) +
               ": it counts up to then";
  return out;
}

/// Whether it is time again for the stream. What is beyond the limit has to wait for its turn.
bool is_due(std::map<StreamId, Monotonic>& last, const StreamId& stream, Monotonic now) {
  std::erase_if(last, [&](const auto& entry) { return now - entry.second >= kUnknownInterval; });
  if (last.size() >= kUnknownMax) return false;
  return last.emplace(stream, now).second;
}

/// The stream, or the device with its key, is not in this store.
bool not_known(Refusal refusal) {
  return refusal == Refusal::unknown_device || refusal == Refusal::unknown_stream ||
         refusal == Refusal::wrong_key;
}

ResumeVerdict judged(const StreamRow& row, const Resume& resume) {
  return judge_resume({row.status, row.head_number, row.head_id, row.parked}, resume);
}

}  // namespace

Status Custody::take_heartbeat(const Arrival& arrival, const Topic& topic, Cache& cache,
                               std::map<StreamId, HeartbeatPut>& newest,
                               std::vector<Outbound>& out) {
  const auto message = open_signed(arrival.payload, payload_type::kHeartbeat);
  if (!message) return refuse(arrival, Refusal::not_readable, cache);
  const auto heartbeat = decode_heartbeat(message->body);
  if (!heartbeat) return refuse(arrival, Refusal::not_readable, cache);
  TRY(const auto row,
      check_stream(heartbeat->stream, message->key, topic, arrival.received_at, cache));
  if (!row && not_known(row.error())) TRY_VOID(ask_who_it_is(*heartbeat, topic, out));
  if (!row) return refuse(arrival, row.error(), cache);
  TRY(const auto key, stream_key(**row, cache));
  if (!verify(*message, key)) return refuse(arrival, Refusal::bad_signature, cache);
  const bool shows_loss =
      (*row)->status == StreamStatus::open &&
      heartbeat->acked_upto > std::max((*row)->head_number, (*row)->presented_upto) &&
      heartbeat->receipt_number < kReceiptNumberMax;
  // Again and again until its resume has shown the proof: the broker may not have taken the first.
  if (shows_loss && is_due(asked_who_, heartbeat->stream, clock_.monotonic())) {
    // A receipt above the one it has and for less makes it ask.
    TRY(const auto receipt, receipt_of(**row, heartbeat->receipt_number + 1));
    TRY_VOID(publish_receipts(topic, out));
  }
  HeartbeatPut& put = newest[heartbeat->stream];
  if (put.heartbeat.number != 0) ++counters_.heartbeats_stale;
  if (heartbeat->number <= put.heartbeat.number) return {};
  put = {*heartbeat, arrival.received_at, {}, arrival.payload};
  if (heartbeat->complete_through > arrival.received_at + kPromiseAheadMax) {
    put.exception = {UpsertMode::add, clock_exception(**row, *heartbeat, arrival.received_at)};
  }
  return {};
}

Status Custody::ask_who_it_is(const Heartbeat& heartbeat, const Topic& topic,
                              std::vector<Outbound>& out) {
  if (!is_due(asked_who_, heartbeat.stream, clock_.monotonic())) return {};
  Resume nobody_asked;
  nobody_asked.stream = heartbeat.stream;
  return answer(nobody_asked, topic, Verdict::unknown_stream, {}, "the stream is not in this store",
                out);
}

Status Custody::put_heartbeats(const std::map<StreamId, HeartbeatPut>& newest) {
  if (newest.empty()) return {};
  std::vector<HeartbeatPut> puts;
  for (const auto& [stream, put] : newest) puts.push_back(put);
  TRY(const size_t news, store_.put_heartbeats(puts));
  counters_.heartbeats += news;
  counters_.heartbeats_stale += puts.size() - news;
  return {};
}

Status Custody::take_resume(const Arrival& arrival, const Topic& topic,
                            std::vector<Outbound>& out) {
  Cache cache;  // rows as they are after this group's batches
  const auto message = open_signed(arrival.payload, payload_type::kResume);
  if (!message) return refuse(arrival, Refusal::not_readable, cache);
  const auto resume = decode_resume(message->body);
  if (!resume) return refuse(arrival, Refusal::not_readable, cache);
  TRY(const DeviceRow* device, device_row(topic.tenant, topic.device, cache));
  const DeviceKey* known = device == nullptr ? nullptr : find_key(*device, message->key);
  if (known == nullptr) {
    // Nobody here can tell who asks. The answer says nothing but that.
    const Refusal why = device == nullptr ? Refusal::unknown_device : Refusal::wrong_key;
    TRY_VOID(answer(*resume, topic, Verdict::unknown_stream, {}, std::string(to_string(why)), out));
    return refuse(arrival, why, cache);
  }
  TRY(const auto key, PublicKey::from_der(known->algorithm, known->public_key));
  if (!verify(*message, key)) return refuse(arrival, Refusal::bad_signature, cache);

  // From here the asker is the device itself, and gets an answer whatever it is.
  ++counters_.resumes;
  if (!key_is_active(*known, arrival.received_at)) {
    return answer(*resume, topic, Verdict::key_revoked, {}, known->revoke_reason, out);
  }
  TRY(const auto row,
      check_stream(resume->stream, message->key, topic, arrival.received_at, cache));
  if (!row)
    return answer(*resume, topic, Verdict::unknown_stream, {}, std::string(to_string(row.error())),
                  out);
  TRY(const StreamRow noted, note_resume(*resume, **row));
  const ResumeVerdict verdict = judged(noted, *resume);
  if (verdict.verdict == Verdict::rollback) {
    ++counters_.rollbacks;
    io::log_warn("resume_shows_rollback",
                 {kv("stream", resume->stream.hex()), kv("detail", verdict.detail)});
  }
  if (verdict.collector_is_behind) {
    ++counters_.behind_agent;
    io::log_error("agent_holds_newer_receipt",
                  {kv("stream", resume->stream.hex()), kv("acked_upto", resume->acked_upto),
                   kv("linked_upto", noted.head_number)});
  }
  const bool may_number_on =
      verdict.verdict == Verdict::continue_ && resume->receipt_number <= kReceiptNumberMax;
  TRY(auto receipt, receipt_of(noted, may_number_on ? resume->receipt_number : 0));
  std::optional<Challenge> challenge;
  if (verdict.verdict == Verdict::rollback || noted.rolled_back) challenge = challenge_of(noted);
  return answer(*resume, topic, verdict.verdict, std::move(receipt), verdict.detail, out,
                challenge);
}

Result<StreamRow> Custody::note_resume(const Resume& resume, StreamRow row) {
  const auto shown = shown_receipt(resume, signer_.public_key());
  for (int attempt = 1;; ++attempt) {
    AdmitChange change{.stream = row.grant.stream, .expected_revision = row.revision};
    const Verdict verdict = judged(row, resume).verdict;
    const bool rolled_back = verdict == Verdict::rollback;
    if (row.status != StreamStatus::open) return row;
    // Anybody may have sent an old resume again; only of one that answers us it is known to be new.
    const bool turned = rolled_back != row.rolled_back && resume.challenge == challenge_of(row);
    if (turned) {
      change.rolled_back = rolled_back;
      change.exceptions.push_back(rolled_back ? rollback_opened(row, resume, clock_.now())
                                              : rollback_ended(row, clock_.now()));
    }
    if (shown && !rolled_back &&
        shown->linked_upto > std::max(row.head_number, row.presented_upto)) {
      TRY_VOID(account_for(*shown, row));
      change.presented_upto = shown->linked_upto;
      change.presented_receipt = shown->number;
      change.exceptions.push_back(recovery_opened(row, *shown, clock_.now()));
    }
    if (change.exceptions.empty()) return row;
    recovery_read_at_.reset();
    const auto admitted = store_.admit(std::span(&change, 1));
    const bool again = !admitted && admitted.error().code() == Errc::conflict;
    if (!admitted && (!again || attempt == kConflictsMax)) return fail(admitted.error());
    TRY(row, store_.stream(row.grant.stream));
    if (again) continue;
    if (turned) random_bytes(challenge_secret_);
    return row;
  }
}

Result<Bytes> Custody::receipt_of(StreamRow row, uint64_t newest_issued) {
  for (int attempt = 1; row.receipt.empty() || row.receipt_number < newest_issued; ++attempt) {
    Decided decided = as_it_is(row);
    row.receipt_number = std::max(row.receipt_number, newest_issued);
    TRY_VOID(add_receipt(row, decided.linkage, decided.change));
    const auto admitted = store_.admit(std::span(&decided.change, 1));
    if (admitted) {
      ++counters_.receipts;
      return std::move(decided.change.receipt);
    }
    if (admitted.error().code() != Errc::conflict || attempt == kConflictsMax)
      return fail(admitted.error());
    TRY(row, store_.stream(row.grant.stream));
  }
  return std::move(row.receipt);
}

// ---- Introductions
// ------------------------------------------------------------------------------

Status Custody::take_introduction(const Arrival& arrival, const Topic& topic) {
  Cache cache;
  const auto introduced = open_introduction(arrival.payload, topic, signer_.public_key());
  if (!introduced) {
    const bool foreign = introduced.error().code() == Errc::reject;
    return refuse(arrival, foreign ? Refusal::foreign_topic : Refusal::bad_signature, cache);
  }
  const StreamGrant& grant = introduced->grant;
  for (int attempt = 1;; ++attempt) {
    cache = {};
    TRY(const StreamRow* known, stream_row(grant.stream, cache));
    if (known != nullptr) return {};  // sent twice, or by a device that was answered meanwhile
    TRY(const DeviceRow* device, device_row(grant.tenant, grant.device, cache));
    const DeviceKey* key = device == nullptr ? nullptr : find_key(*device, grant.key);
    if (key != nullptr && !key_is_active(*key, arrival.received_at))
      return refuse(arrival, Refusal::revoked_key, cache);
    TRY(const auto streams, store_.streams_of(grant.tenant, grant.device));
    if (const StreamRow* next = successor_of(grant, streams)) {
      return report_unknown(grant, "stream " + next->grant.stream.hex() + " took its place",
                            arrival.received_at);
    }
    TRY(const RecoveryMode mode, store_.recovery_mode());
    if (!mode.active)
      return report_unknown(grant, "and the collector is not in recover mode", arrival.received_at);
    TRY(const bool done, try_let_in(*introduced, device, streams, arrival.received_at));
    if (done) return {};
    if (attempt == kConflictsMax) return {};  // it introduces itself again
  }
}

Result<bool> Custody::try_let_in(const Introduced& introduced, const DeviceRow* device,
                                 const std::vector<StreamRow>& streams, Timestamp now) {
  const StreamGrant& grant = introduced.grant;
  DeviceEnrolment enrolment{.tenant = grant.tenant,
                            .device = grant.device,
                            .expected_revision = device == nullptr ? 0 : device->revision,
                            .key = introduced.key,
                            .at = now};
  enrolment.streams.push_back({grant, introduced.signed_grant, introduced.grant_id});
  enrolment.exceptions = {let_in(introduced, now), unknown_stream_ended(grant, now)};
  for (const StreamRow* row : replaced_by(grant, streams)) {
    enrolment.closes.push_back(row->grant.stream);
    if (row->recovering())
      enrolment.exceptions.push_back(recovery_ended(*row, "another stream took its place", now));
  }
  const auto stored = store_.put_device(enrolment);
  if (!stored && stored.error().code() == Errc::conflict) return false;
  if (!stored && stored.error().code() == Errc::reject) {
    TRY_VOID(report_unknown(grant, stored.error().text(), now));
    return true;
  }
  if (!stored) return fail(stored.error());
  ++counters_.introduced;
  io::log_warn("device_let_in", {kv("device", grant.tenant + "/" + grant.device),
                                 kv("stream", grant.stream.hex()), kv("key", grant.key.hex())});
  return true;
}

Status Custody::report_unknown(const StreamGrant& grant, const std::string& why, Timestamp now) {
  ++counters_.unknown_streams;
  if (!is_due(reported_, grant.stream, clock_.monotonic())) return {};
  const ExceptionUpsert exception = unknown_stream(grant, why, now);
  io::log_error("unknown_stream", {kv("device", grant.tenant + "/" + grant.device),
                                   kv("stream", grant.stream.hex()), kv("why", why)});
  return store_.upsert_exceptions(std::span(&exception, 1));
}

Status Custody::read_recovery() {
  const Monotonic now = clock_.monotonic();
  if (recovery_read_at_ && now - *recovery_read_at_ < kRecoveryReadInterval) return {};
  TRY(counters_.recovering, store_.recovering());
  TRY(const RecoveryMode mode, store_.recovery_mode());
  counters_.recover_mode = mode.active;
  TRY(counters_.log_epoch, epoch_in_force(store_));
  TRY(counters_.rating_halted, rating_halted(store_));
  recovery_read_at_ = now;
  return {};
}

Status Custody::answer(const Resume& resume, const Topic& topic, Verdict verdict, Bytes receipt,
                       std::string detail, std::vector<Outbound>& out,
                       std::optional<Challenge> challenge) {
  Topic to = topic;
  to.leaf = TopicLeaf::answer;
  const Answer answer{resume.stream,      resume.nonce,      verdict,
                      std::move(receipt), std::move(detail), challenge};
  TRY(auto bytes, sign(payload_type::kAnswer, encode(answer), signer_));
  out.push_back({to.text(), std::move(bytes), false});
  return {};
}

Challenge Custody::challenge_of(const StreamRow& row) const {
  Bytes text(challenge_secret_.begin(), challenge_secret_.end());
  text.insert(text.end(), row.grant.stream.view().begin(), row.grant.stream.view().end());
  append_big_endian64(text, row.head_number);
  return *Challenge::from(sha256(text).view().first(Challenge::kSize));
}

}  // namespace ledgerline::collector
