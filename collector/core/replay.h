#pragma once
// What a replay of the evidence log believes, and how it compares what it came to. A leaf is taken
// where its signature, its id and its place in its stream's chain are right; whoever altered the
// store would have to sign it anew. Pure; collector/fold/replay.h reads, writes and folds.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "collector/core/close_statement.h"
#include "collector/core/linkage.h"
#include "collector/core/records.h"
#include "collector/core/statement.h"

namespace ledgerline::collector {

/// A stream as far as its leaves were read.
struct ReplayedStream {
  StreamGrant grant;
  BatchId grant_id;
  PublicKey key;
  BatchNumber head_number = 0;
  BatchId head_id;  // grant_id where head_number is 0
};

/// "leaf 17, batch 3 of stream 30313233... of device gw-1"; "leaf 18, close".
std::string leaf_name(const LogEntry& leaf, const StreamGrant* grant = nullptr);

/// The grant of a stream as it was signed. Errc::corrupt where it is not the collector's, or not
/// that of the row.
Status check_grant(const StreamRow& row, const PublicKey& collector);

/// The batch that extends the chain. All three: Errc::corrupt says what is wrong with which leaf.
Result<ChainedBatch> check_batch(const LogEntry& leaf, const ReplayedStream& stream);
/// `before`: the chain value in front of the first batch that it stands for, where that is known.
Result<ChainedBatch> check_tombstone(const LogEntry& leaf, const ReplayedStream& stream,
                                     const std::optional<BatchId>& before);
/// The first batch that a tombstone stands for.
Result<BatchNumber> first_of_tombstone(const LogEntry& leaf);
/// Signed by whom it names: the collector, or an operator whose key was in force then.
Result<OpenStatement> check_statement(const LogEntry& leaf, const PublicKey& collector,
                                      std::span<const OperatorRow> operators);

/// What a leaf says of a booking and what the replay came to, member by member; empty: the same.
std::vector<std::string> close_differences(const CloseStatement& there, const CloseStatement& here);

/// A row of the ledger that only one of them has, or both with other figures.
struct LedgerDifference {
  std::string about;  // tenant, subscription, period, meter
  std::string there;  // "12 = 1.20 at standard version 3"; "nothing"
  std::string here;
};
/// Of the rows' texts (ledger.h), in any order; the first `limit`. Errc::corrupt.
Result<std::vector<LedgerDifference>> ledger_differences(std::vector<std::string> there,
                                                         std::vector<std::string> here,
                                                         size_t limit);

}  // namespace ledgerline::collector
