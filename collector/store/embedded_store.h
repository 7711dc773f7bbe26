#pragma once
// The storage port over an ordered map of bytes. What each verb reads and writes is in
// embedded_{devices,log,tiles,fold,commercial,outbox}.cpp; the keys are keys.h, the values
// record_codec.h. Holds no state but its engine.

#include "collector/store/rows.h"

namespace ledgerline::collector {

class EmbeddedStore final : public Store {
 public:
  /// Writes the format into an empty store. Errc::config where a newer version of the program wrote
  /// it.
  static Result<std::unique_ptr<Store>> open(std::unique_ptr<KeyValueEngine> engine);

  Result<DeviceRow> put_device(const DeviceEnrolment& enrolment) override;
  Status revoke_key(const std::string& tenant, const std::string& device, const KeyId& key,
                    Timestamp at, const std::string& reason) override;
  Result<DeviceRow> device(const std::string& tenant, const std::string& device) override;
  Result<std::vector<DeviceRow>> list_devices(const std::string& tenant,
                                              const std::string& after_tenant,
                                              const std::string& after_device,
                                              size_t limit) override;
  Result<StreamRow> stream(const StreamId& stream) override;
  Result<std::vector<StreamRow>> streams_of(const std::string& tenant,
                                            const std::string& device) override;
  Result<RecoveryMode> recovery_mode() override;
  Status put_recovery_mode(const RecoveryMode& mode) override;
  Result<Recovering> recovering() override;

  Result<LeafNumber> admit(std::span<const AdmitChange> changes) override;
  Result<std::optional<BatchId>> batch_id(const StreamId& stream, BatchNumber number) override;
  Result<LeafNumber> batch_leaf(const StreamId& stream, BatchNumber number) override;
  Result<SideBatch> parked(const StreamId& stream, BatchNumber number) override;
  Result<std::vector<SideBatch>> forks(const StreamId& stream) override;
  Result<QuarantineCounters> quarantine(const QuarantineItem& item) override;
  Result<QuarantineCounters> quarantine_counters(const std::string& tenant,
                                                 const std::string& device) override;
  Result<std::vector<QuarantineItem>> list_quarantine(const std::string& tenant,
                                                      const std::string& device,
                                                      size_t limit) override;
  Result<size_t> put_heartbeats(std::span<const HeartbeatPut> puts) override;

  Result<LogOrigin> ensure_origin(const LogOrigin& origin) override;
  Result<LogOrigin> log_origin() override;
  Status begin_epoch(const EpochPut& put) override;
  Result<LogHead> log_head() override;
  Result<std::vector<LogEntry>> read_log(LeafNumber from, const ReadLogLimits& limits) override;
  Result<LogEntry> leaf(LeafNumber leaf) override;
  Result<std::vector<Digest>> inclusion_proof(LeafNumber leaf, uint64_t size) override;
  Result<std::vector<Digest>> consistency_proof(uint64_t old_size, uint64_t new_size) override;
  Result<std::string> stored_checkpoint() override;
  Status put_checkpoint(const std::string& expected, const std::string& note) override;
  Result<uint64_t> statement_count(LeafKind kind) override;
  Result<std::vector<LogEntry>> statements(LeafKind kind, uint64_t number, size_t limit) override;
  Result<std::vector<LogEntry>> statements_about(const std::string& about) override;

  Status put_operator(const OperatorRow& row, const StatementPut& statement) override;
  Result<std::vector<OperatorRow>> operators() override;

  Result<FoldCursor> fold_cursor() override;
  Result<std::optional<StreamFoldState>> fold_state(const StreamId& stream) override;
  Status fold(const FoldChanges& changes) override;
  Result<SeriesId> find_series(const SeriesKey& key) override;
  Result<uint64_t> series_count(const std::string& tenant, const std::string& device) override;
  Result<SeriesRow> series(SeriesId id) override;
  Result<std::vector<SeriesRow>> list_series(const SeriesFilter& filter) override;
  Result<std::vector<UsageRow>> usage(SeriesId series, QuarterHour from, QuarterHour to) override;
  Result<std::vector<LeafNumber>> evidence(SeriesId series, QuarterHour from,
                                           QuarterHour to) override;
  Result<std::optional<ClockAnchor>> clock_note(LeafNumber leaf) override;
  Result<std::vector<CorrectionRow>> corrections(const std::string& tenant,
                                                 const std::string& device) override;
  Result<std::optional<CorrectionRow>> correction(const std::string& tenant,
                                                  const std::string& device,
                                                  const Digest& id) override;
  Result<std::vector<TouchedUsage>> touched_usage(size_t limit) override;
  Result<std::vector<StreamProgress>> progress(const std::string& tenant,
                                               const std::string& device) override;

