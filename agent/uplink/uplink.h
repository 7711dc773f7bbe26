#pragma once
// The agent's side of the broker: sends sealed batches until the collector's receipt, asks (resume)
// at each connect, says how things stand (heartbeat). Lives on the context's thread; the journal is
// called on the storage thread. Decides nothing itself: what is sent when is SendWindow's business.
//
// Invariants: nothing but a receipt that the pinned collector key signed moves the journal; no
// batch leaves before the collector has answered a resume of this connection; memory holds the
// window and not the backlog.

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/core/outgoing.h"
#include "agent/core/send_window.h"
#include "common/crypto.h"
#include "common/io/mqtt.h"
#include "common/io/runtime.h"
#include "common/topics.h"

namespace ledgerline::agent {

struct UplinkOptions {
  std::string tenant;
  std::string device;
  io::MqttOptions
      broker;  // host, port, tls, reconnect; identity, subscriptions and session are set here
  Duration heartbeat = std::chrono::seconds(5);
  SendLimits limits;
  /// Readings of this time and later may still come; nothing: only those of now.
  std::function<std::optional<Timestamp>()> hold = [] { return std::optional<Timestamp>(); };
};

struct UplinkStatus {
  bool connected = false;
  std::string connection_failure;  // in plain words; empty while connected
  std::string alarm;  // why nothing is sent although connected; empty where all is well
  /// The collector takes nothing more on this stream: what is recorded now stays here. Asked anew
  /// at each connect, so it is not stored beyond what the newest receipt says.
  bool undeliverable = false;
  std::optional<Verdict> verdict;  // of the newest answer
  BatchNumber linked_upto = 0;
  size_t in_flight = 0;
  uint64_t batches_sent = 0;  // given to the broker, those sent again included
  uint64_t batches_resent = 0;
  uint64_t batches_refused =
      0;  // by the broker, or lost with the connection before it acknowledged
  uint64_t resumes = 0;
  uint64_t answers = 0;
  uint64_t receipts = 0;            // stored
  uint64_t statements_refused = 0;  // wrong signature, another stream, another nonce, another chain
  uint64_t heartbeats = 0;
  uint64_t connects = 0;
  uint64_t connection_failures = 0;
};

class Uplink {
 public:
  /// `signer` is the stream's device key; `collector_key` the one pinned at enrolment.
  /// `journal_failed` ends the process: nothing is known about what the journal holds then.
  Uplink(io::Runtime& runtime, Clock& clock, Outgoing& outgoing, Signer& signer,
         PublicKey collector_key, UplinkOptions options, const io::MqttFactory& factory,
         std::function<void(const Error&)> journal_failed);
  ~Uplink();

  /// Reads the stream from the journal, then connects. The journal holds a grant.
  void start();
  void stop();
  /// The journal has sealed batches up to `head`.
  void on_sealed(BatchNumber head);
  [[nodiscard]] UplinkStatus status() const;
  [[nodiscard]] bool undeliverable() const { return status_.undeliverable; }

 private:
  using Actions = SendWindow::Actions;

  [[nodiscard]] Moment moment();
  void connect(const ResumeState& state);
  void perform(const Actions& actions, std::vector<StoredBatch> fetched = {});
  void send_resume();
  void fetch(const SendWindow::Fetch& fetch);
  void publish(StoredBatch batch);
  void beat();
  void arm_heartbeat();
  void on_message(const io::MqttMessage& message);
  void on_answer(const io::MqttMessage& message);
  void on_receipts(const io::MqttMessage& message);
  void accept_answer(const Answer& answer);
  /// Keeps the receipt, then calls `then` where it holds.
  void keep(Receipt receipt, Bytes signed_bytes, bool answered,
            std::function<void(const Receipt&)> then);
  [[nodiscard]] Result<Receipt> checked_receipt(ByteView signed_bytes) const;
  /// A publish that the broker did not take.
  void note_refusal(const Error& error);
  void halt(const std::string& alarm);
  /// What contradicts the journal stops the uplink; what storage refuses ends the process.
  void halt_for(const std::string& what, const Error& error);
  void refuse(const std::string& what, const Error& error);
  template <class Work, class Done>
  void on_storage(Work work, Done done);

  io::Runtime& runtime_;
  Clock& clock_;
  Outgoing& outgoing_;
  Signer& signer_;
  const PublicKey collector_key_;
  UplinkOptions options_;
  io::MqttFactory factory_;
  std::function<void(const Error&)> journal_failed_;
  boost::asio::steady_timer window_timer_;
  boost::asio::steady_timer heartbeat_timer_;
  std::shared_ptr<bool> alive_ =
      std::make_shared<bool>(true);  // handlers posted by others ask it first
  std::unique_ptr<io::MqttClient> mqtt_;
  SendWindow window_;
  StreamId stream_;
  Topic topic_;
  std::optional<Nonce> nonce_;   // of the resume that waits for its answer
  ResumeState asked_;            // what that resume said
  uint64_t receipt_number_ = 0;  // of the newest receipt stored
  size_t waiting_ = 0;           // statements that wait for the storage thread
  bool beating_ = false;
  UplinkStatus status_;
};

}  // namespace ledgerline::agent
