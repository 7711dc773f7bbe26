#pragma once
// A device as a test needs it: with a key and a grant, sealing whatever batches it is told to,
// right or wrong.

#include <memory>
#include <string>
#include <vector>

#include "common/envelope.h"
#include "common/messages.h"
#include "common/topics.h"

namespace ledgerline::test {

std::unique_ptr<Signer> new_signer();

class TestDevice {
 public:
  TestDevice(std::string tenant, std::string device,
             StreamClass stream_class = StreamClass::billing);

  /// A batch of two readings; another `value` gives another id.
  [[nodiscard]] SealedBatch seal_batch(BatchNumber number, const BatchId& previous,
                                       int64_t value = 1) const;
  /// Batches 1 to count, each naming the one before.
  [[nodiscard]] std::vector<SealedBatch> chain(size_t count, int64_t value = 1) const;
  /// Stands for batches first to last, where all of them hold two readings of value 1.
  [[nodiscard]] Bytes tombstone(BatchNumber first, BatchNumber last, const BatchId& previous,
                                const BatchId& last_id) const;
  [[nodiscard]] std::string topic(TopicLeaf leaf) const;
  [[nodiscard]] Bytes resume(const Resume& resume) const;
  [[nodiscard]] Bytes heartbeat(uint64_t number, Seq next_seq) const;

  StreamGrant grant;
  BatchId grant_id;
  std::unique_ptr<Signer> signer;
};

/// The same bytes with one bit of the signature flipped.
Bytes with_wrong_signature(const Bytes& sealed);
/// The same bytes with one bit of the newest section flipped.
Bytes with_wrong_section(const Bytes& sealed);

}  // namespace ledgerline::test
