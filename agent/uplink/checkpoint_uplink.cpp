#include "agent/uplink/checkpoint_uplink.h"

#include "common/io/log.h"

namespace ledgerline::agent {

using io::kv;

CheckpointUplink::CheckpointUplink(io::Runtime& runtime, Clock& clock, Outgoing& outgoing,
                                   Signer& signer, const PublicKey& collector_key, Publish publish,
                                   std::function<void(const Error&)> journal_failed)
    : runtime_(runtime),
      clock_(clock),
      outgoing_(outgoing),
      signer_(signer),
      collector_key_(collector_key),
      publish_(std::move(publish)),
      journal_failed_(std::move(journal_failed)),
      timer_(runtime.context()) {}

CheckpointUplink::~CheckpointUplink() { stop(); }

void CheckpointUplink::stop() {
  alive_.reset();
  timer_.cancel();
}

template <class Work, class Done>
void CheckpointUplink::on_storage(Work work, Done done) {
  io::on_storage(
      runtime_, std::move(work),
      [alive = std::weak_ptr<bool>(alive_), done = std::move(done)](auto result) mutable {
        if (!alive.expired()) done(std::move(result));
      });
}

void CheckpointUplink::on_connected() {
  schedule_.on_connected(clock_.monotonic());
  ask_when_due();
}

void CheckpointUplink::on_disconnected() {
  schedule_.on_disconnected();
  timer_.cancel();
}

void CheckpointUplink::on_unknown() {
  schedule_.on_unknown(clock_.monotonic());
  ask_when_due();
}

void CheckpointUplink::ask_when_due() {
  if (!stream_) return;
  if (schedule_.ask(clock_.monotonic())) ask();
  const auto due = schedule_.due();
  if (!due) return;
  timer_.expires_after(std::max(Duration(1), *due - clock_.monotonic()));
  timer_.async_wait(
      [this, alive = std::weak_ptr<bool>(alive_)](const boost::system::error_code& error) {
        if (!error && !alive.expired()) ask_when_due();
      });
}

void CheckpointUplink::ask() {
  on_storage(
      [&outgoing = outgoing_] { return outgoing.log_sightings(); },
      [this](Result<LogSightings> held) {
        // What is held is read again for the next question; batches do not wait for it.
        if (!held) {
          io::log_error("log_sightings_unreadable", {kv("error", held.error())});
          return;
        }
        asked_with_ = std::move(*held);
        std::array<uint8_t, Nonce::kSize> random{};
        random_bytes(random);
        nonce_ = Nonce(random);
        const CheckpointRequest request{*stream_, *nonce_, asked_with_.size, asked_with_.newest};
        auto bytes = sign(payload_type::kCheckpointRequest, encode(request), signer_);
        if (!bytes) return;  // the stream's own statements say so
        ++counters_.asked;
        publish_(TopicLeaf::resume, std::move(*bytes), [](const Status&) {});
      });
}

void CheckpointUplink::on_answer(const CheckpointAnswer& answer) {
  if (!nonce_ || answer.nonce != *nonce_ || answer.stream != stream_) return;
  nonce_.reset();
  const auto verdict = judge_checkpoint(asked_with_, answer, collector_key_, clock_.now());
  if (!verdict) {
    ++counters_.refused;
    io::log_warn("checkpoint_refused", {kv("error", verdict.error())});
    return;
  }
  ++(verdict->sighting == Sighting::conflict ? counters_.conflicts : counters_.verified);
  if (verdict->sighting == Sighting::conflict) {
    io::log_error("log_contradicts_itself",
                  {kv("why", verdict->why),
                   kv("action",
                      "the journal forgets no batch any more; both signed notes are in "
                      "ledgerline-agent status --json: show them to who audits the "
                      "collector")});
  }
  if (verdict->sighting == Sighting::new_epoch) {
    io::log_warn("log_of_another_epoch",
                 {kv("epoch", verdict->next.epoch), kv("epoch_before", asked_with_.epoch)});
  }
  if (verdict->next != asked_with_) keep(*verdict);
}

void CheckpointUplink::keep(const CheckpointVerdict& verdict) {
  on_storage(
      [&outgoing = outgoing_, next = verdict.next] { return outgoing.keep_log_sightings(next); },
      [this](const Status& kept) {
        if (kept) return;
        io::log_error("log_sighting_not_kept", {kv("error", kept.error())});
        // Where there is no room, the next answer is judged by what is held.
        if (kept.error().code() != Errc::full) journal_failed_(kept.error());
      });
}

}  // namespace ledgerline::agent
