#include "agent/uplink/stream_uplink.h"

#include "common/check.h"
#include "common/io/log.h"

namespace ledgerline::agent {

using io::kv;
using io::log_error;
using io::log_info;
using io::log_warn;

namespace {

uint32_t random32() {
  uint8_t bytes[4];
  random_bytes(bytes);
  return big_endian32(bytes);
}

std::string advice(Verdict verdict) {
  switch (verdict) {
    case Verdict::unknown_stream:
      return "the collector does not know this stream: if it lost its store, its operator lets "
             "this device in with ledgerline-collector recover; else enrol the device again";
    case Verdict::rollback:
      return "the collector holds more than this journal: it was restored or rolled back; "
             "readings recorded now cannot be delivered on this stream: enrol the device again";
    case Verdict::stream_frozen:
      return "the collector has frozen or closed this stream; readings recorded now cannot be "
             "delivered on it: enrol the device again";
    case Verdict::key_revoked:
      return "the collector has revoked this device's key; readings recorded now cannot be "
             "delivered "
             "on this stream: enrol the device again with a new key";
    case Verdict::continue_:
      break;
  }
  return {};
}

/// A stream that is unknown may be so to a collector on a wrong store only: it may go on yet.
bool ends_stream(Verdict verdict) {
  return verdict == Verdict::rollback || verdict == Verdict::stream_frozen ||
         verdict == Verdict::key_revoked;
}

}  // namespace

StreamUplink::StreamUplink(io::Runtime& runtime, Clock& clock, Outgoing& outgoing, Signer& signer,
                           const PublicKey& collector_key, StreamUplinkOptions options,
                           Publish publish, std::function<void(const Error&)> journal_failed)
    : runtime_(runtime),
      clock_(clock),
      outgoing_(outgoing),
      signer_(signer),
      collector_key_(collector_key),
      options_(std::move(options)),
      publish_(std::move(publish)),
      journal_failed_(std::move(journal_failed)),
      window_timer_(runtime.context()),
      heartbeat_timer_(runtime.context()),
      window_(options_.limits) {}

StreamUplink::~StreamUplink() { stop(); }

void StreamUplink::stop() {
  alive_.reset();
  window_timer_.cancel();
  heartbeat_timer_.cancel();
}

template <class Work, class Done>
void StreamUplink::on_storage(Work work, Done done) {
  io::on_storage(
      runtime_, std::move(work),
      [alive = std::weak_ptr<bool>(alive_), done = std::move(done)](auto result) mutable {
        if (!alive.expired()) done(std::move(result));
      });
}

Moment StreamUplink::moment() { return {clock_.monotonic(), random32()}; }

void StreamUplink::begin(const ResumeState& state) {
  stream_ = state.stream;
  receipt_number_ = state.receipt_number;
  if (state.status != StreamStatus::open) {
    status_.undeliverable = true;
    status_.alarm = advice(Verdict::stream_frozen);
  }
  arm_heartbeat();
}

void StreamUplink::on_connected() { perform(window_.on_connected(moment())); }
void StreamUplink::on_disconnected() { perform(window_.on_disconnected(moment())); }

void StreamUplink::on_sealed(BatchNumber head) { perform(window_.on_sealed(moment(), head)); }

void StreamUplink::perform(const Actions& actions, std::vector<StoredBatch> fetched) {
  size_t next = 0;
  for (auto& batch : fetched) {
    if (next == actions.publish.size() || batch.number != actions.publish[next]) continue;
    ++next;
    publish(std::move(batch));
  }
  CHECK_INVARIANT(next == actions.publish.size());
  if (actions.ask) send_resume();
  if (actions.fetch) fetch(*actions.fetch);
  window_timer_.cancel();
  if (!actions.wake_at) return;
  window_timer_.expires_after(std::max(Duration(1), *actions.wake_at - clock_.monotonic()));
  window_timer_.async_wait(
      [this, alive = std::weak_ptr<bool>(alive_)](const boost::system::error_code& error) {
        if (!error && !alive.expired()) perform(window_.on_time(moment()));
      });
}

void StreamUplink::send_resume() {
  on_storage([&outgoing = outgoing_] { return outgoing.resume_state(); },
             [this](Result<ResumeState> state) {
               if (!state) return halt_for("the journal cannot be read", state.error());
               std::array<uint8_t, Nonce::kSize> random{};
               random_bytes(random);
               nonce_ = Nonce(random);
               asked_ = std::move(*state);
               const Resume resume{asked_.stream,  *nonce_,           asked_.head_batch,
                                   asked_.head_id, asked_.acked_upto, asked_.receipt_number,
                                   asked_.receipt, challenge_};
               auto bytes = sign(payload_type::kResume, encode(resume), signer_);
               if (!bytes) return halt("the device key does not sign: " + bytes.error().text());
               ++status_.resumes;
               // Not sent is no different from not answered: the window asks again.
               publish_(TopicLeaf::resume, std::move(*bytes),
                        [this, alive = std::weak_ptr<bool>(alive_)](const Status& sent) {
                          if (sent || alive.expired()) return;
                          log_warn("resume_not_sent", {kv("error", sent.error())});
                          note_refusal(sent.error());
                        });
             });
}

bool StreamUplink::introduce() {
  if (options_.grant.empty()) return false;
  const PublicKey& key = signer_.public_key();
  const Introduction introduction{options_.grant, key.algorithm(), key.der()};
  auto bytes = sign(payload_type::kIntroduction, encode(introduction), signer_);
  if (!bytes) {
    halt("the device key does not sign: " + bytes.error().text());
    return false;
  }
  ++status_.introductions;
  publish_(TopicLeaf::resume, std::move(*bytes), [](const Status&) {});
  return true;
}

void StreamUplink::fetch(const SendWindow::Fetch& fetch) {
  on_storage(
      [&outgoing = outgoing_, fetch] {
        return outgoing.batches_after(fetch.after, {fetch.batches_max, fetch.bytes_max});
      },
      [this, id = fetch.id](Result<std::vector<StoredBatch>> batches) {
        if (!batches) {
          // Too many readers for a moment: nothing is wrong with the journal.
          if (batches.error().code() != Errc::retry)
            return halt_for("sealed batches cannot be read", batches.error());
          log_error("journal_read_failed", {kv("error", batches.error())});
          batches = std::vector<StoredBatch>();
        }
        std::vector<SendWindow::Fetched> sizes;
        sizes.reserve(batches->size());
        for (const auto& batch : *batches)
          sizes.push_back({batch.number, batch.sealed.size(), batch.tombstone_from});
        perform(window_.on_fetched(moment(), id, sizes), std::move(*batches));
      });
}

void StreamUplink::publish(StoredBatch batch) {
  ++status_.batches_sent;
  if (batch.tombstone_from != 0) {
    ++status_.tombstones_sent;
    auto bytes = sign(payload_type::kTombstone, batch.sealed, signer_);
    if (!bytes) return halt("the device key does not sign: " + bytes.error().text());
    batch.sealed = std::move(*bytes);
  }
  publish_(TopicLeaf::batch, std::move(batch.sealed),
           [this, number = batch.number, alive = std::weak_ptr<bool>(alive_)](const Status& sent) {
             if (sent || alive.expired()) return;
             ++status_.batches_refused;
             log_warn("batch_not_sent", {kv("number", number), kv("error", sent.error())});
             note_refusal(sent.error());
             perform(window_.on_not_sent(moment(), number));
           });
}

void StreamUplink::arm_heartbeat() {
  heartbeat_timer_.expires_after(options_.heartbeat);
  heartbeat_timer_.async_wait(
      [this, alive = std::weak_ptr<bool>(alive_)](const boost::system::error_code& error) {
        if (error || alive.expired()) return;
        beat();
        arm_heartbeat();
      });
}

void StreamUplink::beat() {
  // A heartbeat promises completeness, so none leaves a journal of which the collector has not said
  // "continue".
  if (beating_ || !window_.open()) return;
  beating_ = true;
  on_storage([&outgoing = outgoing_, hold = options_.hold()] { return outgoing.heartbeat(hold); },
             [this](const Result<Heartbeat>& heartbeat) {
               beating_ = false;
               if (!heartbeat && heartbeat.error().code() == Errc::full) return;  // the next one
               if (!heartbeat) return halt_for("a heartbeat cannot be kept", heartbeat.error());
               auto bytes = sign(payload_type::kHeartbeat, encode(*heartbeat), signer_);
               if (!bytes) return halt("the device key does not sign: " + bytes.error().text());
               ++status_.heartbeats;
               publish_(TopicLeaf::heartbeat, std::move(*bytes), [](const Status&) {});
             });
}

void StreamUplink::on_receipt(Receipt receipt, Bytes signed_bytes) {
  // What we have: the retained receipt comes again at every connect.
  if (receipt.number <= receipt_number_) return;
  const Custody custody{receipt.linked_upto, receipt.parked};
  // Newer, and less than it said before: its store is not the one that it was.
  if (window_.open() && custody.linked_upto < window_.linked_upto())
    return perform(window_.ask_again(moment()));
  if (custody.linked_upto < asked_.acked_upto && receipt.status == StreamStatus::open) {
    // A restored collector gets back what it lost: that moves the window, and our receipt stays.
    return perform(window_.on_receipt(moment(), custody));
  }
  keep(std::move(receipt), std::move(signed_bytes), false, [this](const Receipt& kept) {
    perform(window_.on_receipt(moment(), {kept.linked_upto, kept.parked}));
  });
}

void StreamUplink::on_answer(const Answer& answer) {
  const bool unknown = answer.verdict == Verdict::unknown_stream;
  if (unknown && answer.nonce == Nonce()) {
    // To a heartbeat: nobody there knows us. To ask is all that it can make us do.
    if (window_.open()) perform(window_.ask_again(moment()));
    return;
  }
  // Only the newest resume counts: an older answer, or a replayed one, speaks of another moment.
  if (!nonce_ || answer.nonce != *nonce_) return;
  nonce_.reset();
  ++status_.answers;
  if (answer.challenge && answer.challenge != challenge_) {
    challenge_ = answer.challenge;
    return perform(window_.ask_again(moment()));
  }
  status_.verdict = answer.verdict;
  if (unknown && !introduced_ && introduce()) {
    introduced_ = true;
    return perform(window_.ask_again(moment()));
  }
  introduced_ = false;
  if (answer.verdict != Verdict::continue_) {
    if (ends_stream(answer.verdict)) status_.undeliverable = true;
    perform(window_.on_verdict(moment()));
    status_.alarm =
        advice(answer.verdict) + (answer.detail.empty() ? "" : " (" + answer.detail + ")");
    return log_error("stream_stopped",
                     {kv("verdict", to_string(answer.verdict)), kv("detail", status_.alarm)});
  }
  auto receipt = checked_receipt(answer.receipt, collector_key_);
  if (!receipt || receipt->stream != stream_) {
    return refuse("answer", receipt ? Error(Errc::corrupt, "its receipt is another stream's")
                                    : receipt.error());
  }
  status_.alarm.clear();
  status_.undeliverable = false;
  const auto open = [this](const Receipt& kept) {
    perform(window_.on_answer(moment(), {kept.linked_upto, kept.parked}, asked_.head_batch));
  };
  if (receipt->linked_upto < asked_.acked_upto) {
    // The fleet is the collector's last replica: a collector that lost batches gets them again, and
    // our receipt stays.
    log_error("collector_holds_less",
              {kv("linked_upto", receipt->linked_upto), kv("acked_upto", asked_.acked_upto)});
    status_.alarm =
        "the collector holds less than it gave a receipt for: it was restored from a backup";
    return open(*receipt);
  }
  keep(std::move(*receipt), answer.receipt, true, open);
}

void StreamUplink::keep(Receipt receipt, Bytes signed_bytes, bool answered,
                        std::function<void(const Receipt&)> then) {
  ++waiting_;
  on_storage(
      [&outgoing = outgoing_, receipt, signed_bytes = std::move(signed_bytes)] {
        return outgoing.store_receipt(receipt, signed_bytes);
      },
      [this, receipt, answered, then = std::move(then)](const Result<ReceiptOutcome>& outcome) {
        --waiting_;
        if (!outcome) {
          if (outcome.error().code() == Errc::conflict && !answered)
            return refuse("receipt", outcome.error());
          if (outcome.error().code() == Errc::corrupt) show_own(receipt.linked_upto);
          return halt_for("the collector's receipt does not fit this journal", outcome.error());
        }
        if (*outcome == ReceiptOutcome::stored) ++status_.receipts;
        receipt_number_ = std::max(receipt_number_, receipt.number);
        if (receipt.status != StreamStatus::open) {
          perform(window_.on_verdict(moment()));
          status_.undeliverable = true;
          status_.alarm = advice(Verdict::stream_frozen);
          log_error("stream_stopped",
                    {kv("status", to_string(receipt.status)), kv("detail", status_.alarm)});
          return;
        }
        if (*outcome != ReceiptOutcome::older || answered) then(receipt);
      });
}

void StreamUplink::show_own(BatchNumber number) {
  if (own_shown_ || number == 0) return;
  own_shown_ = true;
  on_storage([&outgoing = outgoing_,
              number] { return outgoing.batches_after(number - 1, {.batches_max = 1}); },
             [this, number](Result<std::vector<StoredBatch>> own) {
               const bool there = own && !own->empty() && own->front().number == number &&
                                  own->front().tombstone_from == 0;
               if (there)
                 publish_(TopicLeaf::batch, std::move(own->front().sealed), [](const Status&) {});
             });
}

void StreamUplink::refuse(const std::string& what, const Error& error) {
  ++status_.statements_refused;
  log_warn("statement_refused", {kv("what", what), kv("error", error)});
}

void StreamUplink::note_refusal(const Error& error) {
  if (error.code() != Errc::config) return;
  status_.alarm =
      "not authorised: the broker does not let this device send; it may be revoked, or missing in "
      "the "
      "broker's access list";
}

void StreamUplink::halt(const std::string& alarm) {
  window_.stop();
  status_.alarm = alarm;
  log_error("uplink_stopped", {kv("reason", alarm)});
}

void StreamUplink::halt_for(const std::string& what, const Error& error) {
  if (error.code() == Errc::conflict || error.code() == Errc::corrupt)
    return halt(what + ": " + error.text());
  halt("the journal failed: " + error.text());
  journal_failed_(error);
}

StreamUplinkStatus StreamUplink::status() const {
  StreamUplinkStatus out = status_;
  out.linked_upto = window_.linked_upto();
  out.in_flight = window_.in_flight();
  out.batches_resent = window_.resent();
  return out;
}

Result<Receipt> checked_receipt(ByteView signed_bytes, const PublicKey& collector_key) {
  TRY(const auto message, open_signed(signed_bytes, payload_type::kReceipt));
  TRY_VOID(verify(message, collector_key));
  return decode_receipt(message.body);
}

}  // namespace ledgerline::agent
