#pragma once
// Asks the collector for checkpoints of its evidence log over the device's session, and keeps what
// it shows (agent/core/checkpoint_watch.h decides). Lives on the context's thread; the journal is
// called on the storage thread.

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "agent/core/checkpoint_watch.h"
#include "agent/core/outgoing.h"
#include "common/io/mqtt.h"
#include "common/io/runtime.h"
#include "common/topics.h"

namespace ledgerline::agent {

struct CheckpointCounters {
  uint64_t asked = 0;
  uint64_t verified = 0;   // the same log, or grown, or of another epoch
  uint64_t refused = 0;    // no checkpoint of the collector's
  uint64_t conflicts = 0;  // answers that contradict what is held
};

class CheckpointUplink {
 public:
  using Publish = std::function<void(TopicLeaf, Bytes, io::Published)>;

  CheckpointUplink(io::Runtime& runtime, Clock& clock, Outgoing& outgoing, Signer& signer,
                   const PublicKey& collector_key, Publish publish,
                   std::function<void(const Error&)> journal_failed);
  ~CheckpointUplink();

  /// Once, before the session connects; without it nothing is asked.
  void begin(const StreamId& stream) { stream_ = stream; }
  void stop();
  void on_connected();
  void on_disconnected();
  /// The collector said that it does not know the stream: it may let it in now.
  void on_unknown();
  /// Its signature verified.
  void on_answer(const CheckpointAnswer& answer);

  [[nodiscard]] const CheckpointCounters& counters() const { return counters_; }

 private:
  template <class Work, class Done>
  void on_storage(Work work, Done done);
  void ask_when_due();
  void ask();
  void keep(const CheckpointVerdict& verdict);

  io::Runtime& runtime_;
  Clock& clock_;
  Outgoing& outgoing_;
  Signer& signer_;
  const PublicKey& collector_key_;
  Publish publish_;
  std::function<void(const Error&)> journal_failed_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  CheckpointSchedule schedule_;
  std::optional<StreamId> stream_;
  std::optional<Nonce> nonce_;  // of the request that waits for its answer
  LogSightings asked_with_;     // what was held then
  CheckpointCounters counters_;
};

}  // namespace ledgerline::agent
