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

Result<std::string> current_checkpoint(Store& store, Signer& signer) {
  TRY(const LogOrigin origin, store.log_origin());
  if (origin.collector != signer.public_key().id().hex()) {
    return fail(Error(Errc::config, "the evidence log belongs to another collector key")
                    .with("log", origin.collector)
                    .with("key", signer.public_key().id().hex()));
  }
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

  const auto answer = checkpoint_answer(store_, signer_, *request);
  if (!answer && ends_process(answer.error())) return fail(answer.error());
  if (!answer) {
    ++counters_.checkpoints_failed;
    io::log_error("checkpoint_not_made", {kv("error", answer.error())});
    return {};
  }
  ++counters_.checkpoints;
  Topic to = topic;
  to.leaf = TopicLeaf::answer;
  TRY(auto bytes, sign(payload_type::kCheckpointAnswer, encode(*answer), signer_));
  out.push_back({to.text(), std::move(bytes), false});
  return {};
}

}  // namespace ledgerline::collector
