#include "collector/intake/log_checkpoint.h"

#include "collector/intake/custody.h"
#include "common/io/log.h"

namespace ledgerline::collector {

using io::kv;

namespace {

/// The store failed, or this one question has no answer.
bool ends_process(const Error& error) {
  return error.code() != Errc::corrupt && error.code() != Errc::config &&
         error.code() != Errc::not_found && error.code() != Errc::reject;
}

Result<CheckpointAnswer> checkpoint_answer(Store& store, Signer& signer,
                                           const CheckpointRequest& request) {
  CheckpointAnswer out{.stream = request.stream, .nonce = request.nonce};
  TRY(out.note, current_checkpoint(store, signer));
  TRY(const auto note, open_checkpoint(out.note));
  // A device that knows more than there is gets no proof: it sees for itself what that means.
  if (request.known_size < note.checkpoint.size) {
    TRY(out.consistency, store.consistency_proof(request.known_size, note.checkpoint.size));
  }
  return out;
}

}  // namespace

Status check_own_log(const LogOrigin& origin, const Signer& signer) {
  const std::string key = signer.public_key().id().hex();
  if (origin.collector == key) return {};
  return fail(Error(Errc::config, "the evidence log belongs to another collector key")
                  .with("log", origin.collector)
                  .with("key", key));
}

Result<std::string> current_checkpoint(Store& store, Signer& signer) {
  TRY(const LogOrigin origin, store.log_origin());
  TRY_VOID(check_own_log(origin, signer));
  TRY(const LogHead head, store.log_head());
  const Checkpoint checkpoint{to_string(origin), head.size, head.root};
  TRY(auto stored, store.stored_checkpoint());
  if (!stored.empty()) {
    TRY(const auto note, open_checkpoint(stored));
    if (note.checkpoint == checkpoint) return stored;
  }
  return sign_checkpoint(checkpoint, signer);
}

Status Custody::take_checkpoint_request(const SignedMessage& message, const Arrival& arrival,
                                        const Topic& topic, std::vector<Outbound>& out) {
  Cache cache;  // rows as they are after this group's batches
  const auto request = decode_checkpoint_request(message.body);
  if (!request) return refuse(arrival, Refusal::not_readable, cache);
  TRY(const auto row,
      check_stream(request->stream, message.key, topic, arrival.received_at, cache));
  if (!row) return refuse(arrival, row.error(), cache);
  TRY(const auto key, stream_key(**row, cache));
  if (!verify(message, key)) return refuse(arrival, Refusal::bad_signature, cache);

  if (!request->known.empty()) {
    TRY_VOID(account_for(request->known, "device " + topic.tenant + "/" + topic.device + " shows"));
  }
  const auto answer = checkpoint_answer(store_, signer_, *request);
  if (!answer && ends_process(answer.error())) return fail(answer.error());
  if (!answer) {
    ++counters_.checkpoints_failed;
    io::log_error("checkpoint_not_made", {kv("error", answer.error())});
    return {};
  }
  if (answer->note != kept_checkpoint_) {
    TRY_VOID(keep_checkpoint(checkpoint_file_, answer->note));
    kept_checkpoint_ = answer->note;
  }
  ++counters_.checkpoints;
  Topic to = topic;
  to.leaf = TopicLeaf::answer;
  TRY(auto bytes, sign(payload_type::kCheckpointAnswer, encode(*answer), signer_));
  out.push_back({to.text(), std::move(bytes), false});
  return {};
}

// ---- A store that was put back
// ------------------------------------------------------------------------------------------------

Status Custody::compare_with_checkpoint_file() {
  return count_epoch(begin_epoch_if_put_back(store_, signer_, checkpoint_file_, clock_.now()));
}

Status Custody::account_for(std::string_view note, const std::string& whose) {
  return count_epoch(begin_epoch_for_note(store_, signer_, note, whose, clock_.now()));
}

Status Custody::account_for(const Receipt& lost, const StreamRow& row) {
  TRY(const uint32_t epoch, epoch_in_force(store_));
  TRY(const auto began, epoch_began(store_));
  const bool accounted_for = epoch == 0 || (began && lost.issued_at < *began);
  if (accounted_for) return {};
  return count_epoch(begin_epoch(
      store_, signer_,
      {.epoch = epoch,
       .shown = std::nullopt,
       .reason = "device " + row.grant.tenant + "/" + row.grant.device + " shows a receipt of " +
                 to_rfc3339(lost.issued_at) + " for batch " + std::to_string(lost.linked_upto) +
                 " of stream " + row.grant.stream.hex() + ", of which this collector holds " +
                 std::to_string(row.head_number)},
      clock_.now()));
}

Status Custody::count_epoch(const Result<std::optional<uint32_t>>& begun) {
  if (!begun && ends_process(begun.error())) return fail(begun.error());
  if (!begun) {
    // Nothing is signed of such a log either, and custody goes on.
    ++counters_.checkpoints_failed;
    io::log_error("log_epoch_not_begun", {kv("error", begun.error())});
    return {};
  }
  if (!*begun) return {};
  ++counters_.epochs_begun;
  counters_.log_epoch = **begun;
  return {};
}

}  // namespace ledgerline::collector
