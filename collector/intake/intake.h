#pragma once
// The collector's side of the broker. Messages are handed to the storage thread in groups: all that
// came while the last group was being committed share the next transaction. Lives on the context's
// thread; decides nothing (custody.h does).
//
// Memory: at most the queue's limits plus one group. What does not fit is dropped and counted:
// without a receipt the agents send it again.

#include <deque>
#include <functional>
#include <memory>

#include "collector/intake/custody.h"
#include "common/io/mqtt.h"
#include "common/io/runtime.h"

namespace ledgerline::collector {

struct IntakeOptions {
  io::MqttOptions broker;       // host, port, tls; identity, subscriptions and session are set here
  std::string checkpoint_file;  // custody.h
  std::chrono::seconds session_expiry = std::chrono::hours(24);
  size_t queue_count_max = 8192;
  size_t queue_bytes_max = 64 << 20;
  size_t group_count_max = 512;
  size_t group_bytes_max = 8 << 20;
};

struct IntakeStatus {
  bool connected = false;
  std::string connection_failure;  // in plain words; empty while connected
  uint64_t connects = 0;
  uint64_t connection_failures = 0;
  size_t queued = 0;
  size_t queued_bytes = 0;
  uint64_t queue_dropped = 0;
  uint64_t groups = 0;
  uint64_t publishes_failed = 0;  // receipts and answers that the broker did not take
  CustodyCounters custody;        // as after the last group
};

class Intake {
 public:
  /// `on_linked` runs on the context's thread after a group that grew the evidence log, with the
  /// next leaf number.
  Intake(io::Runtime& runtime, Clock& clock, Store& store, Signer& signer, IntakeOptions options,
         const io::MqttFactory& factory, std::function<void(LeafNumber)> on_linked);
  ~Intake();

  void start();
  void stop();
  [[nodiscard]] IntakeStatus status() const;

 private:
  struct Worked {
    Result<std::vector<Outbound>> published;
    CustodyCounters counters;
    LeafNumber next_leaf = 0;
  };

  void on_message(io::MqttMessage message);
  void next_group();
  void work(std::vector<Arrival> group, bool first);
  void done(Worked worked);

  io::Runtime& runtime_;
  Clock& clock_;
  IntakeOptions options_;
  io::MqttFactory factory_;
  std::function<void(LeafNumber)> on_linked_;
  /// Shared with the group on the storage thread, which may outlive this object at the end of the
  /// process.
  std::shared_ptr<Custody> custody_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<io::MqttClient> mqtt_;
  std::deque<Arrival> queue_;
  bool working_ = false;
  LeafNumber next_leaf_ = 0;
  IntakeStatus status_;
};

}  // namespace ledgerline::collector