  Status put_documents(const CommercialChanges& changes) override;
  Result<DocumentRow> document(const std::string& id, uint32_t revision) override;
  Result<std::vector<DocumentRow>> list_documents(const DocumentFilter& filter) override;
  Result<std::optional<PeriodRow>> period(const std::string& tenant, const std::string& contract,
                                          Timestamp from) override;
  Result<std::optional<PeriodRow>> newest_period(const std::string& tenant,
                                                 const std::string& contract) override;
  Result<std::optional<RuleRow>> rule_state(RuleKind kind, const std::string& tenant,
                                            const std::string& rule,
                                            const std::string& about) override;
  Result<std::vector<PeriodRow>> list_periods(const std::string& tenant,
                                              const std::string& contract, Timestamp from,
                                              size_t limit) override;
  Result<std::vector<PeriodRow>> list_all_periods(const std::string& after_tenant,
                                                  const std::string& after_contract,
                                                  Timestamp after_from, size_t limit) override;

  Result<std::vector<DeliveryRow>> claim_deliveries(const ClaimRequest& request) override;
  Status settle_delivery(const DeliverySettlement& settlement) override;
  Status release_delivery(const DeliveryRelease& release) override;
  Result<size_t> recover_deliveries(const std::string& connector, const std::string& lease,
                                    uint64_t lease_epoch, Timestamp now) override;
  Result<std::optional<DeliveryRow>> delivery(const std::string& id) override;
  Result<std::vector<DeliveryRow>> list_deliveries(const DeliveryFilter& filter) override;
  Result<Lease> acquire_lease(const LeaseRequest& request) override;
  Result<Lease> renew_lease(const std::string& name, uint64_t epoch, Timestamp now,
                            Duration lifetime) override;

  Status upsert_exceptions(std::span<const ExceptionUpsert> upserts) override;
  Result<ExceptionRow> exception(const std::string& id) override;
  Result<std::vector<ExceptionRow>> list_exceptions(const ExceptionFilter& filter) override;
  Result<ExceptionAction> act_on_exception(const ExceptionChange& change) override;
  Result<std::vector<ExceptionAction>> exception_actions(const std::string& exception,
                                                         uint32_t after, size_t limit) override;

  Result<StoreUsage> store_usage() override { return engine_->usage(); }

 private:
  explicit EmbeddedStore(std::unique_ptr<KeyValueEngine> engine) : engine_(std::move(engine)) {}

  /// Runs `work(rows)` in a read transaction.
  template <class Work>
  auto read(Work work) -> decltype(work(std::declval<Rows&>())) {
    TRY(auto txn, engine_->begin_read());
    Rows rows(*txn);
    return work(rows);
  }

  /// Runs `work(rows)` in a write transaction; committed where it succeeds.
  template <class Work>
  auto write(Work work) -> decltype(work(std::declval<Rows&>())) {
    TRY(auto txn, engine_->begin_write());
    Rows rows(*txn);
    auto result = work(rows);
    if (!result) return result;
    TRY_VOID(rows.commit());
    return result;
  }

  std::unique_ptr<KeyValueEngine> engine_;
};

// Shared by the verbs' files.
/// Statements of the kind.
Result<uint64_t> count_of(Rows& rows, LeafKind kind);
/// The tree's new frontier and the tiles that were completed since it had `size_before` leaves.
Status write_tree(Rows& rows, uint64_t size_before, const LogTree& tree);
Result<LogTree> read_tree(Rows& rows);
/// And how much it lacks, for recovering().
Status write_stream(Rows& rows, const StreamRow& row);
Status write_exceptions(Rows& rows, std::span<const ExceptionUpsert> upserts);
/// Appends to the evidence log. Errc::conflict as StatementPut says.
Result<LeafNumber> append_statement(Rows& rows, const StatementPut& put);
Status append_statements(Rows& rows, std::span<const StatementPut> statements);
/// Stores the row and keeps the indexes of due and of in-flight deliveries in step. `before` is
/// what was stored.
Status write_delivery(Rows& rows, const std::optional<DeliveryRow>& before, const DeliveryRow& row);
/// Errc::conflict where it has moved on.
Status release(Rows& rows, const DeliveryRelease& release);
/// Errc::conflict where the id is taken.
Status insert_delivery(Rows& rows, const DeliveryRow& row);
/// Errc::reject for an empty or too long id or name.
Status check_stored_name(const char* what, const std::string& name);

}  // namespace ledgerline::collector
