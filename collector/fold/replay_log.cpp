#include "collector/fold/replay_log.h"

#include <algorithm>

#include "collector/core/operators.h"
#include "common/check.h"
#include "common/merkle.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kPage = 1000;
constexpr ReadLogLimits kSlice{.count = 1024, .bytes = 8 << 20};
constexpr size_t kGroupBytes = 8 << 20;
constexpr size_t kGroupStatements = 256;

tl::unexpected<Error> wrong(const LogEntry& leaf, const std::string& what) {
  return fail(Errc::corrupt, leaf_name(leaf) + ": " + what);
}

StatementPut put_of(const LogEntry& leaf) {
  return {.kind = leaf.kind,
          .id = leaf.data,
          .sealed = leaf.sealed,
          .at = leaf.received_at,
          .expected_count = std::nullopt};
}

}  // namespace

Status ReplayLog::begin() {
  const auto origin = source_.log_origin();
  if (origin) TRY_VOID(target_.ensure_origin(*origin));
  if (!origin && origin.error().code() != Errc::not_found) return fail(origin.error());
  std::string tenant;
  std::string device;
  for (;;) {
    TRY(const auto page, source_.list_devices({}, tenant, device, kPage));
    for (const DeviceRow& row : page) TRY_VOID(take_device(row));
    if (page.size() < kPage) return {};
    tenant = page.back().tenant;
    device = page.back().device;
  }
}

Status ReplayLog::take_device(const DeviceRow& device) {
  uint64_t revision = 0;
  for (const DeviceKey& key : device.keys) {
    TRY(const DeviceRow row, target_.put_device({.tenant = device.tenant,
                                                 .device = device.device,
                                                 .expected_revision = revision,
                                                 .key = key,
                                                 .streams = {},
                                                 .closes = {},
                                                 .at = device.enrolled_at,
                                                 .exceptions = {}}));
    revision = row.revision;
  }
  TRY(const auto rows, source_.streams_of(device.tenant, device.device));
  for (const StreamRow& row : rows) {
    Stream stream{.row = row,
                  .since = std::max(device.enrolled_at, row.grant.issued_at),
                  .key = {},
                  .replayed = std::nullopt,
                  .promise = {}};
    for (const DeviceKey& key : device.keys) {
      if (key.id == row.grant.key) stream.key = key;
    }
    if (row.grant.stream_class == StreamClass::diagnostic)
      diagnostic_.emplace(stream.since, row.grant.stream);
    streams_.emplace(row.grant.stream, std::move(stream));
  }
  return {};
}

Result<std::vector<LogEntry>> ReplayLog::read(LeafNumber from, LeafNumber end) {
  ReadLogLimits limits = kSlice;
  limits.count = std::min<uint64_t>(limits.count, end - from);
  auto leaves = source_.read_log(from, limits);
  // What stands before the damage is taken first.
  if (!leaves && leaves.error().code() == Errc::corrupt)
    leaves = source_.read_log(from, {.count = 1});
  if (!leaves)
    return fail(Error(leaves.error().code(),
                      "leaf " + std::to_string(from) + ": " + leaves.error().text()));
  const auto is_next = [next = from](const LogEntry& leaf) mutable { return leaf.leaf == next++; };
  const auto hole = std::find_if_not(leaves->begin(), leaves->end(), is_next);
  leaves->erase(hole, leaves->end());
  if (leaves->empty()) {
    return fail(Errc::corrupt, "leaf " + std::to_string(from) + " is missing: the log had " +
                                   std::to_string(end) + " leaves");
  }
  return leaves;
}

