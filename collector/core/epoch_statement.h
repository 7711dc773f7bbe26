#pragma once
// The epoch statement: the evidence log goes on under another origin, because this collector signed
// something that the log as it is does not hold. It names the log at the end of the epoch before,
// as it is here, and the checkpoint that was lost where one was shown. Always signed by the
// collector: a store that lost what it had may have lost who its operators are. Pure.

#include <optional>

#include "collector/core/statement.h"
#include "common/checkpoint.h"

namespace ledgerline::collector {

struct EpochStatement {
  std::string collector;  // the collector key's id in hexadecimal
  std::string log;
  uint32_t epoch = 2;         // that begins with this leaf
  LeafNumber log_leaves = 0;  // before it
  Digest root;                // of those leaves
  std::string shown;          // a signed note; empty: none
  std::string by;
  Timestamp at;
  std::string reason;

  [[nodiscard]] std::string json() const;
  /// Errc::corrupt, naming the member.
  static Result<EpochStatement> parse(std::string_view json);
};

/// A checkpoint of this log, in whatever epoch, that this collector signed.
struct ShownCheckpoint {
  LogOrigin origin;
  Checkpoint checkpoint;
  std::string note;  // with the collector's signature only
};
/// Nothing where the note is no such checkpoint.
std::optional<ShownCheckpoint> shown_checkpoint(std::string_view note, const LogOrigin& ours,
                                                const PublicKey& collector);

enum class Contained {
  yes,      // or an epoch since has accounted for it
  no,       // this log is not the one that was signed
  by_proof  // where the consistency proof from it to the log's head holds
};
Contained judge_shown(const ShownCheckpoint& shown, const LogOrigin& ours, const LogHead& head);

/// Above all that is known to have been signed.
uint32_t next_epoch(const LogOrigin& ours, const std::optional<ShownCheckpoint>& shown);

/// `why` begins in the middle of a sentence: "the device shows ...".
ExceptionUpsert new_epoch_opened(const EpochStatement& statement, const std::string& why,
                                 Timestamp now);

}  // namespace ledgerline::collector
