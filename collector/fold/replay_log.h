#pragma once
// The log of a replay: leaves out of the source, checked, into the target in the same places; and
// who may have signed them. Keys, devices and grants are the source's, streams enter the target
// when the log first tells of them. Writes are grouped: flush() before the target's log is used.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "collector/core/replay.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

class ReplayLog {
 public:
  ReplayLog(Store& source, Store& target, const PublicKey& collector)
      : source_(source), target_(target), collector_(collector) {}

  /// The log's origin and the devices with their keys into the target.
  Status begin();

  /// Leaves from `from` on, below `end`. Errc::corrupt names the leaf that is damaged or missing.
  Result<std::vector<LogEntry>> read(LeafNumber from, LeafNumber end);

  /// Each: Errc::corrupt says what is wrong with the leaf.
  Status take_batch(const LogEntry& leaf);
  Status take_operator(const LogEntry& leaf);
  Status take_statement(const LogEntry& leaf);
  Result<OpenStatement> checked(const LogEntry& leaf);
  /// The leaf as it is, believed or not: those behind it keep their places.
  Status carry(const LogEntry& leaf);

  /// The streams that a close knew: those that it names and, as no close names the others, the
  /// diagnostic ones that were granted by then.
  Status enroll_until(const CloseStatement& close);
  /// The heartbeats that a close relies on, believed as far as it says.
  Status take_promises(const LogEntry& leaf, const CloseStatement& close);

  Status flush();

  /// Compares each leaf with the hash that was stored when it was logged; nothing where only leaves
  /// without a stored hash can differ.
  Result<std::optional<LogEntry>> first_altered(uint64_t size);

 private:
  struct Stream {
    StreamRow row;          // the source's
    Timestamp since;        // in the source's store
    DeviceKey key;          // of the grant
    uint64_t revision = 0;  // the target's row; 0: not there yet
    std::optional<ReplayedStream> replayed;
    Bytes promise;  // the Signed Heartbeat that was taken last: many closes rest on one
  };

  Status take_device(const DeviceRow& device);
  Status enroll(Stream& stream);
  Result<Stream*> stream_of(const LogEntry& leaf);
  Result<ChainedBatch> checked_batch(const LogEntry& leaf, const ReplayedStream& stream);

  Store& source_;
  Store& target_;
  const PublicKey& collector_;
  std::map<StreamId, Stream> streams_;
  std::multimap<Timestamp, StreamId> diagnostic_;  // that are not in the target yet
  std::vector<OperatorRow> operators_;
  // What is to be written, one or the other.
  std::vector<AdmitChange> admits_;
  std::set<StreamId> admitted_;  // in admits_
  size_t admitted_bytes_ = 0;
  std::vector<StatementPut> statements_;
};

}  // namespace ledgerline::collector
