#pragma once
// The storage port: domain verbs over durable state. Calls block and are made on the storage
// thread; several processes may hold the same store open (command-line tools write while the
// collector runs), so nothing mutable is cached across calls. Every verb that writes is ONE
// transaction, durable when it returns ok. Where two writers could race, the caller names what it
// read, and the loser gets Errc::conflict with nothing written: read again, decide again.
//
// Errc::corrupt: a stored value does not match its checksum. Errc::full and Errc::internal from a
// write: stop the process and start again from the durable state; never repeat the call in the same
// process.
//
// Implementations: memory_store.h (tests), lmdb_store.h. One contract suite runs over both
// (tests/unit/collector/store).

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "collector/core/records.h"

namespace ledgerline::collector {

struct NewStream {
  StreamGrant grant;
  Bytes signed_grant;
  BatchId grant_id;
};

struct DeviceEnrolment {
  std::string tenant;
  std::string device;
  uint64_t expected_revision = 0;  // of the device row; 0: the device is new
  DeviceKey key;                   // added unless the device has it already
  std::vector<NewStream> streams;
  std::vector<StreamId> closes;  // predecessors: their status becomes closed
  Timestamp at;
  std::vector<ExceptionUpsert> exceptions;
};

/// Empty sealed bytes: the batch is parked, take it from there.
struct LinkedBatch {
  BatchNumber number = 0;
  BatchId id;
  Bytes sealed;
  Timestamp received_at;  // a parked batch keeps its own
  /// Of a tombstone: its id, the leaf's data. It stands for all numbers from the head's next to
  /// `number`; what is parked there goes. `id` is the chain value behind it.
  std::optional<Digest> tombstone = std::nullopt;
};

/// Parked ahead of its predecessor, or the other branch of a fork.
struct SideBatch {
  BatchNumber number = 0;
  BatchId id;
  Bytes sealed;
  Timestamp received_at;
  friend bool operator==(const SideBatch&, const SideBatch&) = default;
};

struct HeartbeatPut {
  Heartbeat heartbeat;
  Timestamp received_at;
  std::optional<ExceptionUpsert> exception;  // written where the heartbeat is
  Bytes signed_bytes = {};                   // as received
};

/// What intake decided about one stream. A group holds each stream once.
struct AdmitChange {
  StreamId stream;
  uint64_t expected_revision =
      0;  // StreamRow::revision as read; covers head, parked, status and receipt number
  std::vector<LinkedBatch> links;  // consecutive from head_number + 1; tombstones ahead of it
  std::vector<SideBatch> parks;
  std::vector<SideBatch> forks;  // kept beside the batch that was first
  uint64_t duplicates = 0;       // seen since the last change
  std::optional<StreamStatus> status;
  uint64_t receipt_number = 0;     // above the stored one, or 0: no new receipt
  Bytes receipt;                   // Signed Receipt
  BatchNumber presented_upto = 0;  // above the stored one, or 0: as it was; with its receipt number
  uint64_t presented_receipt = 0;
  std::optional<bool> rolled_back;
  std::vector<ExceptionUpsert> exceptions;
};

/// What StreamRow::missing() adds up to.
struct Recovering {
  uint64_t streams = 0;
  uint64_t batches = 0;
  friend bool operator==(const Recovering&, const Recovering&) = default;
};

struct UsageDelta {
  SeriesId series = 0;
  QuarterHour quarter;
  UsageValue value;
  Timestamp earliest;              // event time of the earliest reading in it
  std::vector<LeafNumber> leaves;  // ascending: where the readings are (evidence index)
};

struct ClockNote {
  LeafNumber leaf = 0;
  ClockAnchor anchor;
};

/// The meaning of the leaves [cursor_before, cursor_after).
struct FoldChanges {
  LeafNumber cursor_before = 0;
  LeafNumber cursor_after = 0;
  std::vector<SeriesRow> new_series;  // ids consecutive from next_series_id
  std::vector<UsageDelta> usage;      // unique by (series, quarter), ascending
  std::vector<std::pair<StreamId, StreamFoldState>> streams;
  std::vector<ExceptionUpsert> exceptions;
  /// The clock anchor that an earlier batch left for the monotonic times in this one: reading it
  /// back needs no other batch.
  std::vector<ClockNote> clock_notes;
  /// New ones; what they change of usage at or before the end of a closed period is touched.
  std::vector<CorrectionRow> corrections;
};

struct FoldCursor {
  LeafNumber cursor = 0;  // the next leaf to fold
  LeafNumber log_size = 0;
  SeriesId next_series_id = 1;
};

struct SeriesFilter {
  std::string tenant;
  std::string device;  // empty: every device of the tenant
  SeriesId after = 0;  // only ids above it, for paging
  size_t limit = 10'000;
};

struct ReadLogLimits {
  size_t count = 256;
  size_t bytes = 4 << 20;  // at least one leaf is read, whatever its size
};

/// A signed statement that becomes the next leaf of the evidence log.
struct StatementPut {
  LeafKind kind = LeafKind::approval;
  Digest id;     // the leaf's data
  Bytes sealed;  // the Signed statement, of a version with its entries
  Timestamp at;
  /// Conflict where the log holds another number of this kind: what was signed says its own.
  std::optional<uint64_t> expected_count;
  /// Under which it is found again; empty: under none. At most kNameSizeMax bytes.
  std::string about = {};
};

/// The evidence log goes on under another origin: ONE transaction with the statement that says so.
/// Conflict where the log's epoch or size is another one: the statement names both.
struct EpochPut {
  uint32_t expected_epoch = 1;
  uint64_t expected_leaves = 0;  // before the statement's own
  uint32_t epoch = 2;            // above the one before
  StatementPut statement;
  std::vector<ExceptionUpsert> exceptions;
};

struct DocumentPut {
  DocumentRow row;                 // row.revision == expected_revision + 1
  uint32_t expected_revision = 0;  // newest stored revision of the id; 0: none
};

struct PeriodPut {
  PeriodRow row;  // row.revision == expected_revision + 1
  uint32_t expected_revision = 0;
};

struct DocumentDecision {
  std::string id;
  uint32_t revision = 1;
  DocumentState expected = DocumentState::waiting_approval;
  DocumentState state = DocumentState::approved;
  std::string by;
  Timestamp at;
  std::optional<DeliveryRow> delivery;  // enters the outbox in the same transaction
  std::optional<StatementPut> statement = std::nullopt;  // its leaf becomes decided_leaf
};

struct RulePut {
  RuleRow row;  // row.revision == expected_revision + 1
  uint32_t expected_revision = 0;
};

/// What closing periods, rules, rating and late usage write: ONE transaction (A6).
struct CommercialChanges {
  /// Conflict where the fold has moved on since the usage was read: a reading must not slip between
  /// rating and close.
  std::optional<LeafNumber> expected_cursor;
  /// Conflict where another number of close statements is logged: a period must not close between
  /// the comparison of a new catalog with the closed ones and its coming into force.
  std::optional<uint64_t> expected_closes;
  std::vector<DocumentPut> documents;
  std::vector<DeliveryRow> deliveries;  // new ones; conflict where the id exists
  std::vector<PeriodPut> periods;
  std::vector<RulePut> rules;
  std::vector<DocumentDecision> decisions;
  std::vector<ExceptionUpsert> exceptions;
  std::vector<TouchedUsage>
      settled_touches;                   // removed where last_leaf is still the same, else kept
  std::vector<StatementPut> statements;  // leaves in this order
};

struct DocumentFilter {
  std::string tenant;  // empty: any, like the others
  std::string contract;
  std::string connector;
  std::optional<DocumentState> state;
  std::string after;  // only ids above it, for paging
  size_t limit = 1000;
};

struct ClaimRequest {
  std::string connector;
  std::string lease;  // name and epoch of the worker's lease: conflict where it was taken over
  uint64_t lease_epoch = 0;
  Timestamp now;
  size_t limit = 1;
};

struct DeliverySettlement {
  std::string id;
  uint32_t attempt = 0;  // as claimed; conflict where the row has moved on or is not in flight
  std::string lease;
  uint64_t lease_epoch = 0;
  DeliveryState state = DeliveryState::confirmed;
  bool lookup_first = false;
  uint32_t lookups = 0;
  uint32_t resends = 0;
  Timestamp next_attempt_at;               // for retry and unknown
  std::optional<Timestamp> first_sent_at;  // set where not set yet
  std::string external_id;
  std::string reply;
  Timestamp at;
  std::optional<DocumentState> document_state;  // of the document's revision, with external_id
  std::vector<ExceptionUpsert> exceptions;
};

/// A person's decision about a delivery that stands still (held, rejected, conflict): conflict
/// where it has moved on.
struct DeliveryRelease {
  std::string id;
  DeliveryState expected = DeliveryState::held;
  DeliveryState state = DeliveryState::retry;
  Timestamp next_attempt_at;
  Timestamp at;
};

struct DeliveryFilter {
  std::string connector;  // empty: any
  std::string tenant;
  std::string document;
  std::optional<DeliveryState> state;
  std::string after;
  size_t limit = 1000;
};

struct ExceptionFilter {
  std::string tenant;  // empty: any
  std::string kind;
  std::optional<ExceptionState> state = ExceptionState::open;
  std::string after;
  size_t limit = 1000;
};

/// A person's action with what it does, in ONE transaction. Assigning sets the row's assignee to
/// the action's detail, ignoring resolves it; the others leave the row to who opened it.
struct ExceptionChange {
  ExceptionAction action;  // the store gives it its number; conflict where it names another one
  std::optional<DeliveryRelease> release;
  std::vector<StatementPut> statements;
};

struct LeaseRequest {
  std::string name;
  std::string holder;  // the same holder takes its own lease again at once, with a new epoch
  Timestamp now;
  Duration lifetime{};
};

struct StoreUsage {
  uint64_t used_bytes = 0;
  uint64_t capacity_bytes = 0;
};

class Store {
 public:
  virtual ~Store() = default;