Status ReplayLog::enroll(Stream& stream) {
  if (stream.revision != 0) return {};
  const StreamGrant& grant = stream.row.grant;
  TRY_VOID(check_grant(stream.row, collector_));
  const auto key = PublicKey::from_der(stream.key.algorithm, stream.key.public_key);
  if (!key || stream.key.id != grant.key || key->id() != grant.key) {
    return fail(Errc::corrupt, "stream " + grant.stream.hex() + " of device " + grant.device +
                                   ": the store lacks the key that it was granted to");
  }
  TRY_VOID(flush());  // which may concern its predecessor
  TRY(const DeviceRow device, target_.device(grant.tenant, grant.device));
  DeviceEnrolment enrolment{.tenant = grant.tenant,
                            .device = grant.device,
                            .expected_revision = device.revision,
                            .key = stream.key,
                            .streams = {},
                            .closes = {},
                            .at = stream.since,
                            .exceptions = {}};
  enrolment.streams.push_back({grant, stream.row.signed_grant, stream.row.grant_id});
  const auto before = grant.predecessor ? streams_.find(*grant.predecessor) : streams_.end();
  if (before != streams_.end() && before->second.revision != 0) {
    enrolment.closes.push_back(*grant.predecessor);
    ++before->second.revision;
  }
  TRY_VOID(target_.put_device(enrolment));
  stream.revision = 1;
  stream.replayed = ReplayedStream{.grant = grant,
                                   .grant_id = stream.row.grant_id,
                                   .key = *key,
                                   .head_number = 0,
                                   .head_id = stream.row.grant_id};
  return {};
}

Result<ReplayLog::Stream*> ReplayLog::stream_of(const LogEntry& leaf) {
  const auto found = streams_.find(leaf.stream);
  if (found == streams_.end()) return wrong(leaf, "the store knows no such stream");
  TRY_VOID(enroll(found->second));
  return &found->second;
}

Result<ChainedBatch> ReplayLog::checked_batch(const LogEntry& leaf, const ReplayedStream& stream) {
  if (leaf.kind == LeafKind::batch) return check_batch(leaf, stream);
  TRY_VOID(flush());
  TRY(const BatchNumber first, first_of_tombstone(leaf));
  std::optional<BatchId> before;
  if (first > 1) {
    TRY(before, target_.batch_id(leaf.stream, first - 1));
  }
  return check_tombstone(leaf, stream, before);
}

Status ReplayLog::take_batch(const LogEntry& leaf) {
  TRY(Stream* const stream, stream_of(leaf));
  TRY(const ChainedBatch batch, checked_batch(leaf, *stream->replayed));
  // A group holds each stream once, in the order of the leaves.
  const bool goes_on = !admits_.empty() && admits_.back().stream == leaf.stream;
  if (!statements_.empty() || admitted_bytes_ > kGroupBytes ||
      (!goes_on && admitted_.contains(leaf.stream)))
    TRY_VOID(flush());
  if (admits_.empty() || admits_.back().stream != leaf.stream) {
    AdmitChange change;
    change.stream = leaf.stream;
    change.expected_revision = stream->revision++;
    admits_.push_back(std::move(change));
    admitted_.insert(leaf.stream);
  }
  LinkedBatch link{.number = batch.number,
                   .id = batch.id,
                   .sealed = leaf.sealed,
                   .received_at = leaf.received_at};
  if (leaf.kind == LeafKind::tombstone) link.tombstone = leaf.data;
  admits_.back().links.push_back(std::move(link));
  admitted_bytes_ += leaf.sealed.size();
  stream->replayed->head_number = batch.number;
  stream->replayed->head_id = batch.id;
  return {};
}

Result<OpenStatement> ReplayLog::checked(const LogEntry& leaf) {
  return check_statement(leaf, collector_, operators_);
}

Status ReplayLog::carry(const LogEntry& leaf) {
  if (!admits_.empty() || statements_.size() >= kGroupStatements) TRY_VOID(flush());
  statements_.push_back(put_of(leaf));
  return {};
}

Status ReplayLog::take_statement(const LogEntry& leaf) {
  TRY_VOID(checked(leaf));
  return carry(leaf);
}

