#pragma once
// What the collector stores, as plain structs. The port that stores them is
// collector/store/store.h; the bytes are collector/store/record_codec.h's business. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collector/core/usage.h"
#include "common/checkpoint.h"
#include "common/columns.h"
#include "common/crypto.h"
#include "common/envelope.h"
#include "common/messages.h"

namespace ledgerline::collector {

// ---- Devices and streams
// ---------------------------------------------------------------------------------------------

struct DeviceKey {
  KeyAlgorithm algorithm = KeyAlgorithm::ed25519;
  KeyId id;
  Bytes public_key;  // DER SubjectPublicKeyInfo
  Timestamp added_at;
  std::optional<Timestamp> revoked_at;  // from then on no batch signed by it is taken
  std::string revoke_reason;
  friend bool operator==(const DeviceKey&, const DeviceKey&) = default;
};

struct DeviceRow {
  static constexpr size_t kKeysMax = 64;

  std::string tenant;
  std::string device;
  uint64_t revision = 0;        // rises with each change; 0: not stored
  std::vector<DeviceKey> keys;  // oldest first
  Timestamp enrolled_at;
  friend bool operator==(const DeviceRow&, const DeviceRow&) = default;
};

/// The heartbeats that matter for completeness. A promise counts once every reading before it is
/// folded, so under a steady flow the newest one alone would never count
/// (collector/core/completeness.h).
struct HeartbeatTrack {
  static constexpr size_t kWaitingMax = 16;
  struct Promise {
    Seq next_seq = 1;
    Timestamp complete_through;
    Bytes signed_bytes;  // Signed Heartbeat: a close's evidence
    friend bool operator==(const Promise&, const Promise&) = default;
  };

  Heartbeat newest;  // number 0: none came yet
  Timestamp newest_received_at;
  std::optional<Promise> covered;  // of the promises covered so far, the one that reaches furthest
  std::vector<Promise> waiting;    // ascending by next_seq
};

struct StreamRow {
  StreamGrant grant;
  Bytes signed_grant;
  BatchId grant_id;  // what batch 1 names as its previous batch
  uint64_t revision =
      0;  // rises with each admit and each change of status; heartbeats leave it alone
  StreamStatus status = StreamStatus::open;
  BatchNumber head_number = 0;
  BatchId head_id;  // grant_id where head_number is 0
  uint64_t receipt_number = 0;
  Bytes receipt;                    // Signed Receipt as published last; empty before the first
  std::vector<BatchNumber> parked;  // ascending, at most Receipt::kParkedMax
  uint64_t duplicates = 0;
  /// Of the newest of our receipts that the device showed and this store did not know: what it says
  /// was lost here (reliability.md 1.5, restored from a backup).
  BatchNumber presented_upto = 0;
  uint64_t presented_receipt = 0;
  uint64_t tombstones = 0;  // linked: batches that lie inside one have no id here
  /// The device showed less than is held here, and nothing that follows has come since.
  bool rolled_back = false;
  HeartbeatTrack heartbeats;

  /// Batches that a receipt of ours covers and that are still to come back.
  [[nodiscard]] uint64_t missing() const {
    const bool lacks = status == StreamStatus::open && head_number < presented_upto;
    return lacks ? presented_upto - head_number : 0;
  }
  [[nodiscard]] bool recovering() const { return missing() != 0; }
};

/// What an operator decided for a store that was lost or put back.
struct RecoveryMode {
  bool active = false;             // devices unknown here are let in by the grants that they show
  std::string reason;              // the operator's
  std::optional<Timestamp> since;  // nothing: never
  std::optional<Timestamp> ended_at;
  /// Newest epoch of the evidence log that may rate; each later one waits for an operator.
  uint32_t resumed_epoch = 1;
  std::string resume_reason;
  std::optional<Timestamp> resumed_at;  // nothing: never
  friend bool operator==(const RecoveryMode&, const RecoveryMode&) = default;
};

/// Somebody whose signature counts: on catalogs, corrections, approvals and what is done about
/// exceptions.
struct OperatorRow {
  std::string name;  // as check_name() takes it
  KeyAlgorithm algorithm = KeyAlgorithm::ed25519;
  KeyId key;
  Bytes public_key;  // DER SubjectPublicKeyInfo
  Timestamp added_at;
  std::optional<Timestamp> revoked_at;  // from then on nothing signed by it is taken
  friend bool operator==(const OperatorRow&, const OperatorRow&) = default;
};

/// Raw bytes that were refused before they could be linked, kept for an operator.
struct QuarantineItem {
  std::string tenant;  // empty, like device, where the topic names no enrolled device
  std::string device;
  std::string topic;
  std::string reason;
  Bytes bytes;
  Timestamp received_at;
  friend bool operator==(const QuarantineItem&, const QuarantineItem&) = default;
};

struct QuarantineCounters {
  // Per device; beyond either only the counters grow.
  static constexpr uint64_t kKeptBytesMax = 4 << 20;
  static constexpr uint64_t kKeptCountMax = 1000;
  /// What an item is charged beside its bytes and topic: nothing is kept for free.
  static constexpr uint64_t kItemOverhead = 512;

