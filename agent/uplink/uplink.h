#pragma once
// The agent's side of the broker: one session that carries the device's streams. Sends sealed
// batches until the collector's receipt, asks (resume) at each connect, says how things stand
// (heartbeat); what that means for one stream is in stream_uplink.h. Here is the session, and whose
// statement is whose. Lives on the context's thread.
//
// Invariants: nothing but a receipt that the pinned collector key signed moves a journal; no batch
// leaves before the collector has answered a resume of this connection; memory holds the windows
// and not the backlog. A stream that has ended leaves the other as it is.

#include "agent/uplink/checkpoint_uplink.h"
#include "agent/uplink/stream_uplink.h"

namespace ledgerline::agent {

struct UplinkOptions {
  std::string tenant;
  std::string device;
  io::MqttOptions
      broker;  // host, port, tls, reconnect; identity, subscriptions and session are set here
  Duration heartbeat = std::chrono::seconds(5);
  SendLimits limits;
  Bytes grant;  // Signed, of the billing stream
  Bytes diagnostic_grant;
  /// A few batches at a time, so that they never hold up the billing stream.
  SendLimits diagnostic_limits{.batches_max = 4, .bytes_max = 500'000};
  /// Readings of this time and later may still come; nothing: only those of now.
  std::function<std::optional<Timestamp>()> hold = [] { return std::optional<Timestamp>(); };
  std::function<std::optional<Timestamp>()> diagnostic_hold = [] {
    return std::optional<Timestamp>();
  };
};

/// The session's state, and one stream's.
struct UplinkStatus : StreamUplinkStatus {
  bool connected = false;
  std::string connection_failure;  // in plain words; empty while connected
  uint64_t connects = 0;
  uint64_t connection_failures = 0;
  CheckpointCounters checkpoints;
};

/// The device's journals.
struct OutgoingStreams {
  // NOLINTNEXTLINE(google-explicit-constructor): most devices have the billing stream only
  OutgoingStreams(Outgoing& billing_in, Outgoing* diagnostic_in = nullptr)
      : billing(billing_in), diagnostic(diagnostic_in) {}
  Outgoing& billing;
  Outgoing* diagnostic;
};

class Uplink {
 public:
  /// `signer` is the streams' device key; `collector_key` the one pinned at enrolment.
  /// `journal_failed` ends the process: nothing is known about what the journal holds then.
  Uplink(io::Runtime& runtime, Clock& clock, OutgoingStreams outgoing, Signer& signer,
         PublicKey collector_key, UplinkOptions options, const io::MqttFactory& factory,
         const std::function<void(const Error&)>& journal_failed);
  ~Uplink();

  /// Reads the streams from their journals, then connects. Each journal holds a grant.
  void start();
  void stop();
  /// The class's journal has sealed batches up to `head`.
  void on_sealed(BatchNumber head, StreamClass stream_class = StreamClass::billing);
  /// Invariant, also below: the class has a stream.
  [[nodiscard]] UplinkStatus status(StreamClass stream_class = StreamClass::billing) const;
  [[nodiscard]] bool undeliverable(StreamClass stream_class = StreamClass::billing) const;

 private:
  struct Stream {
    StreamClass stream_class;
    Outgoing& outgoing;
    std::unique_ptr<StreamUplink> uplink;
  };

  void add(StreamClass stream_class, Outgoing& outgoing, StreamUplinkOptions options);
  [[nodiscard]] StreamUplink& at(StreamClass stream_class) const;
  /// nullptr for a stream of the device that is none of ours.
  [[nodiscard]] StreamUplink* find(const StreamId& stream) const;
  /// One journal that cannot be read leaves the other stream as it is.
  void read_streams(size_t next, std::optional<uint8_t> partition);
  void connect(uint8_t partition);
  void publish(TopicLeaf leaf, Bytes payload, io::Published done);
  void on_message(const io::MqttMessage& message);
  void on_answer(const io::MqttMessage& message);
  void on_checkpoint(const SignedMessage& message);
  void on_receipts(const io::MqttMessage& message);
  void refuse(const std::string& what, const Error& error);

  io::Runtime& runtime_;
  Clock& clock_;
  Signer& signer_;
  const PublicKey collector_key_;
  UplinkOptions options_;
  io::MqttFactory factory_;
  std::function<void(const Error&)> journal_failed_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<io::MqttClient> mqtt_;
  std::vector<Stream> streams_;
  CheckpointUplink checkpoints_;  // over the billing stream
  Topic topic_;
  uint64_t statements_refused_ = 0;  // of no stream
};

}  // namespace ledgerline::agent
