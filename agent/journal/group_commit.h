#pragma once
// The journal's front on the io thread: gathers requests while a commit runs on the storage thread,
// then commits them as one group. Also the journal's housekeeping: sealing and trimming after
// commits and on tick().

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "agent/journal/journal.h"
#include "common/io/runtime.h"

namespace ledgerline::agent {

struct GroupCommitOptions {
  /// Commits begin at least this far apart: each costs the disk whole pages, however little is in
  /// it. After a longer pause a request is committed at once; those behind it wait, and their
  /// answers.
  Duration commit_interval{0};
  size_t queue_requests_max = 1024;  // beyond either, record() answers Errc::retry at once
  size_t queue_readings_max = 65'536;
  size_t group_readings_max = 1024;  // of one transaction: bounds the pages that it copies
  /// Of an input with a bookmark: it is behind, and reads on when this is recorded.
  size_t catch_up_readings = 128;
};

/// Decides when a group starts: when the interval is over, or earlier where as many wait as a group
/// takes, or an input catches up. Pure: time comes in.
class GroupGate {
 public:
  explicit GroupGate(const GroupCommitOptions& options) : options_(options) {}
  /// False where the queue is full.
  [[nodiscard]] bool admits(const RecordRequest& request) const;
  void enqueue(const RecordRequest& request);
  /// Nothing: wait for the commit in flight or for requests. Else how long to wait (0: start now).
  [[nodiscard]] std::optional<Duration> start_in(Monotonic now) const;
  /// How many requests from the front the group takes; it is in flight until end().
  size_t begin(Monotonic now);
  void end() { in_flight_ = false; }
  [[nodiscard]] bool in_flight() const { return in_flight_; }
  [[nodiscard]] size_t requests() const { return sizes_.size(); }

 private:
  GroupCommitOptions options_;
  std::deque<size_t> sizes_;  // readings of each waiting request
  size_t readings_ = 0;
  std::optional<Monotonic> begun_;  // the last group
  bool catching_up_ = false;
  bool in_flight_ = false;
};

struct GroupCommitCounters {
  uint64_t groups = 0;
  uint64_t readings = 0;
  uint64_t duplicates = 0;
  uint64_t refused = 0;      // requests with wrong input
  uint64_t pushed_back = 0;  // requests answered Errc::retry (queue) or Errc::full (space)
  uint64_t batches_sealed = 0;
  uint64_t queued_requests = 0;
};

/// All members on the io thread. Outlives every request handed in; `journal` is touched on the
/// storage thread only.
class GroupCommit final : public RecordPort {
 public:
  /// `failed` is called once when storage failed: requests in flight get no answer, and the caller
  /// ends the process.
  GroupCommit(io::Runtime& runtime, Clock& clock, Journal& journal, Signer& signer,
              GroupCommitOptions options, std::function<void(const Error&)> failed);
  ~GroupCommit() override;

  void record(RecordRequest request, std::function<void(RecordResult)> done) override;
  /// After the runtime's end, on the caller's thread: records what still waits and cannot be asked
  /// for again. Nobody is answered.
  void record_the_rest();
  /// Seals by age and trims; call it every second or so.
  void tick();
  /// Called after batches were sealed, so that the uplink looks for them at once.
  void on_sealed(std::function<void()> action);
  [[nodiscard]] GroupCommitCounters counters() const;

 private:
  struct Impl;
  std::shared_ptr<Impl>
      impl_;  // shared with the timer and storage callbacks that may still be queued
};

}  // namespace ledgerline::agent
