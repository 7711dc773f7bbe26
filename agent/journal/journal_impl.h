#pragma once
// What the journal's parts share (journal.cpp: opening, boot, receipts, heartbeat;
// journal_clock.cpp, journal_record.cpp, journal_keys.cpp, journal_coarse.cpp, journal_seal.cpp,
// journal_trim.cpp, journal_drop.cpp; journal_upgrade.cpp: what an older agent left).
// Nothing outside this folder includes it.
//
// Each change follows one pattern: copy the state, change the copy, put it with everything else
// into one transaction, commit, and only then keep the copy. So a transaction that is given up
// leaves memory and disk as they were.

#include <optional>
#include <string>

#include "agent/core/promise.h"
#include "agent/journal/file_space.h"
#include "agent/journal/journal.h"
#include "agent/journal/keys.h"
#include "agent/journal/tables.h"
#include "agent/journal/values.h"
#include "common/io/file_lock.h"

namespace ledgerline::agent {

/// Adds a boot that has no anchor; of too many the oldest goes on without a time.
void wait_for_time(Boots& boots, const Boots::Waiting& boot);

struct Journal::Impl {
  Impl(JournalOptions options_in, Clock& clock_in, io::LmdbEnv env_in,
       std::optional<io::FileLock> lock_in)
      : options(std::move(options_in)),
        clock(clock_in),
        lock(std::move(lock_in)),
        env(std::move(env_in)) {}

  JournalOptions options;
  Clock& clock;
  std::optional<io::FileLock> lock;  // nothing for a reader
  io::LmdbEnv env;
  std::optional<FileSpace> file;  // nothing for a reader

  std::optional<StreamGrant> grant;
  BatchId grant_hash;
  StreamState state;
  MeterTable meter_table;
  MeterRows meters;  // of meter_table, by number
  LogSightings log;
  KeyClock key_clock;  // as of opening
  FreshKeys fresh;
  KeyPacks packs;  // as stored last
  bool keys_turn = false;
  mutable CheckedBlocks checks;
  uint64_t keys_since_slice = 0;  // recorded since the last slice of a merge
  bool booted = false;
  bool commit_failed = false;  // nobody knows what it left: nothing more is written
  uint64_t damaged_forgotten = 0;
  uint64_t seals_put_off = 0;
  PromiseClock promise_clock;  // of this process
  Timestamp floor;             // the newest time that the collector signed
  Boots boots;                 // as stored last
  ClockDoubt doubt;
  Monotonic unsealed_since;  // at the latest the time of the oldest unsealed run

  Status load(const io::LmdbTxn& txn);
  void keep_meters(MeterTable table);
  /// Where there is none that can be read, the newest list of keys says how late it is at least.
  [[nodiscard]] Result<KeyClock> load_key_clock(const io::LmdbTxn& txn) const;
  [[nodiscard]] KeyClock key_clock_now() const { return advanced(key_clock, clock.monotonic()); }
  [[nodiscard]] Status must_be_booted() const;
  [[nodiscard]] Result<Space> space();
  [[nodiscard]] Unsealed unsealed() const;
  Result<JournalStatus> status();

  /// The run with the number next.next_run; counts it into `next`. Ends coarsening: only the newest
  /// run can be merged into.
  Status put_run(io::LmdbTxn& txn, const Columns& run, StreamState& next) const;
  /// And the key clock, so that it goes on from here after a restart.
  Status put_state(io::LmdbTxn& txn, const StreamState& next) const;
  Status load_clock(const io::LmdbTxn& txn);
  /// The newest anchor, where it is of this boot of the machine.
  [[nodiscard]] std::optional<ClockAnchor> anchor_of(const std::string& machine) const;
  /// Those that still wait when the agent boots: none where the machine did too.
  [[nodiscard]] Boots boots_of(const std::string& machine) const;
  /// Puts the anchor behind the boot record of each.
  Status place(io::LmdbTxn& txn, const std::vector<Boots::Waiting>& waiting,
               const ClockAnchor& anchor, StreamState& next) const;
  /// Of the newest boot.
  Status put_anchor(const ClockAnchor& anchor);
  [[nodiscard]] ClockStatus clock_status() const;

  /// For what takes new pages; the last ones are for forgetting. Errc::full.
  Result<io::LmdbTxn> begin_growing();
  /// `change`, and once more after trimming where there was no page left for it.
  template <typename Change>
  auto with_room(const Change& change) -> decltype(change()) {
    auto first = change();
    if (first || first.error().code() != Errc::full) return first;
    for (bool more = true; more;) {
      TRY(const Space now, space());
      TRY(more, make_space(now));
    }
    return change();
  }
  /// Commits a transaction that holds `next`, and keeps it.
  Status commit(io::LmdbTxn txn, StreamState next);

  Result<std::vector<RecordResult>> put_group(io::LmdbTxn& txn,
                                              std::span<const RecordRequest> requests,
                                              FreshKeys& pending, StreamState& next) const;
  [[nodiscard]] RecorderState recorder_state(const StreamState& next) const;
  /// Last raw counters and totals of what was planned.
  Status put_counters(io::LmdbTxn& txn, const RecordPlan& plan, StreamState& next) const;
  static Status put_bookmarks(io::LmdbTxn& txn, std::span<const RecordRequest> requests,
                              const std::vector<RecordResult>& answers);
  /// As many requests from the front as fit one run; one answer for each.
  Status record_chunk(io::LmdbTxn& txn, std::span<const RecordRequest> requests, FreshKeys& pending,
                      StreamState& next, std::vector<RecordResult>& answers) const;

