#pragma once
// One stream's part of the uplink: its window, its resume, its receipts and heartbeats, over a
// session that it shares with the device's other stream. Lives on the context's thread; the journal
// is called on the storage thread. What is sent when is SendWindow's business.

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

struct StreamUplinkOptions {
  Duration heartbeat = std::chrono::seconds(5);
  SendLimits limits;
  /// Readings of this time and later may still come; nothing: only those of now.
  std::function<std::optional<Timestamp>()> hold = [] { return std::optional<Timestamp>(); };
  Bytes grant;  // Signed; shown to a collector that does not know the stream; empty: nothing is
};

struct StreamUplinkStatus {
  std::string alarm;  // why nothing is sent although connected; empty where all is well
  /// The collector takes nothing more on this stream: what is recorded now stays here. Asked anew
  /// at each connect, so it is not stored beyond what the newest receipt says.
  bool undeliverable = false;
  std::optional<Verdict> verdict;  // of the newest answer
  BatchNumber linked_upto = 0;
  size_t in_flight = 0;
  uint64_t batches_sent = 0;  // given to the broker, those sent again included; tombstones too
  uint64_t batches_resent = 0;
  uint64_t batches_refused =
      0;  // by the broker, or lost with the connection before it acknowledged
  uint64_t tombstones_sent = 0;
  uint64_t resumes = 0;
  uint64_t introductions = 0;
  uint64_t answers = 0;
  uint64_t receipts = 0;            // stored
  uint64_t statements_refused = 0;  // wrong signature, another chain
  uint64_t heartbeats = 0;
};

class StreamUplink {
 public:
  /// Hands a message to the session.
  using Publish = std::function<void(TopicLeaf, Bytes, io::Published)>;

  /// `signer` is the stream's device key; `collector_key` the one pinned at enrolment.
  /// `journal_failed` ends the process: nothing is known about what the journal holds then.
  StreamUplink(io::Runtime& runtime, Clock& clock, Outgoing& outgoing, Signer& signer,
               const PublicKey& collector_key, StreamUplinkOptions options, Publish publish,
               std::function<void(const Error&)> journal_failed);
  ~StreamUplink();

  /// Once, with what the journal says, before the session connects.
  void begin(const ResumeState& state);
  /// The journal cannot be read, or contradicts the collector: nothing is sent any more.
  void halt_for(const std::string& what, const Error& error);

  void stop();
  void on_connected();
  void on_disconnected();
  void on_sealed(BatchNumber head);
  /// Of this stream, its signature verified.
  void on_receipt(Receipt receipt, Bytes signed_bytes);
  void on_answer(const Answer& answer);

  [[nodiscard]] const StreamId& stream() const { return stream_; }
  [[nodiscard]] bool undeliverable() const { return status_.undeliverable; }
  /// Statements that wait for the storage thread.
  [[nodiscard]] size_t waiting() const { return waiting_; }
  [[nodiscard]] StreamUplinkStatus status() const;

 private:
  using Actions = SendWindow::Actions;

  [[nodiscard]] Moment moment();
  void perform(const Actions& actions, std::vector<StoredBatch> fetched = {});
  void send_resume();
  /// True where the grant was shown; the resume that follows says whether it was believed.
  bool introduce();
  void fetch(const SendWindow::Fetch& fetch);
  void publish(StoredBatch batch);
  void beat();
  void arm_heartbeat();
  /// Keeps the receipt, then calls `then` where it holds.
  void keep(Receipt receipt, Bytes signed_bytes, bool answered,
            std::function<void(const Receipt&)> then);
  /// The collector holds another batch of that number. Ours proves to it that two journals wrote
  /// the stream, which nobody else can tell it; once, nothing follows here.
  void show_own(BatchNumber number);
  /// A publish that the broker did not take.
  void note_refusal(const Error& error);
  void halt(const std::string& alarm);
  void refuse(const std::string& what, const Error& error);
  /// `work` may run after this object is gone: it holds what it needs, and that outlives the
  /// storage thread.
  template <class Work, class Done>
  void on_storage(Work work, Done done);

  io::Runtime& runtime_;
  Clock& clock_;
  Outgoing& outgoing_;
  Signer& signer_;
  const PublicKey& collector_key_;
  StreamUplinkOptions options_;
  Publish publish_;
  std::function<void(const Error&)> journal_failed_;
  boost::asio::steady_timer window_timer_;
  boost::asio::steady_timer heartbeat_timer_;
  std::shared_ptr<bool> alive_ =
      std::make_shared<bool>(true);  // handlers posted by others ask it first
  SendWindow window_;
  StreamId stream_;
  std::optional<Nonce> nonce_;          // of the resume that waits for its answer
  std::optional<Challenge> challenge_;  // that the collector wants to hear back
  ResumeState asked_;                   // what that resume said
  uint64_t receipt_number_ = 0;         // of the newest receipt stored
  size_t waiting_ = 0;
  bool beating_ = false;
  bool introduced_ = false;  // since the collector knew the stream last, or refused it
  bool own_shown_ = false;
  StreamUplinkStatus status_;
};

/// Errc::corrupt where the key has not signed it.
Result<Receipt> checked_receipt(ByteView signed_bytes, const PublicKey& collector_key);

}  // namespace ledgerline::agent