  uint64_t count = 0;
  uint64_t bytes = 0;
  uint64_t kept_count = 0;
  uint64_t kept_bytes = 0;  // as charged
  friend bool operator==(const QuarantineCounters&, const QuarantineCounters&) = default;
};

// ---- Evidence log
// ----------------------------------------------------------------------------------------------------

/// Batches and tombstones are signed by their device, the rest (statements) by the operator who
/// made them or, where no person did, by the collector.
enum class LeafKind : uint8_t {
  batch = 1,
  catalog_version = 2,
  mapping_version = 3,
  correction = 4,
  gap_acceptance = 5,
  approval = 6,
  close = 7,
  tombstone = 8,  // stands for batches that a device gave up
  operator_key = 9,
  exception_action = 10,
  epoch = 11,
};

struct LogHead {
  uint64_t size = 0;
  Digest root;  // RFC 6962 Merkle tree hash of all leaves
  friend bool operator==(const LogHead&, const LogHead&) = default;
};

struct LogEntry {
  LeafNumber leaf = 0;
  LeafKind kind = LeafKind::batch;
  Digest data;             // the batch id, the tombstone id or the statement id
  StreamId stream;         // zero for a statement
  BatchNumber number = 0;  // of a tombstone: the last that it stands for; of a statement: 1, 2, 3
                           // ... per kind
  Timestamp received_at;   // of the batch's bytes, also where it was parked first
  Bytes sealed;            // SealedBatch, Signed Tombstone, or what collector/core/statements says
  friend bool operator==(const LogEntry&, const LogEntry&) = default;
};

// ---- Fold
// ------------------------------------------------------------------------------------------------------------

/// What the fold must remember of a stream between two of its batches.
struct StreamFoldState {
  BatchNumber folded_number = 0;  // newest batch that was folded
  Seq next_seq = 1;               // every reading before it is folded, or in an exception
  Totals totals;                  // of the newest batch's manifest
  MeterRows meters;
  std::optional<BootId> boot;
  std::optional<ClockAnchor> anchor;  // the boot's latest
  friend bool operator==(const StreamFoldState&, const StreamFoldState&) = default;
};

enum class CorrectionAction : uint8_t {
  add = 1,         // one reading more
  void_usage = 2,  // the readings of a span do not count
  withdraw = 3,    // ends one of the others
};

/// A correction as the fold keeps it. What it does to usage says collector/core/correction.h.
struct CorrectionRow {
  Digest id;  // of the statement
  std::string tenant;
  std::string device;
  std::string subject;
  std::string meter;
  CorrectionAction action = CorrectionAction::add;
  Timestamp from;
  Timestamp until;                  // of an add: from + 1 ms
  std::optional<Digest> withdraws;  // the add or void that it ends
  LeafNumber leaf = 0;
  friend bool operator==(const CorrectionRow&, const CorrectionRow&) = default;
};

/// Usage that changed at or before the end of a period that some contract of the tenant has closed.
/// Whoever acts on it removes it in the same transaction (CommercialChanges::settled_touches).
struct TouchedUsage {
  SeriesId series = 0;
  QuarterHour quarter;
  Timestamp earliest;  // event time of the earliest reading that came after the close
  LeafNumber first_leaf = 0;
  LeafNumber last_leaf =
      0;  // compared when it is removed, so that nothing that came meanwhile is forgotten
  UsageValue added;  // all that came after the close in this quarter hour, late for a closed period
                     // or not; nothing where a correction only took usage out or put it back
  friend bool operator==(const TouchedUsage&, const TouchedUsage&) = default;
};

/// How far the readings of one stream can be relied on, for closing periods.
struct StreamProgress {
  StreamId stream;
  std::string tenant;
  std::string device;
  StreamClass stream_class = StreamClass::billing;
  StreamStatus status = StreamStatus::open;
  BatchNumber head_number = 0;
  BatchNumber presented_upto = 0;  // StreamRow's
  BatchNumber folded_number = 0;
  Seq folded_seq = 0;
  /// Every reading before this instant is folded, late ones excepted. Nothing: no heartbeat counts
  /// yet.
  std::optional<Timestamp> complete_through;
  Bytes promise;  // the Signed Heartbeat that says so
  std::optional<Timestamp> heartbeat_received_at;
};

// ---- Exceptions
// ------------------------------------------------------------------------------------------------------

/// Kinds in use. A word here, its owner and its allowed actions in collector/core/exceptions.
namespace exception_kind {
inline constexpr std::string_view kUndecodableBatch = "undecodable_batch";
inline constexpr std::string_view kTotalsMismatch = "totals_mismatch";
inline constexpr std::string_view kSeqMismatch = "seq_mismatch";
inline constexpr std::string_view kImplausibleTime = "implausible_time";
inline constexpr std::string_view kUnplacedTime = "unplaced_time";
inline constexpr std::string_view kCoarsened = "coarsened";
inline constexpr std::string_view kDiagnosticsDropped = "diagnostics_dropped";
inline constexpr std::string_view kSeriesLimit = "series_limit";
inline constexpr std::string_view kReservedDimension = "reserved_dimension";
inline constexpr std::string_view kBadCorrection = "bad_correction";
inline constexpr std::string_view kFork = "fork";
inline constexpr std::string_view kRollback = "rollback";
inline constexpr std::string_view kStreamReplaced = "stream_replaced";
inline constexpr std::string_view kRecovery = "recovery";
inline constexpr std::string_view kNewEpoch = "new_epoch";
inline constexpr std::string_view kLostBatches = "lost_batches";
inline constexpr std::string_view kUnknownStream = "unknown_stream";
inline constexpr std::string_view kIntroduced = "introduced";
inline constexpr std::string_view kUnmappedSubject = "unmapped_subject";
inline constexpr std::string_view kUnknownMeter = "unknown_meter";
inline constexpr std::string_view kWrongUnit = "wrong_unit";
inline constexpr std::string_view kLate = "late";
inline constexpr std::string_view kSilentDevice = "silent_device";
inline constexpr std::string_view kNotRated = "not_rated";
inline constexpr std::string_view kDeliveryRejected = "delivery_rejected";
inline constexpr std::string_view kDeliveryConflict = "delivery_conflict";
inline constexpr std::string_view kDeliveryHeld = "delivery_held";
inline constexpr std::string_view kDeliveryUnapproved = "delivery_unapproved";
}  // namespace exception_kind

enum class ExceptionState : uint8_t { open = 1, resolved = 2 };

/// A piece of work for a person. The id is deterministic: the same cause upserts the same row.
struct ExceptionRow {
  std::string id;  // at most kNameSizeMax bytes
  std::string kind;
  std::string tenant;
  std::string device;  // these are empty or 0 where they do not apply
  std::string subject;
  std::string meter;
  SeriesId series = 0;
  std::string contract;
  std::string document;
  uint64_t count = 0;  // readings, or occurrences where there are none
  Decimal value;       // of the readings concerned
  std::string unit;
  std::optional<LeafNumber> first_leaf;  // the evidence
  std::optional<LeafNumber> last_leaf;
  Timestamp first_seen;
  Timestamp last_seen;
  std::optional<Timestamp> deadline;
  std::string owner;   // role
  std::string detail;  // for a person
  ExceptionState state = ExceptionState::open;
  std::string resolved_by;
  std::optional<Timestamp> resolved_at;
  std::string resolution;
  std::string assignee;  // person; empty until somebody assigned it
  friend bool operator==(const ExceptionRow&, const ExceptionRow&) = default;
};

enum class UpsertMode : uint8_t {
  add = 1,  // count and value are more of the same: added to the row; a resolved one opens again
  replace = 2,  // count and value are the whole: they replace the row's; one that a person resolved
                // opens again only if they differ
  clear = 3,  // the cause is gone: an open row becomes resolved, with detail as the resolution; no
              // row is no error
};

/// Both modes keep the first first_seen and first_leaf and take the newer last_seen and last_leaf;
/// text is replaced where the new row has any. The deadline is the kind's, counted from the first
/// sighting, anew where a resolved one opens again.
struct ExceptionUpsert {
  UpsertMode mode = UpsertMode::add;
  ExceptionRow row;
};

enum class ExceptionActionKind : uint8_t {
  assign = 1,   // detail: the person
  map = 2,      // detail: the link that was written
  requeue = 3,  // detail: the delivery that was released
  ignore = 4,   // resolved by a person
};

/// What a person did about an exception. Never changed, never removed.
struct ExceptionAction {
  static constexpr uint32_t kPerExceptionMax = 10'000;

