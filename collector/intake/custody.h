#pragma once
// Takes custody of what devices send: checks it (reliability.md 1.4), and holds a whole group in
// one transaction before it answers for any of it. Called on the storage thread; waits for nothing
// but the store.
//
// The invariant: what is published here is durable. A receipt is stored with the batches it covers
// and leaves after the commit; bytes that fail a check are kept apart, within a budget, and are
// never answered.

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "collector/core/linkage.h"
#include "collector/core/recovery.h"
#include "collector/intake/log_epoch.h"
#include "collector/store/store.h"
#include "common/crypto.h"
#include "common/topics.h"

namespace ledgerline::collector {

struct Arrival {
  std::string topic;
  Bytes payload;
  Timestamp received_at;
};

struct Outbound {
  std::string topic;
  Bytes payload;
  bool retained = false;
};

/// Why bytes were refused; the words are stored with them.
enum class Refusal : uint8_t {
  bad_topic,
  too_large,
  not_readable,
  unknown_format,
  unknown_device,
  unknown_stream,
  foreign_topic,
  wrong_key,
  revoked_key,
  bad_signature,
  billing_tombstone,
};
inline constexpr size_t kRefusals = 11;
std::string_view to_string(Refusal refusal);

struct CustodyCounters {
  uint64_t batches = 0;      // and tombstones; each ends in one of the next seven, or is refused
  uint64_t batch_bytes = 0;  // of the same, as they came over the wire
  uint64_t linked = 0;
  uint64_t tombstones = 0;  // of the linked
  uint64_t duplicates = 0;
  uint64_t parked = 0;
  uint64_t forked = 0;
  uint64_t kept_frozen = 0;
  uint64_t dropped = 0;
  uint64_t linked_from_parked = 0;
  uint64_t receipts = 0;
  uint64_t heartbeats = 0;
  uint64_t heartbeats_stale = 0;
  uint64_t resumes = 0;
  uint64_t rollbacks = 0;  // resumes answered with "rollback"; a replayed resume counts too
  uint64_t behind_agent =
      0;  // resumes that show more than we hold: this store was restored from a backup
  uint64_t checkpoints = 0;         // shown to devices that asked
  uint64_t checkpoints_failed = 0;  // could not be made: the log says why
  uint64_t epochs_begun = 0;        // because a device, or the file beside the store, proved a loss
  uint64_t introduced = 0;          // streams let in by their grant, in recover mode
  uint64_t unknown_streams = 0;     // introductions that were not let in
  uint64_t quarantine_full = 0;     // refused, counted, not kept: the device's budget is used up
  std::array<uint64_t, kRefusals> refused{};
  /// As read from the store a second ago at most while messages come.
  Recovering recovering;
  bool recover_mode = false;
  uint32_t log_epoch = 0;      // of the evidence log
  bool rating_halted = false;  // nobody has looked at that epoch yet
};

class Custody {
 public:
  /// Up to here an agent's word is taken for the newest receipt's number. Beyond it lies nothing
  /// that was issued, and below it lies room that no stream uses up.
  static constexpr uint64_t kReceiptNumberMax = uint64_t{1} << 62;

  /// `checkpoint_file` keeps the newest checkpoint that a device was shown, outside of the store:
  /// empty: nowhere.
  Custody(Store& store, Signer& signer, Clock& clock, std::string checkpoint_file = {})
      : store_(store),
        signer_(signer),
        clock_(clock),
        checkpoint_file_(std::move(checkpoint_file)) {
    random_bytes(challenge_secret_);
  }

  /// At start: where the store lacks what the file's checkpoint says, it was put back from an older
  /// copy, and another epoch of the log begins before anything is shown to anybody.
  Status compare_with_checkpoint_file();

  /// Everything that is to be published, in order. An Error means that the store failed: the
  /// process ends.
  Result<std::vector<Outbound>> accept(const std::vector<Arrival>& group);
  /// At start: what an older version could not read is offered again.
  Result<std::vector<Outbound>> offer_unknown_formats_again();

  [[nodiscard]] const CustodyCounters& counters() const { return counters_; }
  /// Where the evidence log ended after the last group that linked something.
  [[nodiscard]] LeafNumber next_leaf() const { return next_leaf_; }

 private:
  struct Checked {
    StreamId stream;
    ChainedBatch batch;
    std::optional<Digest> tombstone;  // its id, where it is one
    const Arrival* arrival = nullptr;
  };
  struct StreamGroup {
    Topic topic;
    std::vector<Checked> batches;  // in the order of arrival
  };
  struct Decided {
    StreamRow row;  // as it was read
    AdmitChange change;
    Linkage linkage;
    bool changed = false;
    uint64_t tombstones = 0;  // linked
  };
  /// Rows as read for this group; another process may change them between two groups.
  struct Cache {
    std::map<StreamId, std::optional<StreamRow>> streams;
    std::map<std::pair<std::string, std::string>, std::optional<DeviceRow>> devices;
  };
  template <class T>
  using Checking = tl::expected<T, Refusal>;
  template <class T>
  using Outcome = Result<Checking<T>>;  // outside: the store failed; inside: the input is refused

