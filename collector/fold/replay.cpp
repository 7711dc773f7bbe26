#include "collector/fold/replay.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "collector/core/ledger.h"
#include "collector/core/operators.h"
#include "collector/core/replay.h"
#include "collector/fold/commerce_runner.h"
#include "collector/fold/folder.h"
#include "collector/fold/logged_catalog.h"
#include "collector/fold/replay_compare.h"
#include "collector/fold/replay_log.h"
#include "collector/fold/stored_ledger.h"
#include "common/check.h"

namespace ledgerline::collector {

namespace {

constexpr int kSnapshotTries = 5;

/// Gives the signature that the log holds for what is signed again: the same statement is then the
/// same leaf, byte for byte, and no private key is needed. Over another statement it is worthless,
/// and the comparison says so.
class RecordedSigner final : public Signer {
 public:
  explicit RecordedSigner(PublicKey key) : key_(std::move(key)) {}
  [[nodiscard]] const PublicKey& public_key() const override { return key_; }
  Result<Bytes> sign(ByteView) override { return signature_; }
  void expect(Bytes signature) { signature_ = std::move(signature); }

 private:
  PublicKey key_;
  Bytes signature_;
};

/// Of the source, at one moment.
struct Snapshot {
  LogHead head;
  std::optional<CheckpointNote> checkpoint;  // the newest that was signed
  std::vector<std::string> ledger;
};

Result<std::optional<CheckpointNote>> signed_checkpoint(Store& source) {
  TRY(const std::string note, source.stored_checkpoint());
  if (note.empty()) return std::nullopt;
  TRY(auto out, open_checkpoint(note));
  return std::optional(std::move(out));
}

/// The ledger changes only together with a close leaf.
Result<Snapshot> snapshot_of(Store& source) {
  for (int i = 0; i < kSnapshotTries; ++i) {
    Snapshot out;
    TRY(out.checkpoint, signed_checkpoint(source));
    TRY(const uint64_t closes, source.statement_count(LeafKind::close));
    TRY(out.head, source.log_head());
    TRY(out.ledger, stored_ledger(source));
    TRY(const uint64_t closes_after, source.statement_count(LeafKind::close));
    if (closes == closes_after) return out;
  }
  return fail(Errc::retry,
              "periods close while the ledger is read: try again, or stop the collector");
}

class Replay {
 public:
  Replay(Store& source, Store& target, const PublicKey& collector)
      : source_(source),
        target_(target),
        collector_(collector),
        log_(source, target, collector),
        folder_(target),
        logged_(target),
        signer_(collector) {}

  Result<ReplayReport> run();

 private:
  Status take_all();
  /// Errc::corrupt: what is wrong with the leaf.
  Status take(const LogEntry& leaf);
  Status take_close(const LogEntry& leaf);
  Status fold_to(LeafNumber cursor);
  /// False where the log has no such catalog.
  Result<bool> prepare(const CloseStatement& close);
  Status compare(const LogEntry& leaf, const CloseStatement& there);
  Status check_checkpoint();
  Status check_root();
  Status compare_ledgers();
  /// Where the source's fold stands still at a leaf that both have.
  Status compare_folds();
  void find(std::string what) { report_.find(std::move(what)); }

