#pragma once
// The journal's values. Integers big-endian; texts and byte strings behind their length. Each is
// stored with a CRC-32C (keys.h). A decoder takes exactly what its encoder gives: Errc::corrupt for
// a value that is too short, too long or off.
//
//   totals   := count[2] { meter[4] length[1] sum[length] }   sum as in the manifest's Total
//   state    := next_seq[8] sealed_next_seq[8] next_batch[8] head_id[32] acked_upto[8]
//               receipt_number[8] status[1] totals sealed_totals sealed_meter_table[4] boot_id[16]
//               has_anchor[1] monotonic[8] wall[8] synchronised[1] has_promised[1] promised[8]
//               heartbeat_number[8] first_run[8] next_run[8] unsealed_records[8]
//               unsealed_bytes[8] oldest_batch[8] oldest_skeleton[8] series_count[8]
//               next_key_list[8] has_coarse[1] coarse_first_seq[8] coarse_bytes[8]
//   meters   := number[4] count[2] { number[4] text text scale[1] kind[1] version[4] ids[1] }
//   text     := length[2] bytes
//   run      := first_seq[8] readings[4] records[2] section   section to the end
//   skeleton := id[32] first_seq[8] last_seq[8] sealed_at[8] totals
//   fresh    := hour[4] { hash[16] first_seq[8] count[4] }   one for an event, more for a request
//   packs    := next_id[8] first_fresh[8] count[2] { id[8] entries[8] from[4] to[4] last_seq[8] }
//               has_merge[1] [ first[2] count[2] output[8] entries[8]
//               has_written[1] hash[16] ] count[2] { doomed[8] }
//   key clock := at[8] read_at[8]
//   dropped  := from[8] at[8] run           the run has records only
//   log      := epoch[4] size[8] note count[1] { note } has_conflict[1]
//               [ epoch[4] at[8] text note note ]   why, held, shown
//   note     := length[4] bytes
//   boots    := text count[2] { run[8] first_seq[8] }   of the machine; those that wait for a time

#include <array>
#include <optional>
#include <vector>

#include "agent/core/checkpoint_watch.h"
#include "agent/core/recorder.h"
#include "agent/core/retention.h"
#include "agent/journal/key_blocks.h"
#include "common/columns.h"
#include "common/envelope.h"
#include "common/messages.h"

namespace ledgerline::agent {

/// The stream as of the last commit: the only state that the journal keeps in memory.
struct StreamState {
  Seq next_seq = 1;
  Seq sealed_next_seq = 1;  // the first seq that no batch holds
  BatchNumber next_batch = 1;
  BatchId head_id;  // the grant's id before batch 1
  BatchNumber acked_upto = 0;
  uint64_t receipt_number = 0;
  StreamStatus status = StreamStatus::open;
  Totals totals;
  Totals sealed_totals;  // after reading sealed_next_seq - 1
  uint32_t sealed_meter_table = 0;
  BootId boot_id;
  std::optional<ClockAnchor> anchor;  // of this boot
  std::optional<Timestamp> promised;
  uint64_t heartbeat_number = 0;
  uint64_t first_run = 1;  // runs [first_run, next_run) are not sealed
  uint64_t next_run = 1;
  uint64_t unsealed_records = 0;
  uint64_t unsealed_bytes = 0;
  BatchNumber oldest_batch = 1;
  BatchNumber oldest_skeleton = 1;
  uint64_t series_count = 0;
  uint64_t next_key_list = 1;  // number of the next list of fresh idempotency keys
  /// The newest run, while readings are merged into it because the journal is full. It is not
  /// sealed, and not among unsealed_records and unsealed_bytes.
  struct CoarseRun {
    Seq first_seq = 1;
    uint64_t bytes = 0;
    friend bool operator==(const CoarseRun&, const CoarseRun&) = default;
  };
  std::optional<CoarseRun> coarse;
  friend bool operator==(const StreamState&, const StreamState&) = default;
};

struct StoredRun {
  Seq first_seq = 1;
  uint32_t readings = 0;
  uint16_t records = 0;
  ByteView section;
};

struct Skeleton {
  BatchId id;
  Seq first_seq = 1;
  Seq last_seq = 0;
  Timestamp sealed_at;
  Totals totals;
  friend bool operator==(const Skeleton&, const Skeleton&) = default;
};

/// What a tombstone says of the batches up to oldest_batch - 1, beside what their skeletons say.
struct Dropped {
  Timestamp from;  // when the first of them was sealed; a diagnostic one: the first without receipt
  Timestamp at;    // when the last of them was forgotten
  StoredRun records;  // the newest boot record among them, and the newest clock anchor since
};

/// The machine's boot as the kernel names it ("": unknown), and the boots of the agent in it that
/// have no clock anchor yet, in order. What they recorded is not sealed.
struct Boots {
  struct Waiting {
    uint64_t run = 0;  // of its boot record
    Seq first_seq = 1;
    friend bool operator==(const Waiting&, const Waiting&) = default;
  };
  /// Older ones go on without a time.
  static constexpr size_t kWaitingMax = 256;
  std::string machine;
  std::vector<Waiting> waiting;
  friend bool operator==(const Boots&, const Boots&) = default;
};

/// The idempotency keys of one commit.
struct FreshKeyList {
  Hour hour = 0;
  std::vector<KeyEntry> entries;
  friend bool operator==(const FreshKeyList&, const FreshKeyList&) = default;
};

namespace values {

inline constexpr uint32_t kFormat = 2;

Bytes encode_format(uint32_t format);
Bytes encode(const StreamState& state);
Bytes encode(const MeterTable& table);
Bytes encode(const StoredRun& run);
Bytes encode(const Skeleton& skeleton);
Bytes encode(const FreshKeyList& list);
Bytes encode(const KeyPacks& packs);
Bytes encode(const KeyClock& key_clock);
Bytes encode(const Dropped& dropped);
Bytes encode(const LogSightings& sightings);
Bytes encode(const Boots& boots);
Bytes encode_raw(int64_t raw);

Result<uint32_t> decode_format(ByteView bytes);
Result<StreamState> decode_state(ByteView bytes);
Result<MeterTable> decode_meters(ByteView bytes);
/// section views into `bytes`.
Result<StoredRun> decode_run(ByteView bytes);
Result<Skeleton> decode_skeleton(ByteView bytes);
Result<FreshKeyList> decode_fresh_keys(ByteView bytes);
Result<KeyPacks> decode_key_packs(ByteView bytes);
Result<KeyClock> decode_key_clock(ByteView bytes);
/// records.section views into `bytes`.
Result<Dropped> decode_dropped(ByteView bytes);
Result<LogSightings> decode_log_sightings(ByteView bytes);
Result<Boots> decode_boots(ByteView bytes);
Result<int64_t> decode_raw(ByteView bytes);

}  // namespace values
}  // namespace ledgerline::agent
