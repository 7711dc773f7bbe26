// What the devices say: grants, batches in their chain, completeness.
#include <algorithm>
#include <tuple>

#include "collector/core/folding.h"
#include "collector/core/gap_acceptance.h"
#include "collector/core/verification.h"
#include "collector/core/wall_time.h"

namespace ledgerline::collector {

namespace {

constexpr Timestamp kLatestReceipt{253'402'300'799'999};  // 9999-12-31T23:59:59.999Z

Error refuse(std::string what) { return Error(Errc::corrupt, std::move(what)); }

std::string stream_name(const StreamGrant& grant) {
  return "device " + grant.device + ", stream " + grant.stream.hex().substr(0, 8);
}

std::string batch_name(const StreamGrant& grant, BatchNumber number) {
  return "batch " + std::to_string(number) + " of " + stream_name(grant);
}

/// The clock and the meters that a batch leaves to the next one of the chain.
void follow(const std::vector<Record>& records, std::optional<ClockAnchor>& anchor) {
  for (const Record& record : records) {
    if (std::holds_alternative<BootRecord>(record.kind)) anchor.reset();
    if (const auto* one = std::get_if<ClockAnchor>(&record.kind)) anchor = *one;
  }
}

uint32_t newest_table(const std::vector<Record>& records, uint32_t before) {
  for (const Record& record : records) {
    if (const auto* table = std::get_if<MeterTable>(&record.kind))
      before = std::max(before, table->number);
  }
  return before;
}

}  // namespace

Status Verification::check_grants() {
  for (const Bytes& part : bundle_.grants) {
    const auto message = open_signed(part, payload_type::kGrant);
    if (!message) return fail(refuse("a grant cannot be read"));
    TRY(auto grant, decode_grant(message->body));
    const std::string name = stream_name(grant);
    const bool ours =
        std::any_of(keys_.collectors.begin(), keys_.collectors.end(),
                    [&](const PublicKey& key) { return verify(*message, key).has_value(); });
    if (!ours) return fail(refuse("the grant of " + name + " is not signed by the collector"));
    if (grant.tenant != close_.tenant)
      return fail(refuse("the grant of " + name + " is of another tenant"));
    if (grant.stream_class != StreamClass::billing)
      return fail(refuse("the grant of " + name + " is of no billing stream"));
    const auto known = keys_.devices.find(grant.tenant + "." + grant.device);
    const auto* key = known == keys_.devices.end() ? nullptr : &known->second;
    const auto found = key == nullptr
                           ? std::vector<PublicKey>::const_iterator()
                           : std::find_if(key->begin(), key->end(),
                                          [&](const auto& one) { return one.id() == grant.key; });
    if (key == nullptr || found == key->end()) {
      return fail(refuse("the stream of " + name + " is granted to a key that --keys does not " +
                         "name as that device's"));
    }
    const StreamId id = grant.stream;
    const BatchId first = grant_id(message->body);
    if (!streams_.emplace(id, Stream{std::move(grant), *found, first, {}}).second)
      return fail(refuse("a stream is granted twice"));
  }
  return {};
}

Status Verification::check_chain(const CloseStatement::Stream& closed,
                                 const std::vector<OpenBatch>& open, const Stream& stream,
                                 size_t& run_begin) {
  run_begin = open.size();
  if (closed.batch == 0) {
    if (closed.batch_id != stream.grant_id)
      return fail(
          refuse("the close statement names another grant for " + stream_name(stream.grant)));
    return {};
  }
  if (open.empty() || open.back().manifest.number != closed.batch ||
      open.back().id != closed.batch_id) {
    return fail(refuse(batch_name(stream.grant, closed.batch) +
                       ", the newest that the close statement names, is missing or another one"));
  }
  if (open.front().manifest.number != 1)
    return fail(
        refuse(batch_name(stream.grant, 1) + ", which is chained to the grant, is missing"));
  if (open.front().manifest.previous != stream.grant_id)
    return fail(refuse("batch 1 of " + stream_name(stream.grant) + " is of another grant"));
  run_begin = open.size() - 1;
  while (run_begin > 0) {
    const Manifest& next = open[run_begin].manifest;
    const OpenBatch& batch = open[run_begin - 1];
    if (batch.manifest.number + 1 != next.number) break;
    if (batch.id != next.previous || batch.manifest.last_seq + 1 != next.first_seq) {
      return fail(refuse(batch_name(stream.grant, batch.manifest.number) +
                         " is not the one that the next batch is chained to"));
    }
    --run_begin;
  }
  // What stands before the run gives meters only, and must not be used to hide a hole in it.
  for (size_t i = 0; i < run_begin; ++i) {
    if (!stream.batches[i]->path) {
      return fail(refuse(batch_name(stream.grant, open[i].manifest.number + 1) + " is missing"));
    }
  }
  return {};
}

Status Verification::check_totals(const Totals& before, const Batch& batch) {
  if (!batch.disclosed.withheld.empty()) return {};
  ++added_up_;
  std::map<uint32_t, Int128> sums;
  for (const auto& [meter, total] : before) sums[meter] = total;
  const Columns& columns = batch.disclosed.columns;
  for (size_t i = 0; i < columns.size(); ++i) sums[columns.meters[i]] += columns.values[i];
  for (const auto& [meter, total] : batch.manifest.totals) {
    if (sums[meter] != total) {
      return fail(refuse("the readings of " + batch_name(batch.stream->grant, batch.number) +
                         " do not add up to the totals that the device signed"));
    }
  }
  return {};
}

Status Verification::check_clock(const Batch& batch, bool& boot_shown) const {
  const Columns& columns = batch.disclosed.columns;
  size_t from_boot = columns.size();
  for (const Record& record : columns.records) {
    if (std::holds_alternative<BootRecord>(record.kind))
      from_boot = std::min(from_boot, columns.index_of(record.before_seq));
  }
  if (!boot_shown) {
    const WallTimes times = wall_times(columns, batch.anchor);
    const auto end = times.ms.begin() + static_cast<std::ptrdiff_t>(from_boot);
    if (std::find(times.ms.begin(), end, kNoTime) != end) {
      return fail(refuse("readings of " + batch_name(batch.stream->grant, batch.number) +
                         " are on the clock of a boot whose beginning is not shown"));
    }
  }
  boot_shown = boot_shown || from_boot < columns.size();
  return {};
}

Status Verification::open_batches(const Stream& stream, const CloseStatement::Stream& closed) {
  std::vector<OpenBatch> open;
  for (const BundleBatch* part : stream.batches) {
    const std::string name = batch_name(stream.grant, part->number);
    auto batch = open_envelope(part->sealed, Withheld::allowed);
    if (!batch) return fail(refuse(name + ": " + batch.error().message()));
    if (batch->manifest.stream != part->stream || batch->manifest.number != part->number)
      return fail(refuse(name + " says it is another batch"));
    if (const auto status = verify_envelope(*batch, stream.key); !status)
      return fail(refuse(name + ": " + status.error().message()));
    const bool last = part == stream.batches.back();
    if (last && !part->path) return fail(refuse(name + " has no path to the checkpoint"));
    if (part->received_at < kEarliestPlausible || part->received_at > kLatestReceipt)
      return fail(refuse("the time of receipt of " + name + " cannot be true"));
    if (part->path && !verify_inclusion(leaf_hash(batch->id.view()), part->path->index,
                                        checkpoint_.size, part->path->hashes, checkpoint_.root))
      return fail(refuse(name + " is not in the log of the checkpoint"));
    open.push_back(std::move(*batch));
  }
  size_t run_begin = 0;
  TRY_VOID(check_chain(closed, open, stream, run_begin));

  MeterRows meters;
  std::optional<ClockAnchor> anchor;
  uint32_t table = 0;
  bool boot_shown = run_begin == 0;
  for (size_t i = 0; i < open.size(); ++i) {
    const Manifest& manifest = open[i].manifest;
    if (i > 0 && open[i - 1].manifest.number + 1 != manifest.number) anchor.reset();
    Batch batch{.stream = &stream,
                .number = manifest.number,
                .received_at = stream.batches[i]->received_at,
                .disclosed = {},
                .meters = meters,
                .anchor = anchor,
                .manifest = manifest,
                .in_run = i >= run_begin};
    auto disclosed = open_disclosed(open[i], meters);
    if (!disclosed) {
      return fail(
          refuse(batch_name(stream.grant, manifest.number) + ": " + disclosed.error().message()));
    }
    batch.disclosed = std::move(*disclosed);
    const auto& records = batch.disclosed.columns.records;
    if (!batch.in_run && manifest.number != 1 && newest_table(records, 0) == 0) {
      return fail(refuse(batch_name(stream.grant, manifest.number) +
                         " stands before a hole and declares no meters"));
    }
    if (batch.in_run) TRY_VOID(check_clock(batch, boot_shown));
    table = newest_table(records, table);
    if (table != manifest.meter_table) {
      return fail(refuse("the meter table in force at " +
                         batch_name(stream.grant, manifest.number) + " is missing"));
    }
    TRY_VOID(apply_meter_tables(records, meters));
    follow(records, anchor);
    if (i > run_begin) TRY_VOID(check_totals(batches_.back().manifest.totals, batch));
    if (i == run_begin && manifest.number == 1) TRY_VOID(check_totals({}, batch));
    batches_.push_back(std::move(batch));
  }
  if (run_begin > 0 && run_begin < open.size()) {
    report_.not_proven.push_back("that no batch before " +
                                 batch_name(stream.grant, open[run_begin].manifest.number) +
                                 " holds a reading of the period: the collector says so");
  }
  return {};
}

Status Verification::check_stream(const CloseStatement::Stream& closed) {
  const auto found = streams_.find(closed.stream);
  if (found == streams_.end())
    return fail(refuse("the grant of stream " + closed.stream.hex().substr(0, 8) + " is missing"));
  if (found->second.grant.device != closed.device)
    return fail(refuse("the close statement gives a stream to another device than its grant"));
  return open_batches(found->second, closed);
}

Status Verification::check_batches() {
  for (const BundleBatch& part : bundle_.batches) {
    const auto stream = streams_.find(part.stream);
    if (stream == streams_.end())
      return fail(refuse("a batch is of a stream without a grant in the bundle"));
    stream->second.batches.push_back(&part);
  }
  const auto in_order = [](const CloseStatement::Stream& a, const CloseStatement::Stream& b) {
    return std::tie(a.device, a.stream) < std::tie(b.device, b.stream);
  };
  for (size_t i = 0; i < close_.streams.size(); ++i) {
    if (i > 0 && !in_order(close_.streams[i - 1], close_.streams[i]))
      return fail(refuse("the close statement names a stream twice or out of order"));
    TRY_VOID(check_stream(close_.streams[i]));
  }
  if (streams_.size() != close_.streams.size())
    return fail(refuse("a stream is shown that the close statement does not name"));
  size_t withheld = 0;
  size_t readings = 0;
  for (const Batch& batch : batches_) {
    withheld += batch.disclosed.withheld.size();
    readings += batch.disclosed.columns.size();
  }
  proven("batches: " + std::to_string(batches_.size()) + " of " +
         std::to_string(close_.streams.size()) + " streams with " + std::to_string(readings) +
         " readings, each signed with its device's key, chained without a hole up to the newest "
         "that the close statement names, which is a leaf of the log; " +
         std::to_string(added_up_) +
         " batches withhold nothing, and add up to the totals that the devices signed");
  if (withheld > 0) {
    report_.withheld.push_back(std::to_string(withheld) +
                               " sections of batches, with readings of other subjects: their "
                               "hashes are in the signed manifests");
  }
  return {};
}

Result<std::vector<AcceptedGap>> Verification::accepted_gaps() const {
  std::vector<AcceptedGap> out;
  for (const Statement& one : statements_) {
    const bool named =
        std::find(close_.gaps.begin(), close_.gaps.end(), one.id) != close_.gaps.end();
    if (one.kind != LeafKind::gap_acceptance || !named) continue;
    TRY(const auto gap, GapAcceptance::parse(one.json));
    if (gap.tenant != close_.tenant)
      return fail(refuse("the gap acceptance at leaf " + std::to_string(one.leaf) +
                         " is of another tenant"));
    out.push_back({one.id, gap.device, gap.from, gap.until});
  }
  return out;
}

Result<std::optional<Timestamp>> Verification::promise_of(const CloseStatement::Stream& closed) {
  const auto part =
      std::find_if(bundle_.heartbeats.begin(), bundle_.heartbeats.end(),
                   [&](const BundleHeartbeat& one) { return one.stream == closed.stream; });
  if (part == bundle_.heartbeats.end()) return std::optional<Timestamp>();
  const Stream& stream = streams_.at(closed.stream);
  const auto message = open_signed(part->signed_bytes, payload_type::kHeartbeat);
  if (!message || !verify(*message, stream.key))
    return fail(refuse("the heartbeat of " + stream_name(stream.grant) +
                       " is not signed with the device's key"));
  TRY(const auto heartbeat, decode_heartbeat(message->body));
  if (heartbeat.stream != closed.stream)
    return fail(refuse("the heartbeat of " + stream_name(stream.grant) + " is of another stream"));
  if (heartbeat.next_seq > closed.next_seq) {
    return fail(refuse(stream_name(stream.grant) + " had recorded readings up to " +
                       std::to_string(heartbeat.next_seq - 1) +
                       " when it promised to be complete, but those after " +
                       std::to_string(closed.next_seq - 1) + " are missing"));
  }
  if (closed.batch == 0 && (heartbeat.head_batch != 0 || heartbeat.head_id != stream.grant_id)) {
    return fail(refuse("the heartbeat of " + stream_name(stream.grant) +
                       " is of a stream with batches, or of another grant"));
  }
  if (!closed.complete_through || heartbeat.complete_through < *closed.complete_through)
    return fail(refuse("the heartbeat of " + stream_name(stream.grant) +
                       " does not promise what the close statement says"));
  return closed.complete_through;
}

Status Verification::check_ends() const {
  for (const CloseStatement::Stream& closed : close_.streams) {
    const auto last = std::find_if(batches_.rbegin(), batches_.rend(), [&](const Batch& batch) {
      return batch.stream->grant.stream == closed.stream;
    });
    const Seq next = last == batches_.rend() ? 1 : last->manifest.last_seq + 1;
    if (next != closed.next_seq)
      return fail(refuse("the batches of device " + closed.device +
                         " do not end where the close statement says"));
  }
  return {};
}

bool Verification::is_succeeded(const StreamId& stream) const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [&](const auto& one) { return one.second.grant.predecessor == stream; });
}

