#pragma once
// The uplink's side of the journal: what is to be sent, and what the collector said. Every call
// blocks and belongs on the storage thread (io::storage_call); memory is bounded by the limits
// given.

#include <optional>
#include <vector>

#include "agent/core/checkpoint_watch.h"
#include "common/messages.h"

namespace ledgerline::agent {

struct StoredBatch {
  BatchNumber number = 0;
  BatchId id;
  Bytes sealed;  // sent as it is; of a tombstone the body, which is signed when it is sent
  /// Not 0: a tombstone that stands for the batches from here to `number`.
  BatchNumber tombstone_from = 0;
};

struct FetchLimits {
  size_t batches_max = 20;
  size_t bytes_max = size_t{2} << 20;  // at least one batch is given, whatever its size
};

/// What a restart or a reconnect needs to know.
struct ResumeState {
  StreamId stream;
  uint8_t partition = 0;
  BatchNumber head_batch = 0;  // newest sealed batch; 0: none
  BatchId head_id;             // the grant's id where head_batch is 0
  BatchNumber acked_upto = 0;
  uint64_t receipt_number = 0;
  StreamStatus status = StreamStatus::open;
  Bytes receipt;  // Signed, the newest stored; empty: none yet
};

enum class ReceiptOutcome {
  stored,    // news: acked_upto and number are durable
  repeated,  // the one that is stored already
  older,     // a lower number; ignored
  /// Linked up to a batch that was given up together with its id, by a tombstone that the collector
  /// does not have yet: nothing was compared, nothing stored.
  unproven,
};

class Outgoing {
 public:
  virtual ~Outgoing() = default;

  /// Sealed batches with numbers above `number`, ascending, without holes. Where some of them are
  /// not kept any more (given up, or forgotten under a receipt), one tombstone alone, which may
  /// begin before them. Errc::corrupt where stored bytes rotted.
  virtual Result<std::vector<StoredBatch>> batches_after(BatchNumber number,
                                                         const FetchLimits& limits) = 0;

  /// The caller has verified the signature of `signed_bytes` and decoded `receipt` from it. One
  /// transaction. Errc::corrupt: another stream, or the chain value is not our batch id at
  /// linked_upto: nothing is trimmed. Errc::conflict: it covers batches we do not have (a rolled
  /// back journal), or less than an earlier receipt did.
  virtual Result<ReceiptOutcome> store_receipt(const Receipt& receipt, ByteView signed_bytes) = 0;

  /// The next heartbeat. Its number and promise are durable when this returns, so it may be sent,
  /// or lost. `hold`: readings of this time and later may still come, so it promises nothing about
  /// them.
  virtual Result<Heartbeat> heartbeat(std::optional<Timestamp> hold) = 0;

  [[nodiscard]] virtual Result<ResumeState> resume_state() const = 0;

  /// Of the collector's evidence log. Kept in one transaction; as long as they say so, no batch is
  /// forgotten.
  [[nodiscard]] virtual Result<LogSightings> log_sightings() const = 0;
  virtual Status keep_log_sightings(const LogSightings& sightings) = 0;
};

}  // namespace ledgerline::agent