  Store& source_;
  Store& target_;
  const PublicKey& collector_;
  ReplayLog log_;
  Folder folder_;
  LoggedCatalog logged_;
  RecordedSigner signer_;
  std::unique_ptr<CommerceRunner> runner_;
  std::string zone_database_;  // the runner's
  Snapshot snapshot_;
  LogTree tree_;  // of the source's leaves
  ReplayReport report_;
};

Result<ReplayReport> Replay::run() {
  TRY(const LogHead target, target_.log_head());
  TRY(const auto devices, target_.list_devices({}, {}, {}, 1));
  if (target.size != 0 || !devices.empty())
    return fail(Errc::config, "a replay begins with an empty store, and this one is not");
  TRY(snapshot_, snapshot_of(source_));
  report_.log_leaves = snapshot_.head.size;
  report_.rows = snapshot_.ledger.size();
  report_.there = ledger_hash(snapshot_.ledger);

  TRY_VOID(log_.begin());
  const auto taken = take_all();
  if (!taken) {
    if (taken.error().code() != Errc::corrupt) return fail(taken.error());
    find(taken.error().text());
    return std::move(report_);
  }
  TRY_VOID(log_.flush());
  TRY_VOID(compare_folds());
  TRY_VOID(check_root());
  TRY_VOID(compare_ledgers());
  TRY_VOID(compare_documents(source_, target_, [this](std::string what) { find(what); }));
  return std::move(report_);
}

Status Replay::take_all() {
  TRY_VOID(check_checkpoint());
  while (report_.leaves < report_.log_leaves) {
    TRY(const auto leaves, log_.read(report_.leaves, report_.log_leaves));
    for (const LogEntry& leaf : leaves) {
      TRY_VOID(take(leaf));
      tree_.append(leaf.data.view());
      ++report_.leaves;
      TRY_VOID(check_checkpoint());
    }
  }
  return {};
}

Status Replay::take(const LogEntry& leaf) {
  switch (leaf.kind) {
    case LeafKind::batch:
    case LeafKind::tombstone:
      ++report_.batches;
      return log_.take_batch(leaf);
    case LeafKind::operator_key:
      return log_.take_operator(leaf);
    case LeafKind::close:
      return take_close(leaf);
    default:
      return log_.take_statement(leaf);
  }
}

Status Replay::fold_to(LeafNumber cursor) {
  TRY(const auto folded, folder_.run_to(cursor));
  report_.readings += folded.readings;
  return {};
}

Result<bool> Replay::prepare(const CloseStatement& close) {
  const auto news = logged_.refresh_to({.catalog = close.catalog, .mapping = close.mapping});
  if (!news && news.error().code() != Errc::corrupt) return fail(news.error());
  if (!news) {
    find(news.error().text());
    return false;
  }
  if (!*news && runner_ != nullptr && zone_database_ == close.zone_database) return true;
  TRY(auto catalog, logged_.catalog());
  if (!catalog) return false;
  zone_database_ = close.zone_database;
  runner_ = std::make_unique<CommerceRunner>(target_, signer_, std::move(*catalog),
                                             CommerceOptions{.zone_database = zone_database_});
  return true;
}

Status Replay::take_close(const LogEntry& leaf) {
  TRY(const OpenStatement statement, log_.checked(leaf));
  const auto close = CloseStatement::parse(statement.json);
  if (!close) return fail(Errc::corrupt, leaf_name(leaf) + ": " + close.error().text());
  TRY_VOID(log_.flush());
  TRY_VOID(log_.enroll_until(*close));
  TRY(const FoldCursor fold, target_.fold_cursor());
  TRY_VOID(fold_to(std::clamp(close->log_leaves, fold.cursor, leaf.leaf)));
  TRY_VOID(log_.take_promises(leaf, *close));
  TRY(const bool prepared, prepare(*close));
  if (!prepared) {
    find(leaf_name(leaf) + ": the log holds no catalog that it could have been made with");
    return log_.carry(leaf);
  }
  signer_.expect(statement.message.signature);
  TRY(const auto report, runner_->book_again({.tenant = close->tenant,
                                              .contract = close->contract,
                                              .period = close->period,
                                              .revision = close->revision},
                                             close->at));
  if (report.periods_closed + report.periods_adjusted == 1) {
    ++report_.bookings;
    return compare(leaf, *close);
  }
  find(leaf_name(leaf) + ": contract " + close->contract + ", period " +
       to_rfc3339(close->period.from) + ": it cannot be booked again: " +
       (report.held.empty() ? "the store changed meanwhile" : report.held.front().reason));
  return log_.carry(leaf);
}

Status Replay::compare(const LogEntry& leaf, const CloseStatement& there) {
  TRY(const LogEntry here, target_.leaf(leaf.leaf));
  if (here.data == leaf.data) return {};
  TRY(const SealedClose sealed, decode_sealed_close(here.sealed));
  TRY(const OpenStatement statement, open_statement(LeafKind::close, sealed.statement));
  TRY(const CloseStatement again, CloseStatement::parse(statement.json));
  for (const std::string& difference : close_differences(there, again)) {
    find(leaf_name(leaf) + ": contract " + there.contract + ", period " +
         to_rfc3339(there.period.from) + " to " + to_rfc3339(there.period.until) + ": " +
         difference);
  }
  return {};
}

Status Replay::check_checkpoint() {
  const auto& note = snapshot_.checkpoint;
  if (!note) return {};
  if (report_.leaves == 0) {
    if (!verify_checkpoint(*note, collector_))
      find("the checkpoint that the store keeps is not signed by the collector");
    if (note->checkpoint.size > report_.log_leaves)
      find("the collector has signed a log of " + std::to_string(note->checkpoint.size) +
           " leaves, and there are " + std::to_string(report_.log_leaves) +
           ": leaves were removed at its end");
  }
  if (report_.leaves == note->checkpoint.size && tree_.root() != note->checkpoint.root)
    find("the first " + std::to_string(report_.leaves) +
         " leaves are not those of the checkpoint that the collector signed");
  return {};
}

Status Replay::check_root() {
  if (tree_.root() == snapshot_.head.root) return {};
  TRY(const auto leaf, log_.first_altered(report_.leaves));
  find(leaf ? leaf_name(*leaf) + ": it is not the leaf that was logged there"
            : "the log's last leaves are not those that its root was computed from");
  return {};
}

Status Replay::compare_folds() {
  TRY(const FoldCursor before, source_.fold_cursor());
  TRY_VOID(fold_to(std::min(before.cursor, report_.leaves)));
  TRY(const FoldCursor here, target_.fold_cursor());
  if (here.cursor == before.cursor) {
    ReplayReport told = report_;
    TRY_VOID(compare_usage(source_, target_, [&told](std::string what) { told.find(what); }));
    TRY(const FoldCursor after, source_.fold_cursor());
    told.usage_compared = true;
    if (after.cursor == before.cursor) report_ = std::move(told);
  }
  return fold_to(report_.leaves);
}

Status Replay::compare_ledgers() {
  TRY(const auto here, stored_ledger(target_));
  report_.here = ledger_hash(here);
  if (report_.here == report_.there) return {};
  TRY(const auto differences,
      ledger_differences(snapshot_.ledger, here, ReplayReport::kFindingsMax));
  for (const LedgerDifference& one : differences)
    find("ledger: " + one.about + ": there " + one.there + ", here " + one.here);
  return {};
}

}  // namespace

void ReplayReport::find(std::string what) {
  if (findings.size() < kFindingsMax) {
    findings.push_back(std::move(what));
  } else {
    ++more_findings;
  }
}

Result<ReplayReport> replay(Store& source, Store& target, const PublicKey& collector) {
  return Replay(source, target, collector).run();
}

}  // namespace ledgerline::collector