Status Verification::check_complete() {
  TRY_VOID(check_ends());
  TRY(const auto gaps, accepted_gaps());
  size_t promises = 0;
  for (DeviceNeed& need : mapping_->devices_of(*contract_, close_.period)) {
    for (const CloseStatement::Stream& closed : close_.streams) {
      if (closed.device != need.device) continue;
      StreamProgress progress;
      progress.stream = closed.stream;
      progress.device = need.device;
      progress.status = is_succeeded(closed.stream) ? StreamStatus::closed : StreamStatus::open;
      TRY(progress.complete_through, promise_of(closed));
      promises += progress.complete_through ? 1 : 0;
      need.streams.push_back(std::move(progress));
    }
    // As the collector asked before it closed the period.
    if (waiting_for({need}, gaps).empty()) continue;
    return fail(refuse("device " + need.device + " has not promised that its readings before " +
                       to_rfc3339(need.required) + " are all there"));
  }
  note_replaced();
  if (!gaps.empty()) {
    report_.not_proven.push_back("what was measured in the " + std::to_string(gaps.size()) +
                                 " gaps that operators accepted");
  }
  proven(
      "complete: " + std::to_string(promises) +
      " signed promises of the devices cover the period, and every reading before them is in the "
      "batches shown");
  return {};
}

void Verification::note_replaced() {
  for (const auto& [id, stream] : streams_) {
    if (is_succeeded(id)) {
      report_.not_proven.push_back("that " + stream_name(stream.grant) +
                                   ", which was replaced, had no further reading of the period");
    }
    const auto& before = stream.grant.predecessor;
    if (before && !streams_.contains(*before)) {
      report_.not_proven.push_back("that the stream which " + stream_name(stream.grant) +
                                   " took the place of has no reading of the period");
    }
  }
}

}  // namespace ledgerline::collector
