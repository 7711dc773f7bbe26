#pragma once
// The operator's half of reliability.md 1.5: what a resume or an introduction proves about this
// store and about the device, and the exceptions that say so to a person. Pure.
//
// A store that was put back from an older copy, or begun anew, lacks what it gave receipts for. The
// receipt that a device shows is our own signature under that: no device can claim a loss that
// there was not.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "collector/core/linkage.h"
#include "collector/core/records.h"
#include "common/messages.h"
#include "common/topics.h"

namespace ledgerline::collector {

/// The receipt in the resume, where this collector signed it for the resume's stream.
std::optional<Receipt> shown_receipt(const Resume& resume, const PublicKey& collector);

/// The stream lacks what its device holds a receipt for: one per stream, its count the batches that
/// are missing.
ExceptionUpsert recovery_opened(const StreamRow& row, const Receipt& shown, Timestamp now);
/// Clears it: `how` says what ended the wait.
ExceptionUpsert recovery_ended(const StreamRow& row, const std::string& how, Timestamp now);

/// The device shows less than is held here, or another batch at the head.
ExceptionUpsert rollback_opened(const StreamRow& row, const Resume& resume, Timestamp now);
ExceptionUpsert rollback_ended(const StreamRow& row, Timestamp now);

/// The contradicting batch of a fork, and the starts of the agent that are known.
struct ForkFacts {
  BatchNumber number = 0;
  BatchNumber agree_upto = 0;
  BatchNumber linked_upto = 0;
  std::set<BootId> boots;
};
ExceptionUpsert fork_opened(const StreamRow& row, const ForkFacts& fork, Timestamp now);

/// A stream that this store does not know, shown by whoever holds the key in its grant.
struct Introduced {
  StreamGrant grant;
  Bytes signed_grant;
  BatchId grant_id;
  DeviceKey key;
};
/// Errc::corrupt where a signature is wrong: of the grant, which this collector must have made, or
/// of the introduction; Errc::reject where the grant is for another key or another topic.
Result<Introduced> open_introduction(ByteView signed_message, const Topic& topic,
                                     const PublicKey& collector);

/// The device's stream of the same class that was granted later, if there is one: it took the place
/// of this one.
const StreamRow* successor_of(const StreamGrant& grant, const std::vector<StreamRow>& streams);
/// Those that were granted earlier and are not closed: this one took their place.
std::vector<const StreamRow*> replaced_by(const StreamGrant& grant,
                                          const std::vector<StreamRow>& streams);

/// Outside of recover mode, or where a person has to decide: `why`.
ExceptionUpsert unknown_stream(const StreamGrant& grant, const std::string& why, Timestamp now);
ExceptionUpsert unknown_stream_ended(const StreamGrant& grant, Timestamp now);
/// It was let in: whether its key was ever revoked, nobody here knows any more.
ExceptionUpsert let_in(const Introduced& introduced, Timestamp now);

/// What is known of a stream at its end.
struct StreamEnd {
  Seq next_seq = 1;  // after the newest batch that is here
  Totals totals;     // of that batch
  MeterRows meters;  // as far as they are folded
};
/// A stream that was closed because another took its place: the totals known last and, from the
/// newest heartbeat, what was recorded and never came, per meter. `why`: the operator's reason.
std::vector<ExceptionUpsert> stream_replaced(const StreamRow& row, const StreamEnd& end,
                                             const StreamId& successor, const std::string& why,
                                             Timestamp now);

}  // namespace ledgerline::collector