  Status load_packs(const io::LmdbTxn& txn);
  Status load_fresh_keys(const io::LmdbTxn& txn);
  /// Of a damaged row what is left.
  void load_fresh_row(const io::LmdbCursor::Entry& row);
  [[nodiscard]] std::optional<Hour> oldest_key_hour() const;
  /// `pending`: of this transaction, to be added to `fresh` once it is committed.
  Status put_keys(io::LmdbTxn& txn, const RecordPlan& plan, FreshKeys& pending,
                  StreamState& next) const;
  [[nodiscard]] KeyWork key_work(const Space& now) const;
  Status tidy_keys(KeyWork work);
  /// False where there is none, or no page for it.
  Result<bool> do_key_work(const Space& now);
  Status pack_fresh();
  Status merge_slice(KeyPacks next);
  Status give_up_key_merge();
  Status remove_doomed_slice();
  Status forget_oldest_keys(Hour before);
  Status commit_packs(io::LmdbTxn txn, KeyPacks next);

  Status put_coarse(std::span<const RecordRequest> urgent, std::vector<RecordResult>& answers);
  /// For a full journal: what can wait is refused with `why`, the rest is merged.
  Result<std::vector<RecordResult>> record_coarse(std::span<const RecordRequest> requests,
                                                  const Space& space, const Error& why);
  /// False where it did not fit: `next` is as it was.
  Result<bool> coarsen_chunk(io::LmdbTxn& txn, std::span<const RecordRequest> requests,
                             StreamState& next, std::vector<RecordResult>& answers) const;
  Result<Columns> open_coarse_run(const io::LmdbTxn& txn, const StreamState& state) const;
  /// The coarse run becomes an ordinary one where there is room again.
  Status end_coarsening_where_room();

  /// Behind the last run that may be sealed.
  [[nodiscard]] uint64_t sealing_end() const;
  /// One batch from the oldest runs, or several where it comes out too large. Returns how many.
  Result<size_t> seal_runs(Signer& signer);
  Result<Columns> take_runs(io::LmdbTxn& txn, StreamState& next) const;
  Status put_batches(io::LmdbTxn& txn, const Columns& columns, Signer& signer, StreamState& next,
                     size_t& batches) const;

  Result<bool> trim();
  /// One slice of forgetting; false: nothing may go, or there is no page left to do it with.
  Result<bool> make_space(const Space& now);
  [[nodiscard]] Result<TrimStep> next_trim_step(const Space& now);
  Status trim_slice(const TrimStep& step);
  Result<Holdings> holdings() const;
  static Result<Skeleton> skeleton_of(const io::LmdbTxn& txn, BatchNumber number);
  void forget_damaged(ByteView key, const Error& error);
  Status trim_batches(const TrimStep& step);
  /// From next.oldest_batch on, noting what a tombstone for them would say.
  Status forget_batches(io::LmdbTxn& txn, const TrimStep& step, StreamState& next);
  Status trim_skeletons(const TrimStep& step);
  /// The first that is stored from `number` on, or next_batch: tombstones leave gaps.
  [[nodiscard]] Result<BatchNumber> next_skeleton(const io::LmdbTxn& txn, BatchNumber number) const;

  [[nodiscard]] bool may_drop() const {
    return grant && grant->stream_class == StreamClass::diagnostic;
  }
  /// Whether batches without a receipt were given up: acked_upto + 1 to oldest_batch - 1.
  [[nodiscard]] bool has_tombstone() const { return state.oldest_batch > state.acked_upto + 1; }
  /// For what is forgotten behind `after`: up to oldest_batch - 1.
  [[nodiscard]] Result<StoredBatch> tombstone(const io::LmdbTxn& txn, BatchNumber after) const;
  Status begin_tombstone(const io::LmdbTxn& txn, BatchNumber after, Tombstone& out) const;
  [[nodiscard]] Result<Seq> dropped_readings(const io::LmdbTxn& txn) const;
  /// Follows the records of a batch that is about to be given up.
  void note_records(ByteView sealed, Columns& records) const;
  /// Of what was forgotten so far; `from` is left where that was nothing.
  [[nodiscard]] Result<Columns> noted_records(const io::LmdbTxn& txn,
                                              std::optional<Timestamp>& from) const;
  /// What retention decides by of a journal that may drop.
  Status add_droppable(const io::LmdbTxn& txn, Holdings& held) const;
  /// Gives up batches until there is room to record, or nothing more to give up.
  Status make_room();
};

/// Into a pack; those of a call go behind those of the last one.
Status put_key_blocks(io::LmdbTxn& txn, uint64_t pack, std::span<const KeyEntry> sorted);

Status put_packs(io::LmdbTxn& txn, const KeyPacks& packs);

/// Where what has this key was recorded; empty: in no pack.
Result<std::vector<SeqRange>> find_in_packs(const io::LmdbTxn& txn, const KeyPacks& packs,
                                            const KeyHash& hash, CheckedBlocks& checks,
                                            Seq next_seq);

/// Rewrites what an agent of format 1 left, in small transactions; it may be interrupted. Returns
/// how many damaged values lost something. `steps`: transactions at most, for tests.
Result<uint64_t> upgrade(io::LmdbEnv& env, size_t steps = SIZE_MAX);

/// The coarse run, if there is one, becomes an ordinary run.
void end_coarsening(StreamState& state);
std::vector<RecordResult> refuse_all(size_t count, const Error& why);

}  // namespace ledgerline::agent