  std::string exception;
  uint32_t number = 0;  // 1, 2, 3 ... per exception
  ExceptionActionKind kind = ExceptionActionKind::assign;
  std::string by;  // the operator's name
  Timestamp at;
  std::string reason;  // may be empty where it is assigned
  std::string detail;
  friend bool operator==(const ExceptionAction&, const ExceptionAction&) = default;
};

// ---- Documents and deliveries
// ----------------------------------------------------------------------------------------

/// Limit for ids and names that become part of a storage key.
inline constexpr size_t kNameSizeMax = 200;

enum class DocumentState : uint8_t {
  waiting_approval = 1,
  approved = 2,   // its delivery is in the outbox
  confirmed = 3,  // the external system holds it, read back equal
  refused = 4,    // by the approver
  closed = 5,     // an order's work is done: decided_by and decided_at say by whom and when
};

struct DocumentRow {
  std::string id;  // deterministic, at most kNameSizeMax bytes
  uint32_t revision =
      1;             // 1, 2, 3 ...; each revision is a row of its own and its body never changes
  std::string kind;  // "billing-summary", "adjustment", ...
  std::string tenant;
  std::string account;
  std::string contract;
  std::string subscription;  // empty where the document covers the contract
  std::string asset;         // of a maintenance order
  Timestamp period_from;
  Timestamp period_to;
  DocumentState state = DocumentState::waiting_approval;
  std::string connector;
  Decimal total;
  std::string currency;
  std::string body;         // canonical JSON, byte for byte what is sent and proven
  std::string external_id;  // in the external system, once known
  Timestamp created_at;
  std::string decided_by;  // the operator's name, or "auto"
  std::optional<Timestamp> decided_at;
  std::optional<LeafNumber> decided_leaf;  // where the operator's approval stands in the log
  friend bool operator==(const DocumentRow&, const DocumentRow&) = default;
};

/// reliability.md 1.7. An unknown outcome is looked up before anything is sent again.
enum class DeliveryState : uint8_t {
  pending = 1,
  in_flight = 2,
  retry = 3,    // refused for now: sent again at next_attempt_at
  unknown = 4,  // may or may not have arrived: looked up at next_attempt_at
  confirmed = 5,
  rejected = 6,  // by the external system: a new revision is needed
  conflict = 7,  // found there, but different: for a person
  held = 8,      // not found, and sending again is not safe: for a person
};

struct DeliveryRow {
  std::string id;  // at most kNameSizeMax bytes; one per document, revision and connector
  std::string document;
  uint32_t revision = 1;
  std::string connector;
  std::string tenant;
  DeliveryState state = DeliveryState::pending;
  uint32_t attempt = 0;  // how often it was claimed
  uint32_t lookups = 0;  // look-ups in a row that did not find it
  uint32_t resends = 0;  // sent again because it was absent; both 0 after a person released it
  uint32_t released_at_attempt = 0;  // `attempt` when a person released it last
  /// True from the first claim whose outcome is not known until an outcome says otherwise: look up
  /// before sending.
  bool lookup_first = false;
  uint64_t lease_epoch = 0;  // of the worker that claimed it last
  Timestamp next_attempt_at;
  std::optional<Timestamp> first_sent_at;  // for the lifetime of idempotency keys
  std::string external_id;
  std::string reply;  // the newest reply or fault, for a person; cut to kReplySizeMax
  Timestamp created_at;
  Timestamp updated_at;
  static constexpr size_t kReplySizeMax = 4096;
  friend bool operator==(const DeliveryRow&, const DeliveryRow&) = default;
};

/// What one contract did about one period. Closed periods are never edited; a re-opened one would
/// be a new revision.
struct PeriodRow {
  std::string tenant;
  std::string contract;
  Timestamp from;
  Timestamp to;
  uint32_t revision = 0;  // rises with each change; 0: not stored
  bool closed = false;
  std::optional<Timestamp> closed_at;
  LeafNumber cursor = 0;  // the fold had read the log up to here
  std::string detail;     // canonical JSON: lines booked, documents, zone database version
  friend bool operator==(const PeriodRow&, const PeriodRow&) = default;
};

enum class RuleKind : uint8_t { maintenance = 1, account_update = 2 };

/// What a rule of the catalog remembers of one thing that it is about.
struct RuleRow {
  RuleKind kind = RuleKind::maintenance;
  std::string tenant;
  std::string rule;
  std::string about;      // maintenance: the asset; account_update: the contract
  uint32_t revision = 0;  // rises with each change; 0: not stored
  std::string state;      // canonical JSON: RuleState, AccountState
  friend bool operator==(const RuleRow&, const RuleRow&) = default;
};

/// A fenced right to do something alone, such as working on the outbox.
struct Lease {
  std::string name;
  std::string holder;
  uint64_t epoch = 0;  // rises whenever it is acquired
  Timestamp expires_at;
  friend bool operator==(const Lease&, const Lease&) = default;
};

}  // namespace ledgerline::collector
