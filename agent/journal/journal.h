#pragma once
// The device's journal: what was recorded, sealed and receipted, in one LMDB environment. One
// writer process (a lock file says so), one thread: every call blocks and belongs on the storage
// thread. Keys and values: keys.h, values.h.
//
// The invariant that matters: whatever record() answered is in the file, once, with its seq,
// totals, last raw counters and idempotency keys in the same transaction; and sealed bytes never
// change. Recovery after a crash is opening. A failed commit comes back as an Error: the process
// ends and the next start opens the durable state.
//
// A journal of a diagnostic stream that is full gives up its oldest batches instead of refusing or
// merging. Those without a receipt are always the ones from acked_upto + 1 to oldest_batch - 1: one
// tombstone stands for them, and is made from what is left of them when it is to be sent. So is one
// for batches of either class that were forgotten under a receipt, where the collector lost them.

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "agent/core/anchoring.h"
#include "agent/core/batcher.h"
#include "agent/core/outgoing.h"
#include "agent/core/recorder.h"
#include "agent/core/retention.h"
#include "common/crypto.h"
#include "common/messages.h"

namespace ledgerline::agent {

enum class SealWhen { due, now };

struct JournalOptions {
  std::string folder;  // made with mode 0700 where absent; its parent must be there
  RetentionLimits retention;
  BatchLimits batch;
  Duration lateness = std::chrono::seconds(5);  // complete_through = now or the hold - lateness
  std::function<void(std::span<uint8_t>)> random = random_bytes;
  /// Free bytes on the disk of a folder; the system's where empty.
  std::function<Result<uint64_t>(const std::string&)> disk_free;
};

/// What the agent says about itself when it starts. Numbers of `meters` are ignored: the journal
/// numbers them.
struct Boot {
  BootId boot_id;
  std::string software;
  Digest configuration_hash;
  std::vector<MeterRow> meters;
  ClockAnchor clocks;        // what they show now
  std::string machine = {};  // the machine's boot as the kernel names it; empty: unknown
};

/// What the journal thinks of the wall clock.
struct ClockStatus {
  bool anchored = true;  // the agent's newest boot has a time
  ClockVerdict doubt =
      ClockVerdict::unchanged;  // why the clock is not believed; `unchanged`: it is
  Duration doubted_for{0};
  uint64_t doubts = 0;  // of this process: how often a clock began not to be believed
  Seq waiting = 0;      // readings that are sealed once there is a time
  Timestamp floor;      // the newest time that the collector signed for this stream
};

struct JournalStatus {
  bool enrolled = false;
  StreamGrant grant;
  Seq next_seq = 1;
  Seq sealed_upto = 0;  // seq
  BatchNumber head_batch = 0;
  BatchNumber acked_upto = 0;
  BatchNumber oldest_batch = 1;  // the first whose bytes are kept
  BatchNumber oldest_skeleton = 1;
  uint64_t receipt_number = 0;
  StreamStatus stream_status = StreamStatus::open;
  Totals totals;
  MeterTable meters;
  std::optional<Timestamp> promised;
  uint64_t heartbeat_number = 0;
  uint64_t used_bytes = 0;
  uint64_t quota_bytes = 0;
  uint64_t disk_free_bytes = 0;
  std::optional<Hour> oldest_key_hour;  // idempotency keys are remembered since
  uint64_t damaged_forgotten = 0;       // damaged values, of which something is forgotten
  uint64_t seals_put_off = 0;           // for lack of a free page
  bool coarsening = false;              // full: readings that cannot wait are merged
  ClockStatus clock;
  Seq dropped = 0;  // readings that a tombstone without a receipt stands for
  LogSightings log;
};

class Journal final : public Outgoing {
 public:
  /// `clock` outlives the journal. Errc::conflict where another process writes to it, Errc::config
  /// for a format that a newer agent wrote, Errc::corrupt where stored bytes do not match their
  /// checksum; for a folder that cannot be used, as of io::code_of_errno().
  static Result<std::unique_ptr<Journal>> open(JournalOptions options, Clock& clock);
  /// The state on disk, also while an agent runs on it. Errc::not_found where there is no journal.
  static Result<JournalStatus> read_status(const JournalOptions& options);
  ~Journal() override;

  /// Keeps the stream's grant: `grant` was verified and decoded from the Signed message's `body`.
  /// Once per journal; the same grant again changes nothing, another stream's is Errc::conflict.
  Status install_grant(const StreamGrant& grant, ByteView body);
  [[nodiscard]] bool enrolled() const;

  /// Once after each start, before anything is recorded: boot record, meter table where it changed,
  /// clock anchor where the clock can be believed; else nothing of this boot is sealed or promised
  /// before it can. Returns boot.meters with their numbers. Errc::config where the meters are too
  /// many.
  Result<std::vector<MeterRow>> begin_boot(const Boot& boot);
  /// What inputs had read when they were recorded last, by name.
  [[nodiscard]] Result<std::map<std::string, Bytes>> bookmarks() const;
  /// Records an anchor where `now` says something new that is believed (core/anchoring.h). The
  /// first one of a boot stands before its readings, and before those of earlier boots of the agent
  /// that wait in the same boot of the machine. Returns what is news, else `unchanged`.
  Result<ClockVerdict> observe_clocks(const ClockAnchor& now);

  /// One synced transaction for the whole group; one answer per request. A full journal refuses
  /// what can wait (Errc::full) and merges the rest; one of a diagnostic stream gives up its oldest
  /// batches first. An Error means that nothing is known to be durable.
  Result<std::vector<RecordResult>> record(std::span<const RecordRequest> requests);

  /// Seals what is due (or everything), each batch with its runs' removal in one transaction; of a
  /// long backlog that is due, a part. Returns how many batches. What finds no page left stays
  /// unsealed for another call.
  Result<size_t> seal(SealWhen when, Signer& signer);

  /// One slice of forgetting, or of packing and merging idempotency keys. True where another call
  /// would find more to do.
  Result<bool> trim();

  Result<std::vector<StoredBatch>> batches_after(BatchNumber number,
                                                 const FetchLimits& limits) override;
  Result<ReceiptOutcome> store_receipt(const Receipt& receipt, ByteView signed_bytes) override;
  Result<Heartbeat> heartbeat(std::optional<Timestamp> hold = std::nullopt) override;
  [[nodiscard]] Result<ResumeState> resume_state() const override;
  [[nodiscard]] Result<LogSightings> log_sightings() const override;
  Status keep_log_sightings(const LogSightings& sightings) override;
  [[nodiscard]] Result<JournalStatus> status() const;

 private:
  struct Impl;
  explicit Journal(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ledgerline::agent