  // ---- Devices and streams. Errc::not_found where there is none.
  /// Stores key and streams and closes predecessors. Returns the device as stored.
  virtual Result<DeviceRow> put_device(const DeviceEnrolment& enrolment) = 0;
  virtual Status revoke_key(const std::string& tenant, const std::string& device, const KeyId& key,
                            Timestamp at, const std::string& reason) = 0;
  virtual Result<DeviceRow> device(const std::string& tenant, const std::string& device) = 0;
  /// Ascending by (tenant, device), after the given one; an empty tenant: all.
  virtual Result<std::vector<DeviceRow>> list_devices(const std::string& tenant,
                                                      const std::string& after_tenant = {},
                                                      const std::string& after_device = {},
                                                      size_t limit = 10'000) = 0;
  virtual Result<StreamRow> stream(const StreamId& stream) = 0;
  virtual Result<std::vector<StreamRow>> streams_of(const std::string& tenant,
                                                    const std::string& device) = 0;

  /// The same whoever asks; inactive where none was stored.
  virtual Result<RecoveryMode> recovery_mode() = 0;
  virtual Status put_recovery_mode(const RecoveryMode& mode) = 0;
  virtual Result<Recovering> recovering() = 0;

  // ---- Intake
  /// ONE transaction for the group: batches, heads, leaves of the evidence log, receipts (A3).
  /// Returns the next leaf number.
  virtual Result<LeafNumber> admit(std::span<const AdmitChange> changes) = 0;
  /// Of a linked batch; nothing for one that a tombstone stands for, unless it is the last.
  virtual Result<std::optional<BatchId>> batch_id(const StreamId& stream, BatchNumber number) = 0;
  /// Where it stands in the log. Errc::not_found.
  virtual Result<LeafNumber> batch_leaf(const StreamId& stream, BatchNumber number) = 0;
  virtual Result<SideBatch> parked(const StreamId& stream, BatchNumber number) = 0;
  virtual Result<std::vector<SideBatch>> forks(const StreamId& stream) = 0;
  /// Counts always, keeps the bytes while the device's budget lasts.
  virtual Result<QuarantineCounters> quarantine(const QuarantineItem& item) = 0;
  virtual Result<QuarantineCounters> quarantine_counters(const std::string& tenant,
                                                         const std::string& device) = 0;
  /// Newest last; at most `limit` of the oldest kept.
  virtual Result<std::vector<QuarantineItem>> list_quarantine(const std::string& tenant,
                                                              const std::string& device,
                                                              size_t limit = 100) = 0;
  /// ONE transaction for the group. Where the stored heartbeat of a stream is as new or newer,
  /// nothing is written for it. Returns how many were news.
  virtual Result<size_t> put_heartbeats(std::span<const HeartbeatPut> puts) = 0;

  // ---- Evidence log
  /// Stores the origin where there is none yet; returns the stored one.
  virtual Result<LogOrigin> ensure_origin(const LogOrigin& origin) = 0;
  /// Errc::not_found before ensure_origin().
  virtual Result<LogOrigin> log_origin() = 0;
  virtual Status begin_epoch(const EpochPut& put) = 0;
  virtual Result<LogHead> log_head() = 0;
  virtual Result<std::vector<LogEntry>> read_log(LeafNumber from,
                                                 const ReadLogLimits& limits = {}) = 0;
  virtual Result<LogEntry> leaf(LeafNumber leaf) = 0;
  /// Of the leaf in the log's first `size` leaves (merkle.h). Errc::reject where the log has no
  /// such leaf or is smaller; Errc::corrupt where hashes that were stored with the leaves are gone.
  virtual Result<std::vector<Digest>> inclusion_proof(LeafNumber leaf, uint64_t size) = 0;
  virtual Result<std::vector<Digest>> consistency_proof(uint64_t old_size, uint64_t new_size) = 0;
  /// The signed note that was stored last; empty: none yet.
  virtual Result<std::string> stored_checkpoint() = 0;
  /// Errc::conflict where another than `expected` is stored.
  virtual Status put_checkpoint(const std::string& expected, const std::string& note) = 0;
  /// How many statements of the kind there are: the number of the newest.
  virtual Result<uint64_t> statement_count(LeafKind kind) = 0;
  /// Of one kind, ascending by number, from `number` on.
  virtual Result<std::vector<LogEntry>> statements(LeafKind kind, uint64_t number = 1,
                                                   size_t limit = 1000) = 0;
  /// Those about one thing, in the order of the log.
  virtual Result<std::vector<LogEntry>> statements_about(const std::string& about) = 0;

  // ---- Operators
  /// Stores the row with the statement that says so. Conflict where another row of that name or key
  /// is in force.
  virtual Status put_operator(const OperatorRow& row, const StatementPut& statement) = 0;
  /// Ascending by name, revoked ones too.
  virtual Result<std::vector<OperatorRow>> operators() = 0;

  // ---- Fold and usage
  virtual Result<FoldCursor> fold_cursor() = 0;
  /// Nothing before the stream's first fold.
  virtual Result<std::optional<StreamFoldState>> fold_state(const StreamId& stream) = 0;
  virtual Status fold(const FoldChanges& changes) = 0;
  /// 0 where the fold has not met the series.
  virtual Result<SeriesId> find_series(const SeriesKey& key) = 0;
  /// Without those of corrections.
  virtual Result<uint64_t> series_count(const std::string& tenant, const std::string& device) = 0;
  virtual Result<SeriesRow> series(SeriesId id) = 0;
  virtual Result<std::vector<SeriesRow>> list_series(const SeriesFilter& filter) = 0;
  /// Rows with readings in [from, to), ascending by quarter.
  virtual Result<std::vector<UsageRow>> usage(SeriesId series, QuarterHour from,
                                              QuarterHour to) = 0;
  /// Leaves that hold readings of the series in [from, to), ascending, each once.
  virtual Result<std::vector<LeafNumber>> evidence(SeriesId series, QuarterHour from,
                                                   QuarterHour to) = 0;
  virtual Result<std::optional<ClockAnchor>> clock_note(LeafNumber leaf) = 0;
  /// Of a device, ascending by id: those that the fold has met.
  virtual Result<std::vector<CorrectionRow>> corrections(const std::string& tenant,
                                                         const std::string& device) = 0;
  virtual Result<std::optional<CorrectionRow>> correction(const std::string& tenant,
                                                          const std::string& device,
                                                          const Digest& id) = 0;
  virtual Result<std::vector<TouchedUsage>> touched_usage(size_t limit = 1000) = 0;
  virtual Result<std::vector<StreamProgress>> progress(const std::string& tenant,
                                                       const std::string& device) = 0;

  // ---- Commercial
  virtual Status put_documents(const CommercialChanges& changes) = 0;
  /// The newest revision, or the one asked for.
  virtual Result<DocumentRow> document(const std::string& id, uint32_t revision = 0) = 0;
  /// Newest revisions, ascending by id.
  virtual Result<std::vector<DocumentRow>> list_documents(const DocumentFilter& filter) = 0;
  virtual Result<std::optional<PeriodRow>> period(const std::string& tenant,
                                                  const std::string& contract, Timestamp from) = 0;
  /// The contract's newest period by `from`, closed or not.
  virtual Result<std::optional<PeriodRow>> newest_period(const std::string& tenant,
                                                         const std::string& contract) = 0;
  virtual Result<std::vector<PeriodRow>> list_periods(const std::string& tenant,
                                                      const std::string& contract, Timestamp from,
                                                      size_t limit = 1000) = 0;
  /// Of all tenants and contracts, ascending by (tenant, contract, from), above the given ones.
  virtual Result<std::vector<PeriodRow>> list_all_periods(const std::string& after_tenant = {},
                                                          const std::string& after_contract = {},
                                                          Timestamp after_from = {},
                                                          size_t limit = 1000) = 0;
  virtual Result<std::optional<RuleRow>> rule_state(RuleKind kind, const std::string& tenant,
                                                    const std::string& rule,
                                                    const std::string& about) = 0;

  // ---- Outbox
  /// Due deliveries of the connector (pending, retry, unknown), oldest due first, each marked
  /// IN_FLIGHT with attempt + 1 durably before this returns (A7). One that was unknown comes with
  /// lookup_first set.
  virtual Result<std::vector<DeliveryRow>> claim_deliveries(const ClaimRequest& request) = 0;
  virtual Status settle_delivery(const DeliverySettlement& settlement) = 0;
  virtual Status release_delivery(const DeliveryRelease& release) = 0;
  /// At start, under a new lease: what an older epoch of the connector's worker left IN_FLIGHT
  /// becomes unknown and due now. Returns how many.
  virtual Result<size_t> recover_deliveries(const std::string& connector, const std::string& lease,
                                            uint64_t lease_epoch, Timestamp now) = 0;
  /// Nothing where there is none of that id.
  virtual Result<std::optional<DeliveryRow>> delivery(const std::string& id) = 0;
  virtual Result<std::vector<DeliveryRow>> list_deliveries(const DeliveryFilter& filter) = 0;
  /// Errc::conflict where another holder's lease has not expired.
  virtual Result<Lease> acquire_lease(const LeaseRequest& request) = 0;
  /// Errc::conflict where the epoch is no longer the newest.
  virtual Result<Lease> renew_lease(const std::string& name, uint64_t epoch, Timestamp now,
                                    Duration lifetime) = 0;

  // ---- Exceptions
  virtual Status upsert_exceptions(std::span<const ExceptionUpsert> upserts) = 0;
  virtual Result<ExceptionRow> exception(const std::string& id) = 0;
  virtual Result<std::vector<ExceptionRow>> list_exceptions(const ExceptionFilter& filter) = 0;
  /// Errc::conflict where it is resolved already (a delivery may be released all the same), or the
  /// delivery has moved on; Errc::reject beyond ExceptionAction::kPerExceptionMax. Returns the
  /// action as stored.
  virtual Result<ExceptionAction> act_on_exception(const ExceptionChange& change) = 0;
  /// Ascending by number, above `after`.
  virtual Result<std::vector<ExceptionAction>> exception_actions(const std::string& exception,
                                                                 uint32_t after = 0,
                                                                 size_t limit = 1000) = 0;

  virtual Result<StoreUsage> store_usage() = 0;
};

}  // namespace ledgerline::collector
