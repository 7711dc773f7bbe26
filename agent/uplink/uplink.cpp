#include "agent/uplink/uplink.h"

#include <algorithm>

#include "common/check.h"
#include "common/io/log.h"

namespace ledgerline::agent {

using io::kv;
using io::log_info;
using io::log_warn;

namespace {

// Statements from the broker that may wait for the storage thread; a broker that floods us loses
// the rest.
constexpr size_t kWaitingMax = 64;

uint32_t random32() {
  uint8_t bytes[4];
  random_bytes(bytes);
  return big_endian32(bytes);
}

}  // namespace

Uplink::Uplink(io::Runtime& runtime, Clock& clock, OutgoingStreams outgoing, Signer& signer,
               PublicKey collector_key, UplinkOptions options, const io::MqttFactory& factory,
               const std::function<void(const Error&)>& journal_failed)
    : runtime_(runtime),
      clock_(clock),
      signer_(signer),
      collector_key_(std::move(collector_key)),
      options_(std::move(options)),
      factory_(factory),
      journal_failed_(journal_failed),
      checkpoints_(
          runtime, clock, outgoing.billing, signer, collector_key_,
          [this](TopicLeaf leaf, Bytes payload, io::Published done) {
            publish(leaf, std::move(payload), std::move(done));
          },
          journal_failed) {
  add(StreamClass::billing, outgoing.billing,
      {.heartbeat = options_.heartbeat,
       .limits = options_.limits,
       .hold = options_.hold,
       .grant = options_.grant});
  if (outgoing.diagnostic == nullptr) return;
  add(StreamClass::diagnostic, *outgoing.diagnostic,
      {.heartbeat = options_.heartbeat,
       .limits = options_.diagnostic_limits,
       .hold = options_.diagnostic_hold,
       .grant = options_.diagnostic_grant});
}

Uplink::~Uplink() { stop(); }

void Uplink::add(StreamClass stream_class, Outgoing& outgoing, StreamUplinkOptions options) {
  const auto publish = [this](TopicLeaf leaf, Bytes payload, io::Published done) {
    this->publish(leaf, std::move(payload), std::move(done));
  };
  streams_.push_back(
      {stream_class, outgoing,
       std::make_unique<StreamUplink>(runtime_, clock_, outgoing, signer_, collector_key_,
                                      std::move(options), publish, journal_failed_)});
}

StreamUplink& Uplink::at(StreamClass stream_class) const {
  const auto found = std::find_if(streams_.begin(), streams_.end(), [&](const Stream& each) {
    return each.stream_class == stream_class;
  });
  CHECK_INVARIANT(found != streams_.end());
  return *found->uplink;
}

StreamUplink* Uplink::find(const StreamId& stream) const {
  for (const Stream& each : streams_) {
    if (each.uplink->stream() == stream) return each.uplink.get();
  }
  return nullptr;
}

void Uplink::start() { read_streams(0, std::nullopt); }

void Uplink::read_streams(size_t next, std::optional<uint8_t> partition) {
  if (next == streams_.size() && partition) connect(*partition);
  if (next == streams_.size()) return;
  io::on_storage(
      runtime_, [&outgoing = streams_[next].outgoing] { return outgoing.resume_state(); },
      [this, next, partition,
       alive = std::weak_ptr<bool>(alive_)](const Result<ResumeState>& state) {
        if (alive.expired()) return;
        StreamUplink& stream = *streams_[next].uplink;
        if (state) {
          stream.begin(*state);
          if (streams_[next].stream_class == StreamClass::billing)
            checkpoints_.begin(state->stream);
        } else {
          stream.halt_for("the journal cannot be read", state.error());
        }
        // One device, one partition.
        read_streams(next + 1, state ? std::optional(state->partition) : partition);
      });
}

void Uplink::stop() {
  alive_.reset();
  if (mqtt_) mqtt_->stop();
  checkpoints_.stop();
  for (const Stream& each : streams_) each.uplink->stop();
}

void Uplink::connect(uint8_t partition) {
  topic_ = {options_.tenant, partition, options_.device, TopicLeaf::batch};
  const auto topic = [this](TopicLeaf leaf) {
    Topic out = topic_;
    out.leaf = leaf;
    return out.text();
  };
  io::MqttOptions broker = options_.broker;
  broker.client_id = options_.tenant + "." + options_.device;
  // A session of the broker's would only hold what a receipt or an answer says again.
  broker.clean_start = true;
  broker.session_expiry = std::chrono::seconds(0);
  broker.in_flight_max = options_.limits.batches_max;
  broker.subscriptions = {topic(TopicLeaf::receipt), topic(TopicLeaf::answer)};
  if (!broker.random) broker.random = random32;
  mqtt_ = factory_(std::move(broker),
                   {[this](bool) {
                      log_info("broker_connected", {kv("broker", options_.broker.host)});
                      for (const Stream& each : streams_) each.uplink->on_connected();
                      checkpoints_.on_connected();
                    },
                    [this](const std::string& reason) {
                      log_warn("broker_connection_failed", {kv("reason", reason)});
                      for (const Stream& each : streams_) each.uplink->on_disconnected();
                      checkpoints_.on_disconnected();
                    },
                    [this](const io::MqttMessage& message) { on_message(message); }});
  mqtt_->start();
}

void Uplink::publish(TopicLeaf leaf, Bytes payload, io::Published done) {
  Topic topic = topic_;
  topic.leaf = leaf;
  mqtt_->publish(topic.text(), std::move(payload), false, std::move(done));
}

void Uplink::on_sealed(BatchNumber head, StreamClass stream_class) {
  at(stream_class).on_sealed(head);
}

void Uplink::on_message(const io::MqttMessage& message) {
  size_t waiting = 0;
  for (const Stream& each : streams_) waiting += each.uplink->waiting();
  if (waiting >= kWaitingMax) {
    ++statements_refused_;
    return;
  }
  const auto topic = parse_topic(message.topic);
  if (!topic) return refuse("topic", topic.error());
  if (topic->leaf == TopicLeaf::answer) on_answer(message);
  if (topic->leaf == TopicLeaf::receipt) on_receipts(message);
}

void Uplink::on_receipts(const io::MqttMessage& message) {
  auto set = decode_receipt_set(message.payload);
  if (!set) return refuse("receipt set", set.error());
  for (auto& signed_bytes : *set) {
    auto receipt = checked_receipt(signed_bytes, collector_key_);
    if (!receipt) {
      refuse("receipt", receipt.error());
      continue;
    }
    if (StreamUplink* stream = find(receipt->stream))
      stream->on_receipt(std::move(*receipt), std::move(signed_bytes));
  }
}

void Uplink::on_checkpoint(const SignedMessage& message) {
  const auto read = [&]() -> Result<CheckpointAnswer> {
    TRY_VOID(verify(message, collector_key_));
    return decode_checkpoint_answer(message.body);
  };
  const auto answer = read();
  if (!answer) return refuse("checkpoint", answer.error());
  checkpoints_.on_answer(*answer);
}

void Uplink::on_answer(const io::MqttMessage& message) {
  if (const auto checkpoint = open_signed(message.payload, payload_type::kCheckpointAnswer))
    return on_checkpoint(*checkpoint);
  const auto read = [&]() -> Result<Answer> {
    TRY(const auto opened, open_signed(message.payload, payload_type::kAnswer));
    TRY_VOID(verify(opened, collector_key_));
    return decode_answer(opened.body);
  };
  const auto answer = read();
  if (!answer) return refuse("answer", answer.error());
  if (StreamUplink* stream = find(answer->stream)) stream->on_answer(*answer);
  const bool billing = answer->stream == at(StreamClass::billing).stream();
  if (billing && answer->verdict == Verdict::unknown_stream) checkpoints_.on_unknown();
}

void Uplink::refuse(const std::string& what, const Error& error) {
  ++statements_refused_;
  log_warn("statement_refused", {kv("what", what), kv("error", error)});
}

bool Uplink::undeliverable(StreamClass stream_class) const {
  return at(stream_class).undeliverable();
}

UplinkStatus Uplink::status(StreamClass stream_class) const {
  UplinkStatus out{at(stream_class).status()};
  out.statements_refused += statements_refused_;
  out.checkpoints = checkpoints_.counters();
  if (mqtt_) {
    out.connected = mqtt_->status().connected;
    out.connection_failure = mqtt_->status().last_failure;
    out.connects = mqtt_->status().connects;
    out.connection_failures = mqtt_->status().failures;
  }
  return out;
}

}  // namespace ledgerline::agent
