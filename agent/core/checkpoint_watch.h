#pragma once
// What a device has seen of the collector's evidence log, whether what it is shown now is the same
// log grown, and when it asks again. Pure; the uplink asks, the journal keeps.
//
// The invariant: the newest checkpoint is one that the pinned collector key signed, and nothing
// replaces it but a later one that is proven to contain it, or one of a later epoch. What
// contradicts it is kept beside it: two notes with the collector's signature are the proof.

#include <optional>
#include <string>
#include <vector>

#include "common/checkpoint.h"
#include "common/messages.h"

namespace ledgerline::agent {

struct LogSightings {
  static constexpr size_t kEarlierMax = 4;

  std::string newest;  // signed note; empty: none yet
  uint32_t epoch = 0;  // of it, like the size
  uint64_t size = 0;
  std::vector<std::string> earlier;  // the last note of each epoch before, oldest first

  struct Conflict {
    uint32_t epoch = 0;
    std::string held;   // what stood here as the newest
    std::string shown;  // what contradicts it
    std::string why;
    Timestamp at;
    friend bool operator==(const Conflict&, const Conflict&) = default;
  };
  std::optional<Conflict> conflict;  // the first of its epoch

  /// The collector contradicts itself in the epoch that it is in: whatever proves readings is kept.
  /// Another epoch ends that, because its beginning has to be accounted for by an operator.
  [[nodiscard]] bool keep_evidence() const { return conflict && conflict->epoch == epoch; }
  friend bool operator==(const LogSightings&, const LogSightings&) = default;
};

enum class Sighting {
  first,
  same,
  grown,
  new_epoch,
  conflict,  // `why` says how the log contradicts what was held
};

struct CheckpointVerdict {
  Sighting sighting = Sighting::same;
  std::string why;
  LogSightings next;  // what is to be kept; equal to what was held where there is nothing new
};

/// `answer` is to the question that said `held.size`; its own signature was verified. Errc::corrupt
/// where the note is no checkpoint of the collector's: it says nothing then.
Result<CheckpointVerdict> judge_checkpoint(const LogSightings& held, const CheckpointAnswer& answer,
                                           const PublicKey& collector_key, Timestamp now);

/// Once after each connect and then every hour, whether or not an answer came; and where the
/// collector did not know the stream, because it answers nothing about the log then.
class CheckpointSchedule {
 public:
  static constexpr Duration kPeriod = std::chrono::hours(1);
  static constexpr Duration kGap = std::chrono::minutes(1);  // also where connections come and go

  void on_connected(Monotonic now);
  void on_disconnected() { due_.reset(); }
  void on_unknown(Monotonic now) { on_connected(now); }
  /// True where it is time to ask: it counts as asked then.
  bool ask(Monotonic now);
  /// When to call ask() again; nothing while not connected.
  [[nodiscard]] std::optional<Monotonic> due() const { return due_; }

 private:
  std::optional<Monotonic> asked_;
  std::optional<Monotonic> due_;
};

}  // namespace ledgerline::agent
