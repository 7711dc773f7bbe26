#pragma once
// The steps of verify.h, each on what the ones before it have established. A step that fails says
// what is wrong with which part.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collector/core/adjustment.h"
#include "collector/core/bundle.h"
#include "collector/core/catalog.h"
#include "collector/core/close_statement.h"
#include "collector/core/commerce.h"
#include "collector/core/correction.h"
#include "collector/core/mapping.h"
#include "collector/core/verify.h"

namespace ledgerline::collector {

class Verification {
 public:
  Verification(const VerifyKeys& keys, VerifyReport& report) : keys_(keys), report_(report) {}

  Status run(ByteView bytes);

 private:
  /// A statement whose signature and place in the log are proven.
  struct Statement {
    LeafKind kind = LeafKind::close;
    LeafNumber leaf = 0;
    Digest id;
    std::string json;
    Bytes signed_bytes;
  };
  struct Stream {
    StreamGrant grant;
    PublicKey key;
    BatchId grant_id;
    std::vector<const BundleBatch*> batches;  // ascending
  };
  /// A batch whose signature is proven, with its readings.
  struct Batch {
    const Stream* stream = nullptr;
    BatchNumber number = 0;
    Timestamp received_at;
    Disclosed disclosed;
    MeterRows meters;                   // known before it
    std::optional<ClockAnchor> anchor;  // in force before it
    Manifest manifest;
    bool in_run = false;  // linked without a hole to the newest that the close names
  };

  // verify_log.cpp
  Status check_checkpoint();
  Status check_statements();
  Result<Statement> checked(const BundleStatement& part) const;
  Status check_signer(const OpenStatement& statement, const std::string& by,
                      const std::string& name) const;
  Status check_corrections();
  Status take_correction(const Statement& statement);
  Status check_versions();
  Status check_period();
  Result<std::vector<std::string>> entries_of(const std::optional<Digest>& version, LeafKind kind);

  // verify_streams.cpp
  Status check_grants();
  Status check_batches();
  Status check_stream(const CloseStatement::Stream& closed);
  Status open_batches(const Stream& stream, const CloseStatement::Stream& closed);
  Status check_chain(const CloseStatement::Stream& closed, const std::vector<OpenBatch>& open,
                     const Stream& stream, size_t& run_begin);
  Status check_totals(const Totals& before, const Batch& batch);
  /// A monotonic reading that no anchor places must follow on a boot that is shown.
  Status check_clock(const Batch& batch, bool& boot_shown) const;
  Status check_complete();
  [[nodiscard]] Status check_ends() const;
  /// What a replaced stream's end leaves open.
  void note_replaced();
  /// A later stream of its device follows on it: nothing more comes.
  [[nodiscard]] bool is_succeeded(const StreamId& stream) const;
  [[nodiscard]] Result<std::vector<AcceptedGap>> accepted_gaps() const;
  /// Up to when the stream is complete, as its device signed it.
  Result<std::optional<Timestamp>> promise_of(const CloseStatement::Stream& closed);

  // verify_document.cpp
  Status check_document();
  Status check_header();
  Status check_approval();
  /// The document's lines of `key` are these, member by member.
  Status compare_lines(const LineKey& key, const std::vector<RatedLine>& lines);

  // verify_amount.cpp
  Status check_lines();
  Status check_line(const LineKey& key);
  /// Of an adjustment: what the evidence comes to, less what was booked before.
  Result<std::vector<RatedLine>> to_bill(const LineKey& key, const CloseStatement::Line& line);
  [[nodiscard]] Result<BookedLine> booked(const LineKey& key,
                                          const CloseStatement::Line& line) const;
  Result<MeterUsage> usage_of(const LineKey& key, const CatalogMeter& meter);
  Status add_batch(const Batch& batch, const LineKey& key, const CatalogMeter& meter,
                   MeterUsage& out);
  [[nodiscard]] bool counts(const SeriesKey& series, Period span, const LineKey& key,
                            const CatalogMeter& meter) const;
  Status add_series(const std::vector<SeriesUsage>& used, Period span, const LineKey& key,
                    const CatalogMeter& meter, MeterUsage& out);
  /// The spans of the period in which the mapping of the device stays the same and the readings of
  /// no subject begin or end to be void.
  [[nodiscard]] std::vector<Period> spans_of(const std::string& device) const;
  Status check_withheld(const Batch& batch, const LineKey& key);
  [[nodiscard]] bool is_subscription(const std::string& device, const std::string& subject,
                                     Timestamp t, const std::string& subscription) const;

  void proven(std::string text) { report_.proven.push_back(std::move(text)); }
  [[nodiscard]] std::string period_text() const;

  const VerifyKeys& keys_;
  VerifyReport& report_;
  Bundle bundle_;
  Checkpoint checkpoint_;
  std::vector<Statement> statements_;
  CloseStatement close_;
  std::optional<CloseStatement> before_;  // the revision before, of an adjustment
  Json document_;
  std::optional<Catalog> catalog_;
  std::optional<Mapping> mapping_;
  const Contract* contract_ = nullptr;
  std::map<StreamId, Stream> streams_;
  std::vector<Batch> batches_;
  std::map<std::string, std::vector<CorrectionRow>> correction_rows_;  // by device
  std::vector<SeriesUsage> added_;                                     // by corrections
  std::map<std::string, Corrections> corrections_;                     // by device
  uint64_t added_up_ = 0;     // batches whose readings add up to the signed totals
  uint64_t implausible_ = 0;  // readings of the asked lines
};

}  // namespace ledgerline::collector