  Outcome<Checked> check_batch(const Arrival& arrival, const Topic& topic, Cache& cache);
  Outcome<Checked> check_tombstone(const SignedMessage& message, const Arrival& arrival,
                                   const Topic& topic, Cache& cache);
  Outcome<const StreamRow*> check_stream(const StreamId& stream, const KeyId& key,
                                         const Topic& topic, Timestamp received_at, Cache& cache);
  Result<PublicKey> stream_key(const StreamRow& row, Cache& cache);
  Status take_batches(const std::map<StreamId, StreamGroup>& groups, std::vector<Outbound>& out);
  static Decided as_it_is(StreamRow row);
  /// A fork proves that the device's key or image is in two hands: its other streams are frozen in
  /// the same transaction.
  Status quarantine_forked_devices(std::map<StreamId, Decided>& decisions);
  Result<Decided> decide(const StreamGroup& group, const StreamRow& row);
  Result<LinkageState> linkage_state(const StreamGroup& group, const StreamRow& row);
  Status add_receipt(const StreamRow& row, const Linkage& linkage, AdmitChange& change);
  void count(const Decided& decided);
  Result<ForkFacts> fork_facts(const StreamGroup& group, const Linkage& linkage,
                               const StreamRow& row);
  /// Into `newest`, unless the group holds a newer one of the stream. Where it shows that the
  /// device has yet to learn what was lost here, it is told.
  Status take_heartbeat(const Arrival& arrival, const Topic& topic, Cache& cache,
                        std::map<StreamId, HeartbeatPut>& newest, std::vector<Outbound>& out);
  /// A device whose stream is not here would otherwise go on with heartbeats that nobody can take.
  Status ask_who_it_is(const Heartbeat& heartbeat, const Topic& topic, std::vector<Outbound>& out);
  Status put_heartbeats(const std::map<StreamId, HeartbeatPut>& newest);
  Status take_resume(const Arrival& arrival, const Topic& topic, std::vector<Outbound>& out);
  /// Shows the device the log as it is, with the proof that it contains what the device knows.
  Status take_checkpoint_request(const SignedMessage& message, const Arrival& arrival,
                                 const Topic& topic, std::vector<Outbound>& out);
  /// Where this log does not hold what was signed, another epoch begins.
  Status account_for(std::string_view note, const std::string& whose);
  /// The same for a receipt of ours, which tells nothing about the log but when it was longer.
  Status account_for(const Receipt& lost, const StreamRow& row);
  Status count_epoch(const Result<std::optional<uint32_t>>& begun);
  /// Keeps what the resume proves about this store and about the device; the row as it is then.
  Result<StreamRow> note_resume(const Resume& resume, StreamRow row);
  Status take_introduction(const Arrival& arrival, const Topic& topic);
  /// In one transaction with the exceptions that it opens and closes; false where a row changed
  /// meanwhile.
  Result<bool> try_let_in(const Introduced& introduced, const DeviceRow* device,
                          const std::vector<StreamRow>& streams, Timestamp now);
  Status report_unknown(const StreamGrant& grant, const std::string& why, Timestamp now);
  Status read_recovery();
  Status answer(const Resume& resume, const Topic& topic, Verdict verdict, Bytes receipt,
                std::string detail, std::vector<Outbound>& out,
                std::optional<Challenge> challenge = {});
  /// Nobody can know it before it was answered, and it is good until the stream goes on or a proof
  /// with it was believed.
  [[nodiscard]] Challenge challenge_of(const StreamRow& row) const;
  /// The stream's newest receipt, numbered above `newest_issued` where that is not ours: a store
  /// that was put back from a backup numbers on from what its agents hold.
  Result<Bytes> receipt_of(StreamRow row, uint64_t newest_issued);
  Status publish_receipts(const Topic& topic, std::vector<Outbound>& out);
  Status refuse(const Arrival& arrival, Refusal refusal, Cache& cache);

  Result<const StreamRow*> stream_row(const StreamId& stream, Cache& cache);
  Result<const DeviceRow*> device_row(const std::string& tenant, const std::string& device,
                                      Cache& cache);

  Store& store_;
  Signer& signer_;
  Clock& clock_;
  std::string checkpoint_file_;
  std::string kept_checkpoint_;  // what stands there, as far as this process wrote it
  CustodyCounters counters_;
  LeafNumber next_leaf_ = 0;
  std::set<Digest>
      unknown_seen_;  // hashes of unknown formats kept already: an agent sends them again and again
  std::set<std::pair<std::string, std::string>> budget_used_up_;
  /// Streams that are not here, or lack something here: when they were made to ask.
  std::map<StreamId, Monotonic> asked_who_;
  std::map<StreamId, Monotonic> reported_;  // and when an exception was written about them
  std::optional<Monotonic> recovery_read_at_;
  std::array<uint8_t, 32> challenge_secret_{};
};

}  // namespace ledgerline::collector
