#pragma once
// Decides what the journal may forget, and when inputs are pushed back (reliability.md 1.3). Pure.
//
// Never evicted: billing readings that no receipt covers. Given up in this order when space is
// needed: receipted batches from the oldest, then skeletons (number, id, totals) of batches below
// the receipt, which the collector holds as well, then idempotency keys from the oldest pack:
// without them a repeated event counts twice. The same goes for the room that merging packs of keys
// takes (key_packs.h), a tenth of the quota at most; where readings need it, the merge is given up
// before any key. With room, skeletons stay 24 months. A diagnostic
// stream goes on from there: its oldest batches go too, and a tombstone says so. Its keys go with
// the readings that they are for: what it has room for is the newest readings and their keys.

#include <optional>

#include "common/ids.h"
#include "common/result.h"
#include "common/time.h"

namespace ledgerline::agent {

struct RetentionLimits {
  uint64_t quota_bytes = uint64_t{256} << 20;
  /// Beyond the quota, for sealing, receipts and heartbeats while the inputs are refused.
  uint64_t reserve_bytes = uint64_t{8} << 20;
  /// Inputs are refused where the disk has less than this left and the file has little room inside.
  uint64_t disk_free_min = uint64_t{16} << 20;
  Duration idempotency_window = std::chrono::hours(7 * 24);
  /// The shortest window that a lack of space may leave.
  Duration idempotency_window_min = std::chrono::hours(1);
  Duration skeleton_age = std::chrono::hours(730 * 24);
  size_t slice_keys = 256;
};

/// The address space that a journal of these limits takes: quota, reserve, and a mebibyte because
/// forgetting copies pages before it frees any; whole pages.
uint64_t map_bytes(const RetentionLimits& limits);

/// Hours since 1970 by KeyClock: the buckets of idempotency keys.
using Hour = uint32_t;
Hour hour_of(Timestamp t);
Timestamp start_of(Hour hour);

/// The clock by which idempotency keys age. It begins at the wall clock's time and then counts the
/// time that the machine runs: a wall clock that is set forward (no battery, NTP after the start)
/// would otherwise age every key at once, and an event that is sent again would count twice.
struct KeyClock {
  Timestamp at;
  Monotonic read_at;
  friend bool operator==(const KeyClock&, const KeyClock&) = default;
};
/// Never ahead of real time: the monotonic clock begins at 0 when the machine starts, so what it
/// shows more than before has passed, and where it shows less nothing is added.
KeyClock advanced(const KeyClock& last, Monotonic now);

struct Space {
  uint64_t used_bytes = 0;   // pages in use
  uint64_t file_bytes = 0;   // of the journal's file: what it has beyond used_bytes is room inside
  uint64_t ahead_bytes = 0;  // of disk held for the file beyond its end
  uint64_t disk_free_bytes = 0;
};

/// Bytes that may be taken before next_trim() forgets something for readings.
uint64_t room_before_trimming(const Space& space, const RetentionLimits& limits);

/// Errc::full says which of the two is short.
Status may_record(const Space& space, const RetentionLimits& limits);
/// Where may_record() refuses: half of the reserve is for what cannot wait, the rest for sealing,
/// receipts and heartbeats.
Status may_coarsen(const Space& space, const RetentionLimits& limits);

struct Holdings {
  BatchNumber oldest_batch = 1;  // the first whose sealed bytes are kept
  BatchNumber acked_upto = 0;
  std::optional<Hour> oldest_key_hour;  // by KeyClock: of the newest key of the oldest pack
  Timestamp key_time;                   // KeyClock::at now
  BatchNumber oldest_skeleton = 1;
  std::optional<Timestamp> oldest_skeleton_sealed_at;
  /// The newest sealed batch of a diagnostic stream; 0: nothing may go without a receipt.
  BatchNumber droppable_upto = 0;
  Seq oldest_batch_seq = 1;               // of a diagnostic stream: the first of oldest_batch
  std::optional<Seq> oldest_key_seq;      // and the last that the oldest pack of keys there is for
  uint64_t merge_bytes = 0;               // MergeRoom::wanted
  std::optional<uint64_t> merging_bytes;  // MergeRoom::needed, of a merge that is under way
  /// The collector's log contradicts itself (checkpoint_watch.h): nothing goes for lack of room or
  /// for its age, only idempotency keys beyond their window.
  bool keep_evidence = false;
};

enum class Trim {
  nothing,
  expired_keys,  // the oldest pack of idempotency keys, which is beyond the window
  batches,       // sealed bytes up to `batches_upto`, oldest first, until `bytes` are free
  keys_early,    // the same, still in the window: space is short. Of a diagnostic stream also a
                 // younger one whose readings are gone
  skeletons,     // below acked_upto: beyond skeleton_age, or of any age where space is short
  merge,         // what a merge of packs has written so far
  unreceipted,   // batches that no receipt covers, oldest first: a tombstone stands for them
};

struct TrimStep {
  Trim what = Trim::nothing;
  Hour keys_before = 0;                    // expired_keys, keys_early: older than it
  BatchNumber batches_upto = 0;            // batches, skeletons, unreceipted: the last that may go
  uint64_t bytes = 0;                      // batches, unreceipted: enough when this many are freed
  std::optional<Timestamp> sealed_before;  // skeletons; nothing: whatever their age
};

/// The next slice of work: one transaction of at most limits.slice_keys deletions.
TrimStep next_trim(Timestamp now, const Space& space, const Holdings& holdings,
                   const RetentionLimits& limits);

}  // namespace ledgerline::agent
