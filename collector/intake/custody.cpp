#include "collector/intake/custody.h"

#include <algorithm>

#include "collector/core/enrolling.h"
#include "common/check.h"
#include "common/io/log.h"

namespace ledgerline::collector {

using io::kv;

namespace {

constexpr int kConflictsMax = 5;          // other writers that may be first, per group
constexpr size_t kUnknownSeenMax = 4096;  // beyond it an unknown format may be kept twice
constexpr std::array<std::string_view, kRefusals> kRefusalNames = {
    "bad topic",
    "too large",
    "not readable",
    "unknown format",
    "unknown device",
    "unknown stream",
    "foreign topic",
    "wrong key",
    "revoked key",
    "bad signature",
    "tombstone for a billing stream"};

tl::unexpected<Refusal> refused(Refusal refusal) { return tl::unexpected<Refusal>(refusal); }

ChainedBatch chained(const OpenBatch& batch) {
  return {batch.manifest.number, batch.id, batch.manifest.previous};
}

/// Whether this version would now read what was refused for its format.
bool is_readable(ByteView bytes) {
  if (const auto message = open_signed(bytes, payload_type::kTombstone))
    return decode_tombstone(message->body).has_value();
  const auto peek = peek_envelope(bytes);
  return peek && peek->format == EnvelopeFormat::known;
}

/// Of a billing stream only what its device forgot under a receipt and this store lost after it.
bool may_be_given_up(const StreamRow& row, const Tombstone& tombstone) {
  return row.recovering() && tombstone.last_batch <= row.presented_upto;
}

/// A row that may be absent, out of the store's not_found.
template <class T>
Result<std::optional<T>> optional_row(Result<T> row) {
  if (row) return std::optional<T>(std::move(*row));
  if (row.error().code() == Errc::not_found) return std::optional<T>();
  return fail(std::move(row).error());
}

}  // namespace

std::string_view to_string(Refusal refusal) { return kRefusalNames[static_cast<size_t>(refusal)]; }

Result<std::vector<Outbound>> Custody::accept(const std::vector<Arrival>& group) {
  std::vector<Outbound> out;
  Cache cache;
  std::map<StreamId, StreamGroup> batches;
  std::vector<std::pair<const Arrival*, Topic>> statements;
  for (const Arrival& arrival : group) {
    const auto topic = parse_topic(arrival.topic);
    if (!topic || topic->leaf == TopicLeaf::receipt || topic->leaf == TopicLeaf::answer) {
      TRY_VOID(refuse(arrival, Refusal::bad_topic, cache));
      continue;
    }
    if (topic->leaf != TopicLeaf::batch) {
      statements.emplace_back(&arrival, *topic);
      continue;
    }
    ++counters_.batches;
    counters_.batch_bytes += arrival.payload.size();
    TRY(auto checked, check_batch(arrival, *topic, cache));
    if (!checked) {
      TRY_VOID(refuse(arrival, checked.error(), cache));
      continue;
    }
    auto& stream = batches[checked->stream];
    stream.topic = *topic;
    stream.batches.push_back(*checked);
  }
  TRY_VOID(take_batches(batches, out));
  // After the batches: an answer speaks of the state that holds what came before the question.
  std::map<StreamId, HeartbeatPut> heartbeats;
  for (const auto& [arrival, topic] : statements) {
    if (topic.leaf == TopicLeaf::heartbeat) {
      TRY_VOID(take_heartbeat(*arrival, topic, cache, heartbeats, out));
    } else if (const auto asks = open_signed(arrival->payload, payload_type::kCheckpointRequest)) {
      TRY_VOID(take_checkpoint_request(*asks, *arrival, topic, out));
    } else if (open_signed(arrival->payload, payload_type::kIntroduction)) {
      TRY_VOID(take_introduction(*arrival, topic));
    } else {
      TRY_VOID(take_resume(*arrival, topic, out));
    }
  }
  TRY_VOID(put_heartbeats(heartbeats));
  TRY_VOID(read_recovery());
  return out;
}

Result<std::vector<Outbound>> Custody::offer_unknown_formats_again() {
  std::vector<Outbound> out;
  std::string tenant;
  std::string device;
  while (true) {
    TRY(const auto devices, store_.list_devices({}, tenant, device, 256));
    if (devices.empty()) {
      TRY_VOID(read_recovery());
      return out;
    }
    for (const auto& row : devices) {
      TRY(const auto items, store_.list_quarantine(row.tenant, row.device, 10'000));
      std::vector<Arrival> readable;
      for (const auto& item : items) {
        if (item.reason != to_string(Refusal::unknown_format)) continue;
        if (unknown_seen_.size() < kUnknownSeenMax) unknown_seen_.insert(sha256(item.bytes));
        if (!is_readable(item.bytes)) continue;
        readable.push_back({item.topic, item.bytes, item.received_at});
      }
      TRY(auto published, accept(readable));
      std::move(published.begin(), published.end(), std::back_inserter(out));
    }
    tenant = devices.back().tenant;
    device = devices.back().device;
  }
}

// ---- Checks
// --------------------------------------------------------------------------------------

Custody::Outcome<Custody::Checked> Custody::check_batch(const Arrival& arrival, const Topic& topic,
                                                        Cache& cache) {
  if (arrival.payload.size() > OpenBatch::kSealedSizeMax) return refused(Refusal::too_large);
  if (const auto tombstone = open_signed(arrival.payload, payload_type::kTombstone))
    return check_tombstone(*tombstone, arrival, topic, cache);
  const auto peek = peek_envelope(arrival.payload);
  if (!peek) return refused(Refusal::not_readable);
  if (peek->format == EnvelopeFormat::unknown) return refused(Refusal::unknown_format);
  auto batch = open_envelope(arrival.payload);
  if (!batch) return refused(Refusal::not_readable);
  TRY(const auto row,
      check_stream(batch->manifest.stream, batch->key, topic, arrival.received_at, cache));
  if (!row) return refused(row.error());
  TRY(const auto key, stream_key(**row, cache));
  if (!verify_envelope(*batch, key)) return refused(Refusal::bad_signature);
  return Checked{batch->manifest.stream, chained(*batch), std::nullopt, &arrival};
}

Custody::Outcome<Custody::Checked> Custody::check_tombstone(const SignedMessage& message,
                                                            const Arrival& arrival,
                                                            const Topic& topic, Cache& cache) {
  const auto tombstone = decode_tombstone(message.body);
  if (!tombstone && tombstone.error().code() == Errc::reject)
    return refused(Refusal::unknown_format);
  if (!tombstone) return refused(Refusal::not_readable);
  TRY(const auto row,
      check_stream(tombstone->stream, message.key, topic, arrival.received_at, cache));
  if (!row) return refused(row.error());
  TRY(const auto key, stream_key(**row, cache));
  if (!verify(message, key)) return refused(Refusal::bad_signature);
  if ((*row)->grant.stream_class == StreamClass::billing && !may_be_given_up(**row, *tombstone))
    return refused(Refusal::billing_tombstone);
  const ChainedBatch step{tombstone->last_batch, tombstone->last_id, tombstone->previous,
                          tombstone->first_batch};
  return Checked{tombstone->stream, step, tombstone_id(message.body), &arrival};
}

Custody::Outcome<const StreamRow*> Custody::check_stream(const StreamId& stream, const KeyId& key,
                                                         const Topic& topic, Timestamp received_at,
                                                         Cache& cache) {
  TRY(const DeviceRow* device, device_row(topic.tenant, topic.device, cache));
  if (device == nullptr) return refused(Refusal::unknown_device);
  TRY(const StreamRow* row, stream_row(stream, cache));
  if (row == nullptr) return refused(Refusal::unknown_stream);
  const StreamGrant& grant = row->grant;
  if (grant.tenant != topic.tenant || grant.device != topic.device ||
      grant.partition != topic.partition) {
    return refused(Refusal::foreign_topic);
  }
  const DeviceKey* known = find_key(*device, grant.key);
  if (known == nullptr || key != grant.key) return refused(Refusal::wrong_key);
  if (!key_is_active(*known, received_at)) return refused(Refusal::revoked_key);
  return row;
}

Result<PublicKey> Custody::stream_key(const StreamRow& row, Cache& cache) {
  TRY(const DeviceRow* device, device_row(row.grant.tenant, row.grant.device, cache));
  const DeviceKey* key = device == nullptr ? nullptr : find_key(*device, row.grant.key);
  CHECK_INVARIANT(key != nullptr);  // check_stream has found it
  return PublicKey::from_der(key->algorithm, key->public_key);
}

Result<const StreamRow*> Custody::stream_row(const StreamId& stream, Cache& cache) {
  auto found = cache.streams.find(stream);
  if (found == cache.streams.end()) {
    TRY(auto row, optional_row(store_.stream(stream)));
    found = cache.streams.emplace(stream, std::move(row)).first;
  }
  return found->second ? &*found->second : nullptr;
}

Result<const DeviceRow*> Custody::device_row(const std::string& tenant, const std::string& device,
                                             Cache& cache) {
  auto found = cache.devices.find({tenant, device});
  if (found == cache.devices.end()) {
    TRY(auto row, optional_row(store_.device(tenant, device)));
    found = cache.devices.emplace(std::pair(tenant, device), std::move(row)).first;
  }
  return found->second ? &*found->second : nullptr;
}

// ---- Batches
// -------------------------------------------------------------------------------------

Status Custody::take_batches(const std::map<StreamId, StreamGroup>& groups,
                             std::vector<Outbound>& out) {
  for (int attempt = 1; !groups.empty(); ++attempt) {
    std::map<StreamId, Decided> decisions;
    for (const auto& [stream, group] : groups) {
      TRY(const auto row, store_.stream(stream));
      TRY(decisions[stream], decide(group, row));
    }
    TRY_VOID(quarantine_forked_devices(decisions));
    std::vector<AdmitChange> changes;
    for (auto& [stream, decided] : decisions) {
      if (!decided.changed) continue;
      TRY_VOID(add_receipt(decided.row, decided.linkage, decided.change));
      changes.push_back(std::move(decided.change));
    }
    if (!changes.empty()) {
      auto admitted = store_.admit(changes);
      if (!admitted && admitted.error().code() == Errc::conflict && attempt < kConflictsMax)
        continue;
      if (!admitted) return fail(std::move(admitted).error());
      next_leaf_ = *admitted;
      recovery_read_at_.reset();
      counters_.receipts += changes.size();
    }
    for (const auto& [stream, decided] : decisions) count(decided);
    for (const auto& [stream, group] : groups) TRY_VOID(publish_receipts(group.topic, out));
    return {};
  }
  return {};
}

Status Custody::quarantine_forked_devices(std::map<StreamId, Decided>& decisions) {
  std::set<std::pair<std::string, std::string>> forked;
  for (const auto& [stream, decided] : decisions) {
    if (!decided.linkage.frozen_at) continue;
    forked.emplace(decided.row.grant.tenant, decided.row.grant.device);
  }
  for (const auto& [tenant, device] : forked) {
    TRY(auto streams, store_.streams_of(tenant, device));
    for (auto& row : streams) {
      if (row.status != StreamStatus::open) continue;
      auto [found, added] = decisions.try_emplace(row.grant.stream);
      if (added) found->second = as_it_is(std::move(row));
      found->second.changed = true;
      found->second.change.status = StreamStatus::frozen;
      if (!found->second.row.recovering()) continue;
      found->second.change.exceptions.push_back(recovery_ended(
          found->second.row, "the stream was frozen by a fork of its device", clock_.now()));
    }
  }
  return {};
}

Result<LinkageState> Custody::linkage_state(const StreamGroup& group, const StreamRow& row) {
  LinkageState state{.status = row.status, .head_number = row.head_number, .head_id = row.head_id};
  const StreamId& stream = row.grant.stream;
  state.linked[0] = row.grant_id;
  for (const auto& checked : group.batches) {
    const ChainedBatch& batch = checked.batch;
    const BatchNumber before = (batch.first == 0 ? batch.number : batch.first) - 1;
    for (const BatchNumber known : {before, batch.number}) {
      if (known > row.head_number || state.linked.contains(known)) continue;
      TRY(const auto id, store_.batch_id(stream, known));
      if (id) state.linked[known] = *id;
      // Else it lies inside a tombstone.
      if (!id && row.tombstones == 0 && row.grant.stream_class == StreamClass::billing)
        return fail(Error(Errc::corrupt, "a linked batch is gone").with("stream", stream.hex()));
    }
  }
  for (const BatchNumber number : row.parked) {
    TRY(const auto parked, store_.parked(stream, number));
    TRY(const auto batch, open_envelope(parked.sealed));
    state.parked[number] = chained(batch);
  }
  if (row.status != StreamStatus::open) {
    TRY(const auto forks, store_.forks(stream));
    for (const auto& fork : forks) state.forks.insert(fork.id);
  }
  return state;
}

Custody::Decided Custody::as_it_is(StreamRow row) {
  Decided out;
  out.change.stream = row.grant.stream;
  out.change.expected_revision = row.revision;
  out.linkage.head_number = row.head_number;
  out.linkage.head_id = row.head_id;
  out.linkage.parked = row.parked;
  out.row = std::move(row);
  return out;
}

Result<Custody::Decided> Custody::decide(const StreamGroup& group, const StreamRow& row) {
  Decided out = as_it_is(row);
  TRY(const auto state, linkage_state(group, row));
  std::vector<ChainedBatch> arrivals;
  for (const auto& checked : group.batches) arrivals.push_back(checked.batch);
  out.linkage = link_group(state, arrivals);
  out.changed = out.linkage.changed();
  if (!out.changed) return out;

  AdmitChange& change = out.change;
  for (const auto& link : out.linkage.links) {
    LinkedBatch linked{link.number, link.id, {}, {}};
    if (link.arrival) {
      const Checked& checked = group.batches[*link.arrival];
      linked.sealed = checked.arrival->payload;
      linked.received_at = checked.arrival->received_at;
      linked.tombstone = checked.tombstone;
      out.tombstones += checked.tombstone ? 1 : 0;
    }
    change.links.push_back(std::move(linked));
  }
  const auto side = [&](size_t i) {
    const Checked& checked = group.batches[i];
    return SideBatch{checked.batch.number, checked.batch.id, checked.arrival->payload,
                     checked.arrival->received_at};
  };
  for (const size_t i : out.linkage.parks) change.parks.push_back(side(i));
  for (const size_t i : out.linkage.keeps) change.forks.push_back(side(i));
  change.duplicates = static_cast<uint64_t>(
      std::count(out.linkage.fates.begin(), out.linkage.fates.end(), Fate::duplicate));
  if (out.linkage.frozen_at) {
    change.status = StreamStatus::frozen;
    TRY(const auto fork, fork_facts(group, out.linkage, row));
    change.exceptions.push_back(fork_opened(row, fork, clock_.now()));
  }
  if (row.recovering() && out.linkage.head_number >= row.presented_upto) {
    change.exceptions.push_back(recovery_ended(
        row, "every batch up to " + std::to_string(row.presented_upto) + " is back", clock_.now()));
  }
  if (row.rolled_back && !change.links.empty()) {
    change.rolled_back = false;
    change.exceptions.push_back(rollback_ended(row, clock_.now()));
  }
  return out;
}

Result<ForkFacts> Custody::fork_facts(const StreamGroup& group, const Linkage& linkage,
                                      const StreamRow& row) {
  ForkFacts out{.agree_upto = *linkage.frozen_at, .linked_upto = linkage.head_number};
  if (row.heartbeats.newest.number != 0) out.boots.insert(row.heartbeats.newest.boot_id);
  TRY(const auto folded, store_.fold_state(row.grant.stream));
  if (folded && folded->boot) out.boots.insert(*folded->boot);
  for (const size_t i : linkage.keeps) {
    if (out.number == 0) out.number = group.batches[i].batch.number;
    const auto batch = open_envelope(group.batches[i].arrival->payload);
    if (!batch) continue;
    const auto columns = open_columns(*batch, folded ? folded->meters : MeterRows());
    if (!columns) continue;
    for (const Record& record : columns->records) {
      if (const auto* boot = std::get_if<BootRecord>(&record.kind)) out.boots.insert(boot->boot_id);
    }
  }
  return out;
}

Status Custody::add_receipt(const StreamRow& row, const Linkage& linkage, AdmitChange& change) {
  Receipt receipt;
  receipt.stream = row.grant.stream;
  receipt.number = row.receipt_number + 1;
  receipt.linked_upto = linkage.head_number;
  receipt.chain_value = linkage.head_id;
  receipt.parked = linkage.parked;
  receipt.status = change.status.value_or(row.status);
  receipt.epoch = row.grant.epoch;
  receipt.issued_at = clock_.now();
  change.receipt_number = receipt.number;
  TRY(change.receipt, sign(payload_type::kReceipt, encode(receipt), signer_));
  return {};
}

void Custody::count(const Decided& decided) {
  const Linkage& linkage = decided.linkage;
  for (const Fate fate : linkage.fates) {
    switch (fate) {
      case Fate::linked:
        ++counters_.linked;
        break;
      case Fate::duplicate:
        ++counters_.duplicates;
        break;
      case Fate::parked:
        ++counters_.parked;
        break;
      case Fate::forked:
        ++counters_.forked;
        break;
      case Fate::kept:
        ++counters_.kept_frozen;
        break;
      case Fate::dropped:
        ++counters_.dropped;
        break;
    }
  }
  for (const auto& link : linkage.links) counters_.linked_from_parked += link.arrival ? 0 : 1;
  counters_.tombstones += decided.tombstones;
  if (linkage.frozen_at) {
    io::log_error("stream_frozen", {kv("reason", "fork"), kv("agree_upto", *linkage.frozen_at),
                                    kv("linked_upto", linkage.head_number)});
  }
}

Status Custody::publish_receipts(const Topic& topic, std::vector<Outbound>& out) {
  TRY(auto streams, store_.streams_of(topic.tenant, topic.device));
  std::stable_sort(streams.begin(), streams.end(), [](const StreamRow& a, const StreamRow& b) {
    return a.grant.issued_at > b.grant.issued_at;
  });
  std::vector<Bytes> receipts;
  for (auto& row : streams) {
    if (!row.receipt.empty() && receipts.size() < kReceiptSetMax)
      receipts.push_back(std::move(row.receipt));
  }
  if (receipts.empty()) return {};
  Topic to = topic;
  to.leaf = TopicLeaf::receipt;
  out.push_back({to.text(), encode_receipt_set(receipts), true});
  return {};
}

// ---- Quarantine
// ----------------------------------------------------------------------------------

Status Custody::refuse(const Arrival& arrival, Refusal refusal, Cache& cache) {
  ++counters_.refused[static_cast<size_t>(refusal)];
  QuarantineItem item;
  // The broker ties the topic to the certificate, so it names who sent this.
  const auto topic = parse_topic(arrival.topic);
  if (topic) {
    TRY(const DeviceRow* device, device_row(topic->tenant, topic->device, cache));
    if (device != nullptr) {
      item.tenant = topic->tenant;
      item.device = topic->device;
    }
  }
  if (refusal == Refusal::unknown_format) {
    const Digest hash = sha256(arrival.payload);
    if (unknown_seen_.contains(hash)) return {};
    if (unknown_seen_.size() < kUnknownSeenMax) unknown_seen_.insert(hash);
  }
  // Who has used its budget up costs no more commits.
  if (budget_used_up_.contains({item.tenant, item.device})) {
    ++counters_.quarantine_full;
    return {};
  }
  item.topic = arrival.topic.substr(0, 512);
  item.reason = to_string(refusal);
  item.bytes = arrival.payload;
  if (item.bytes.size() > OpenBatch::kSealedSizeMax) item.bytes.resize(OpenBatch::kSealedSizeMax);
  item.received_at = arrival.received_at;
  TRY(const auto counters, store_.quarantine(item));
  if (counters.kept_count < counters.count) budget_used_up_.insert({item.tenant, item.device});
  io::log_warn("quarantined", {kv("topic", item.topic), kv("reason", item.reason),
                               kv("bytes", arrival.payload.size())});
  return {};
}

}  // namespace ledgerline::collector
