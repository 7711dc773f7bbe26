#include "collector/fold/folder.h"

#include <set>

#include "collector/core/correction.h"
#include "common/check.h"

namespace ledgerline::collector {

/// The changes of one transaction while they are being gathered.
struct Folder::Slice {
  FoldChanges changes;
  SeriesId next_series_id = 1;
  std::map<std::pair<SeriesId, QuarterHour>, UsageDelta> usage;
  std::set<StreamId> streams;
  uint64_t readings = 0;

  void add(SeriesId series, const SeriesUsage& more, LeafNumber leaf) {
    const auto [found, added] = usage.try_emplace({series, more.quarter});
    UsageDelta& delta = found->second;
    if (added) {
      delta.series = series;
      delta.quarter = more.quarter;
      delta.earliest = more.earliest;
    }
    delta.value.merge(more.value);
    delta.earliest = std::min(delta.earliest, more.earliest);
    if (delta.leaves.empty() || delta.leaves.back() != leaf) delta.leaves.push_back(leaf);
  }
};

namespace {

/// What a batch has of series that the device may not have, by what they count.
struct RefusedMeter {
  std::string name;
  std::string unit;
  int scale = 0;
  friend auto operator<=>(const RefusedMeter&, const RefusedMeter&) = default;
};
using RefusedUsage = std::map<RefusedMeter, UsageValue>;

ExceptionUpsert series_limit(const RefusedMeter& meter, const UsageValue& value,
                             const BatchContext& context, uint64_t limit) {
  ExceptionRow row = stream_exception(exception_kind::kSeriesLimit, context, meter.name);
  row.count = value.count;
  row.value = Decimal(value.sum, meter.scale);
  row.unit = meter.unit;
  row.detail = "the device has more than " + std::to_string(limit) +
               " series; further ones are not counted as usage";
  return {.mode = UpsertMode::add, .row = std::move(row)};
}

/// What remembering a key costs, roughly.
size_t cost_of(const SeriesKey& key) {
  constexpr size_t kNode = 256;
  constexpr size_t kPair = 2 * sizeof(std::string);
  size_t out = kNode + key.tenant.size() + key.device.size() + key.subject.size() +
               key.meter.size() + key.unit.size();
  for (const auto& [name, value] : key.dimensions) out += kPair + name.size() + value.size();
  return out;
}

}  // namespace

void Folder::forget() {
  streams_.clear();
  series_.clear();
  series_bytes_ = 0;
  series_counts_.clear();
}

Result<Folder::Stream*> Folder::stream(const StreamId& id) {
  const auto found = streams_.find(id);
  if (found != streams_.end()) return &found->second;
  TRY(const auto row, store_.stream(id));
  TRY(auto state, store_.fold_state(id));
  Stream stream{.tenant = row.grant.tenant,
                .device = row.grant.device,
                .stream_class = row.grant.stream_class,
                .state = state ? std::move(*state) : StreamFoldState{}};
  return &streams_.emplace(id, std::move(stream)).first->second;
}

Result<uint64_t*> Folder::series_count(const SeriesKey& key) {
  const auto device = std::pair(key.tenant, key.device);
  const auto found = series_counts_.find(device);
  if (found != series_counts_.end()) return &found->second;
  TRY(const uint64_t count, store_.series_count(key.tenant, key.device));
  return &series_counts_.emplace(device, count).first->second;
}

Result<SeriesId> Folder::series_id(const SeriesKey& key, Slice& slice) {
  const auto found = series_.find(key);
  if (found != series_.end()) return found->second;
  TRY(SeriesId id, store_.find_series(key));
  if (id == 0) {
    TRY(uint64_t* const count, series_count(key));
    const bool counts = !is_correction(key);  // what an operator says is never refused
    if (!counts || *count < options_.series_per_device_max) {
      if (counts) ++*count;
      id = slice.next_series_id++;
      slice.changes.new_series.push_back({.id = id, .key = key});
    }
  }
  // A refused one too: its device's count never falls, so the answer holds.
  series_.emplace(key, id);
  series_bytes_ += cost_of(key);
  return id;
}

Status Folder::fold_leaf(const LogEntry& entry, Slice& slice) {
  switch (entry.kind) {
    case LeafKind::batch:
    case LeafKind::tombstone:
      return fold_batch_leaf(entry, slice);
    case LeafKind::correction:
      return fold_correction_leaf(entry, slice);
    default:
      return {};  // the other kinds change no usage
  }
}

Status Folder::fold_correction_leaf(const LogEntry& entry, Slice& slice) {
  CorrectionFold folded = fold_correction(entry);
  for (ExceptionUpsert& exception : folded.exceptions)
    slice.changes.exceptions.push_back(std::move(exception));
  if (!folded.row) return {};
  // One that stands in the log twice counts once; a slice has one at most.
  TRY(const auto known, store_.correction(folded.row->tenant, folded.row->device, folded.row->id));
  if (known) return {};
  if (folded.usage) {
    TRY(const SeriesId id, series_id(folded.usage->key, slice));
    slice.add(id, *folded.usage, entry.leaf);
    ++slice.readings;
  }
  slice.changes.corrections.push_back(std::move(*folded.row));
  return {};
}

Status Folder::fold_batch_leaf(const LogEntry& entry, Slice& slice) {
  const bool tombstone = entry.kind == LeafKind::tombstone;
  TRY(Stream* const stream, this->stream(entry.stream));
  const BatchContext context{.tenant = stream->tenant,
                             .device = stream->device,
                             .stream = entry.stream,
                             .number = entry.number,
                             .leaf = entry.leaf,
                             .received_at = entry.received_at,
                             .stream_class = stream->stream_class};
  BatchFold folded = tombstone ? fold_tombstone(stream->state, context, entry.sealed)
                               : fold_batch(stream->state, context, entry.sealed);
  RefusedUsage refused;
  for (const SeriesUsage& usage : folded.usage) {
    TRY(const SeriesId id, series_id(usage.key, slice));
    if (id == 0) {
      refused[{usage.key.meter, usage.key.unit, usage.key.scale}].merge(usage.value);
    } else {
      slice.add(id, usage, entry.leaf);
    }
  }
  for (const auto& [meter, value] : refused) {
    folded.exceptions.push_back(
        series_limit(meter, value, context, options_.series_per_device_max));
  }
  limit_exceptions(folded.exceptions, context);
  for (ExceptionUpsert& exception : folded.exceptions)
    slice.changes.exceptions.push_back(std::move(exception));
  if (folded.clock_note) slice.changes.clock_notes.push_back({entry.leaf, *folded.clock_note});
  slice.streams.insert(entry.stream);
  slice.readings += folded.readings;
  return {};
}

Result<Folder::Step> Folder::step(uint64_t leaves_max) {
  ReadLogLimits limits = options_.slice;
  limits.count = std::min<uint64_t>(limits.count, leaves_max);
  auto step = fold_slice(limits);
  if (step || step.error().code() != Errc::corrupt) return step;
  // Damage hides the leaves before it in the slice: one at a time they are folded.
  return fold_slice({.count = 1});
}

Result<Folder::Step> Folder::fold_slice(const ReadLogLimits& limits) {
  TRY(const FoldCursor stored, store_.fold_cursor());
  if (stored.cursor != cursor_ || streams_.size() > kStreamsRememberedMax ||
      series_bytes_ > options_.series_bytes_max) {
    forget();
    cursor_ = stored.cursor;
  }
  if (stored.cursor == stored.log_size) return Step{.cursor = cursor_};
  const auto read = store_.read_log(cursor_, limits);
  if (!read) return fail(Error(read.error()).with("leaf", std::to_string(cursor_)));
  const std::vector<LogEntry>& entries = *read;
  if (entries.empty()) return fail(Errc::corrupt, "the evidence log is shorter than its size");

  Slice slice;
  slice.next_series_id = stored.next_series_id;
  slice.changes.cursor_before = cursor_;
  LeafNumber next = cursor_;
  for (const LogEntry& entry : entries) {
    auto status = entry.leaf == next ? fold_leaf(entry, slice)
                                     : fail(Errc::corrupt, "the evidence log has a hole");
    if (!status) {
      forget();  // states have moved on without the cursor
      return fail(std::move(status).error().with("leaf", std::to_string(next)));
    }
    ++next;
    const bool is_full =
        series_bytes_ > options_.series_bytes_max || slice.usage.size() > options_.slice_usage_max;
    // A void may touch as much as a whole slice of batches.
    if (is_full || !slice.changes.corrections.empty()) break;
  }
  slice.changes.cursor_after = next;
  for (auto& [key, delta] : slice.usage) slice.changes.usage.push_back(std::move(delta));
  for (const StreamId& id : slice.streams)
    slice.changes.streams.emplace_back(id, streams_.at(id).state);

  if (auto status = store_.fold(slice.changes); !status) {
    forget();
    return fail(std::move(status).error());
  }
  if (changed_ != nullptr) changed_->folded(slice.changes);
  cursor_ = next;
  return Step{.leaves = next - slice.changes.cursor_before,
              .readings = slice.readings,
              .exceptions = slice.changes.exceptions.size(),
              .cursor = cursor_};
}

Result<Folder::Step> Folder::run_to_end() {
  TRY(const FoldCursor fold, store_.fold_cursor());
  return run_to(fold.log_size);
}

Result<Folder::Step> Folder::run_to(LeafNumber leaf) {
  TRY(const FoldCursor fold, store_.fold_cursor());
  CHECK_INVARIANT(leaf <= fold.log_size);
  Step sum{.cursor = fold.cursor};
  while (sum.cursor < leaf) {
    TRY(const Step one, step(leaf - sum.cursor));
    CHECK_INVARIANT(one.cursor > sum.cursor);
    sum.leaves += one.leaves;
    sum.readings += one.readings;
    sum.exceptions += one.exceptions;
    sum.cursor = one.cursor;
  }
  return sum;
}

}  // namespace ledgerline::collector