Status ReplayLog::take_operator(const LogEntry& leaf) {
  TRY(const OpenStatement statement, checked(leaf));
  const auto said = OperatorStatement::parse(statement.json);
  if (!said) return wrong(leaf, said.error().text());
  if (said->by != kByCollector) return wrong(leaf, "it is not the collector's");
  const auto key = PublicKey::from_der(said->algorithm, said->public_key);
  if (!key) return wrong(leaf, key.error().text());
  OperatorRow row = new_operator(said->name, *key, said->at);
  if (said->revoked) {
    const OperatorRow* added = find_operator(operators_, key->id());
    if (added == nullptr || added->name != said->name)
      return wrong(leaf, "it revokes a key that the operator never had");
    row.added_at = added->added_at;
    row.revoked_at = said->at;
  }
  TRY_VOID(flush());
  const auto stored = target_.put_operator(row, put_of(leaf));
  if (!stored && stored.error().code() == Errc::conflict) return wrong(leaf, stored.error().text());
  TRY_VOID(stored);
  TRY(operators_, target_.operators());
  return {};
}

Status ReplayLog::enroll_until(const CloseStatement& close) {
  for (const CloseStatement::Stream& named : close.streams) {
    const auto found = streams_.find(named.stream);
    if (found != streams_.end()) TRY_VOID(enroll(found->second));
  }
  while (!diagnostic_.empty() && diagnostic_.begin()->first <= close.at) {
    TRY_VOID(enroll(streams_.at(diagnostic_.begin()->second)));
    diagnostic_.erase(diagnostic_.begin());
  }
  return {};
}

Status ReplayLog::take_promises(const LogEntry& leaf, const CloseStatement& close) {
  TRY(const SealedClose sealed, decode_sealed_close(leaf.sealed));
  std::vector<HeartbeatPut> puts;
  for (const Bytes& bytes : sealed.heartbeats) {
    TRY(const SignedMessage message, open_signed(bytes, payload_type::kHeartbeat));
    TRY(const Heartbeat heartbeat, decode_heartbeat(message.body));
    const auto named = std::find_if(
        close.streams.begin(), close.streams.end(),
        [&](const CloseStatement::Stream& one) { return one.stream == heartbeat.stream; });
    const auto stream = streams_.find(heartbeat.stream);
    if (named == close.streams.end() || stream == streams_.end())
      return wrong(leaf, "it rests on a promise of stream " + heartbeat.stream.hex() +
                             ", which it does not name");
    if (stream->second.promise == bytes) continue;
    if (!verify(message, stream->second.replayed->key))
      return wrong(
          leaf, "the promise of stream " + heartbeat.stream.hex() + " is not signed by its device");
    stream->second.promise = bytes;
    // A promise holds up to the moment it was received at most.
    puts.push_back({.heartbeat = heartbeat,
                    .received_at = std::min(named->complete_through.value_or(close.at),
                                            heartbeat.complete_through),
                    .exception = std::nullopt,
                    .signed_bytes = bytes});
  }
  TRY_VOID(target_.put_heartbeats(puts));
  return {};
}

Status ReplayLog::flush() {
  if (!admits_.empty()) TRY_VOID(target_.admit(admits_));
  admits_.clear();
  admitted_.clear();
  admitted_bytes_ = 0;
  if (statements_.empty()) return {};
  CommercialChanges changes;
  changes.statements = std::move(statements_);
  statements_.clear();
  return target_.put_documents(changes);
}

Result<std::optional<LogEntry>> ReplayLog::first_altered(uint64_t size) {
  for (LeafNumber from = 0; from < size;) {
    TRY(auto leaves, read(from, size));
    for (LogEntry& leaf : leaves) {
      // A leaf's hash as it was stored is the first one in its neighbour's proof.
      const LeafNumber neighbour = leaf.leaf ^ 1U;
      if (neighbour >= size) return std::nullopt;
      TRY(const auto proof, source_.inclusion_proof(neighbour, size));
      CHECK_INVARIANT(!proof.empty());
      if (proof.front() != leaf_hash(leaf.data.view())) return std::optional(std::move(leaf));
    }
    from += leaves.size();
  }
  return std::nullopt;
}

}  // namespace ledgerline::collector
