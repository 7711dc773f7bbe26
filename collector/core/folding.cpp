#include "collector/core/folding.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>

#include "collector/core/correction.h"
#include "collector/core/exceptions.h"
#include "collector/core/wall_time.h"
#include "common/check.h"
#include "common/crypto.h"

namespace ledgerline::collector {

namespace {

// ---- Adding up
// -------------------------------------------------------------------------------------------------------

/// What becomes of a reading.
enum class Fate : uint8_t { usage, implausible, unplaced, reserved };

/// Readings of one batch that add up: indexes into the batch's own tables, so that the loop touches
/// no text.
struct SlotKey {
  uint32_t meter = 0;
  uint32_t subject = 0;
  uint32_t dimensions = 0;
  int32_t quarter = 0;
  Fate fate = Fate::usage;
  friend bool operator==(const SlotKey&, const SlotKey&) = default;
};

struct SlotHash {
  size_t operator()(const SlotKey& key) const {
    uint64_t hash = key.meter;
    for (const uint64_t part : {uint64_t{key.subject}, uint64_t{key.dimensions},
                                static_cast<uint64_t>(static_cast<uint32_t>(key.quarter)),
                                static_cast<uint64_t>(key.fate)}) {
      hash = (hash ^ part) * 0x9e3779b97f4a7c15U;
      hash ^= hash >> 32;
    }
    return hash;
  }
};

/// Adds in 64 bits and carries into the 128-bit sum only where that overflows.
struct Slot {
  SlotKey key;
  UsageValue value;
  int64_t part = 0;
  int64_t earliest = std::numeric_limits<int64_t>::max();

  void add(int64_t reading, const ReadingOrder& order) {
    int64_t sum = 0;
    if (__builtin_add_overflow(part, reading, &sum)) {
      carry();
      sum = reading;
    }
    part = sum;
    if (value.count == 0 || reading < value.min) value.min = reading;
    if (value.count == 0 || reading > value.max) value.max = reading;
    if (value.count == 0 || order > value.last_order) {
      value.last = reading;
      value.last_order = order;
    }
    ++value.count;
    earliest = std::min(earliest, order.time_ms);
  }
  void carry() {
    value.sum += part;
    part = 0;
  }
};

class Slots {
 public:
  Slot& at(const SlotKey& key) {
    if (latest_ < slots_.size() && slots_[latest_].key == key) return slots_[latest_];
    const auto [found, added] = places_.try_emplace(key, slots_.size());
    if (added) slots_.push_back(Slot{.key = key, .value = {}});
    latest_ = found->second;
    return slots_[latest_];
  }
  std::vector<Slot> take() {
    for (Slot& slot : slots_) slot.carry();
    return std::move(slots_);
  }

 private:
  std::vector<Slot> slots_;
  std::unordered_map<SlotKey, size_t, SlotHash> places_;
  size_t latest_ = 0;
};

Fate fate_of(int64_t time_ms, bool reserved, Timestamp received_at) {
  if (reserved) return Fate::reserved;
  if (time_ms == kNoTime) return Fate::unplaced;
  const bool plausible =
      time_ms >= kEarliestPlausible.unix_ms() && time_ms <= (received_at + kAheadMax).unix_ms();
  return plausible ? Fate::usage : Fate::implausible;
}

struct Span {
  int64_t from = std::numeric_limits<int64_t>::min();
  int64_t to = std::numeric_limits<int64_t>::max();
};

std::vector<Slot> add_up(const Columns& columns, const std::vector<int64_t>& times,
                         const BatchContext& context, const Span& span) {
  Slots slots;
  std::vector<bool> reserved{false};  // by dimension index
  for (const DimensionSet& set : columns.dimension_sets) reserved.push_back(is_reserved(set));
  ReadingOrder order{.time_ms = 0, .stream = context.stream, .seq = 0};
  for (size_t i = 0; i < columns.size(); ++i) {
    order.time_ms = times[i];
    order.seq = columns.seq(i);
    const Fate fate =
        fate_of(order.time_ms, reserved[columns.dimension_indexes[i]], context.received_at);
    if (order.time_ms < span.from || order.time_ms >= span.to) continue;
    const int32_t quarter =
        fate == Fate::usage ? QuarterHour::of(Timestamp(order.time_ms)).index : 0;
    slots
        .at({.meter = columns.meters[i],
             .subject = columns.subject_indexes[i],
             .dimensions = columns.dimension_indexes[i],
             .quarter = quarter,
             .fate = fate})
        .add(columns.values[i], order);
  }
  return slots.take();
}

SeriesUsage series_usage(const Slot& slot, const Columns& columns, const MeterRow& meter,
                         const BatchContext& context) {
  static const DimensionSet kNone;
  SeriesUsage out;
  out.key = {
      .tenant = context.tenant,
      .device = context.device,
      .subject = slot.key.subject == 0 ? std::string() : columns.subjects[slot.key.subject - 1],
      .meter = meter.name,
      .unit = meter.unit,
      .scale = meter.scale,
      .kind = meter.kind,
      .definition_version = meter.definition_version,
      .dimensions =
          slot.key.dimensions == 0 ? kNone : columns.dimension_sets[slot.key.dimensions - 1]};
  out.quarter = {slot.key.quarter};
  out.value = slot.value;
  out.earliest = Timestamp(slot.earliest);
  return out;
}

/// What the keys of the usage would take, before any is copied.
size_t key_text(const std::vector<Slot>& slots, const Columns& columns, const MeterRows& meters) {
  std::vector<size_t> dimensions{0};
  for (const DimensionSet& set : columns.dimension_sets) {
    dimensions.push_back(0);
    for (const auto& [name, value] : set) dimensions.back() += name.size() + value.size();
  }
  size_t out = 0;
  for (const Slot& slot : slots) {
    if (slot.key.fate != Fate::usage) continue;
    const MeterRow& meter = meters.at(slot.key.meter);
    out += meter.name.size() + meter.unit.size() + dimensions[slot.key.dimensions] +
           (slot.key.subject == 0 ? 0 : columns.subjects[slot.key.subject - 1].size());
  }
  return out;
}

/// The same series may come twice: a dictionary may hold a text twice, and two numbers may name one
/// meter alike.
void merge_alike(std::vector<SeriesUsage>& usage) {
  std::map<std::pair<SeriesKey, QuarterHour>, size_t> first;
  size_t kept = 0;
  for (size_t i = 0; i < usage.size(); ++i) {
    const auto [found, added] = first.try_emplace({usage[i].key, usage[i].quarter}, kept);
    if (added) {
      if (kept != i) usage[kept] = std::move(usage[i]);
      ++kept;
      continue;
    }
    usage[found->second].value.merge(usage[i].value);
    usage[found->second].earliest = std::min(usage[found->second].earliest, usage[i].earliest);
  }
  usage.resize(kept);
}

// ---- Exceptions
// ------------------------------------------------------------------------------------------------------

struct Finding {
  std::string_view kind;
  const MeterRow* meter = nullptr;  // nullptr: the batch as a whole
  uint64_t count = 0;
  Int128 value = 0;
  std::string detail;
};

ExceptionUpsert to_exception(Finding finding, const BatchContext& context) {
  const std::string meter = finding.meter == nullptr ? std::string() : finding.meter->name;
  ExceptionRow row = stream_exception(finding.kind, context, meter);
  row.count = finding.count;
  if (finding.meter != nullptr) {
    row.value = Decimal(finding.value, finding.meter->scale);
    row.unit = finding.meter->unit;
  }
  row.detail = std::move(finding.detail);
  return {.mode = UpsertMode::add, .row = std::move(row)};
}

std::string batch_name(const BatchContext& context) {
  return "batch " + std::to_string(context.number) + " of stream " + context.stream.hex();
}

const MeterRow* find_meter(const MeterRows& meters, uint32_t number) {
  const auto found = meters.find(number);
  return found == meters.end() ? nullptr : &found->second;
}

using MeterSums = std::map<uint32_t, Int128>;

/// What the running totals grew by, per meter that is in either.
MeterSums growth(const Totals& before, const Totals& after) {
  MeterSums out;
  for (const auto& [meter, sum] : after) out[meter] = sum;
  for (const auto& [meter, sum] : before) {
    // Totals are the device's claim: a difference that does not fit is a mismatch, never a crash.
    out[meter] = checked_add(out[meter], -sum).value_or(std::numeric_limits<Int128>::max());
  }
  return out;
}

/// I4: the sum of a batch's readings is the difference of the totals around it.
void check_totals(const MeterSums& expected, const MeterSums& found, const MeterRows& meters,
                  const BatchContext& context, std::vector<ExceptionUpsert>& exceptions) {
  std::map<uint32_t, std::pair<Int128, Int128>> both;
  for (const auto& [meter, sum] : expected) both[meter].first = sum;
  for (const auto& [meter, sum] : found) {
    const MeterRow* row = find_meter(meters, meter);
    // A level has no running sum, so a device may leave it out of its totals.
    if (row != nullptr && row->kind == MeterKind::gauge && !expected.contains(meter)) continue;
    both[meter].second = sum;
  }
  for (const auto& [number, sums] : both) {
    const auto& [by_totals, by_readings] = sums;
    if (by_totals == by_readings) continue;
    const MeterRow* meter = find_meter(meters, number);
    const auto missing = checked_add(by_totals, -by_readings);
    exceptions.push_back(to_exception(
        {.kind = exception_kind::kTotalsMismatch,
         .meter = meter,
         .count = 1,
         .value = missing.value_or(Int128(0)),
         .detail = batch_name(context) + ": the totals of meter number " + std::to_string(number) +
                   " grew by " + by_totals.str() + ", its readings sum to " + by_readings.str()},
        context));
  }
}

/// A batch whose readings cannot be had. What its totals grew by is not lost: it stands in the
/// exceptions.
void report_unreadable(const Manifest& manifest, const StreamFoldState& state,
                       const BatchContext& context, const Error& error, BatchFold& out) {
  const std::string detail = batch_name(context) + " cannot be read: " + error.text();
  for (const auto& [number, sum] : growth(state.totals, manifest.totals)) {
    const MeterRow* meter = find_meter(state.meters, number);
    if (sum == 0 || meter == nullptr) continue;
    out.exceptions.push_back(to_exception({.kind = exception_kind::kUndecodableBatch,
                                           .meter = meter,
                                           .count = 1,
                                           .value = sum,
                                           .detail = detail},
                                          context));
  }
  const uint64_t readings = manifest.last_seq + 1 - manifest.first_seq;
  out.exceptions.push_back(to_exception({.kind = exception_kind::kUndecodableBatch,
                                         .meter = nullptr,
                                         .count = readings,
                                         .value = 0,
                                         .detail = detail},
                                        context));
}

void check_seq(const Manifest& manifest, const StreamFoldState& state, const BatchContext& context,
               BatchFold& out) {
  if (manifest.first_seq == state.next_seq) return;
  out.exceptions.push_back(to_exception(
      {.kind = exception_kind::kSeqMismatch,
       .meter = nullptr,
       .count = 1,
       .value = 0,
       .detail = batch_name(context) + " begins with seq " + std::to_string(manifest.first_seq) +
                 " where " + std::to_string(state.next_seq) + " was due"},
      context));
}

/// Billing readings that this store lost and that their device had forgotten under a receipt.
void report_lost(const Tombstone& tombstone, const StreamFoldState& state,
                 const BatchContext& context, BatchFold& out) {
  const uint64_t readings = tombstone.last_seq + 1 - state.next_seq;
  const std::string detail =
      "seq " + std::to_string(state.next_seq) + " to " + std::to_string(tombstone.last_seq) +
      " of stream " + context.stream.hex() + ", up to batch " +
      std::to_string(tombstone.last_batch) + ", sealed from " + to_rfc3339(tombstone.from) +
      " on: this collector lost the batches, and the device keeps them no more (" +
      tombstone.reason + "). ";
  std::string unnamed;
  for (const auto& [number, sum] : growth(state.totals, tombstone.totals)) {
    const MeterRow* meter = find_meter(state.meters, number);
    if (sum == 0 || (meter != nullptr && meter->kind == MeterKind::gauge)) continue;
    if (meter == nullptr) {
      unnamed += ", meter number " + std::to_string(number) + ": " + sum.str();
      continue;
    }
    out.exceptions.push_back(to_exception(
        {.kind = exception_kind::kLostBatches,
         .meter = meter,
         .count = readings,
         .value = sum,
         .detail = detail +
                   "The totals say what they came to; it is in usage of no period here, but may be "
                   "billed already: look at the period's documents in the ERP before "
                   "it is corrected"},
        context));
  }
  out.exceptions.push_back(
      to_exception({.kind = exception_kind::kLostBatches,
                    .meter = nullptr,
                    .count = readings,
                    .value = 0,
                    .detail = detail + "What they came to is named meter by meter" + unnamed},
                   context));
}

/// What is dropped is what lies between the batch folded last and the tombstone's end: it may stand
/// for batches that had come.
void report_dropped(const Tombstone& tombstone, const StreamFoldState& state,
                    const BatchContext& context, BatchFold& out) {
  if (tombstone.first_seq > state.next_seq) {
    out.exceptions.push_back(
        to_exception({.kind = exception_kind::kSeqMismatch,
                      .meter = nullptr,
                      .count = 1,
                      .value = 0,
                      .detail = batch_name(context) + " is a tombstone that begins with seq " +
                                std::to_string(tombstone.first_seq) + " where " +
                                std::to_string(state.next_seq) + " was due"},
                     context));
  }
  if (tombstone.last_seq < state.next_seq) return;
  if (context.stream_class == StreamClass::billing)
    return report_lost(tombstone, state, context, out);
  out.exceptions.push_back(to_exception(
      {.kind = exception_kind::kDiagnosticsDropped,
       .meter = nullptr,
       .count = tombstone.last_seq + 1 - state.next_seq,
       .value = 0,
       .detail = "the device gave up the readings with seq " + std::to_string(state.next_seq) +
                 " to " + std::to_string(tombstone.last_seq) + " of diagnostic stream " +
                 context.stream.hex() + ", sealed from " + to_rfc3339(tombstone.from) + " to " +
                 to_rfc3339(tombstone.created_at) + ": " + tombstone.reason},
      context));
}

struct FateWords {
  std::string_view kind;
  std::string_view text;
};
FateWords words_of(Fate fate) {
  switch (fate) {
    case Fate::unplaced:
      return {exception_kind::kUnplacedTime,
              " has monotonic times of a boot without a clock anchor"};
    case Fate::reserved:
      return {exception_kind::kReservedDimension,
              " has dimensions whose names begin with \"ledgerline.\""};
    case Fate::implausible:
    case Fate::usage:
      break;
  }
  return {exception_kind::kImplausibleTime,
          " has times before 2000 or more than a day after it was received"};
}

void report_not_usage(const std::vector<Slot>& slots, const MeterRows& meters,
                      const BatchContext& context, BatchFold& out) {
  std::map<std::pair<Fate, uint32_t>, UsageValue> sums;
  for (const Slot& slot : slots) {
    if (slot.key.fate != Fate::usage) sums[{slot.key.fate, slot.key.meter}].merge(slot.value);
  }
  for (const auto& [key, value] : sums) {
    const FateWords words = words_of(key.first);
    out.exceptions.push_back(to_exception({.kind = words.kind,
                                           .meter = find_meter(meters, key.second),
                                           .count = value.count,
                                           .value = value.sum,
                                           .detail = batch_name(context) + std::string(words.text)},
                                          context));
  }
}

/// The quantity is whole; that its times are coarser than recorded is for a person to know.
void report_coarsened(const std::vector<Record>& records, const BatchContext& context,
                      BatchFold& out) {
  for (const Record& record : records) {
    const auto* said = std::get_if<Coarsened>(&record.kind);
    if (said == nullptr) continue;
    out.exceptions.push_back(to_exception(
        {.kind = exception_kind::kCoarsened,
         .meter = nullptr,
         .count = said->measurements,
         .value = 0,
         .detail = "the journal was full from " + to_rfc3339(said->from) + " to " +
                   to_rfc3339(said->to) + ": " + std::to_string(said->measurements) +
                   " measurements became " + std::to_string(said->readings) +
                   " readings, in steps of at most " + std::to_string(said->step.count() / 60'000) +
                   " minutes; sums are complete"},
        context));
  }
}

void follow_records(const std::vector<Record>& records, StreamFoldState& state) {
  for (const Record& record : records) {
    if (const auto* boot = std::get_if<BootRecord>(&record.kind)) {
      state.boot = boot->boot_id;
      state.anchor.reset();
    } else if (const auto* anchor = std::get_if<ClockAnchor>(&record.kind)) {
      state.anchor = *anchor;
    }
  }
}

/// Everything of a batch that can be read.
void fold_columns(const Columns& columns, const Manifest& manifest, StreamFoldState& state,
                  const BatchContext& context, BatchFold& out) {
  const WallTimes times = wall_times(columns, state.anchor);
  if (times.by_carried) out.clock_note = state.anchor;
  const std::vector<Slot> slots = add_up(columns, times.ms, context, {});
  follow_records(columns.records, state);
  if (key_text(slots, columns, state.meters) > kBatchKeyTextMax) {
    const Error error(Errc::corrupt, "its usage needs more than 16 MiB of subjects and dimensions");
    return report_unreadable(manifest, state, context, error, out);
  }

  MeterSums found;
  for (const Slot& slot : slots) {
    found[slot.key.meter] += slot.value.sum;
    if (slot.key.fate != Fate::usage) continue;
    out.usage.push_back(series_usage(slot, columns, state.meters.at(slot.key.meter), context));
  }
  merge_alike(out.usage);
  report_not_usage(slots, state.meters, context, out);
  check_totals(growth(state.totals, manifest.totals), found, state.meters, context, out.exceptions);
  report_coarsened(columns.records, context, out);
  out.readings = columns.size();
}

}  // namespace

void limit_exceptions(std::vector<ExceptionUpsert>& exceptions, const BatchContext& context) {
  constexpr size_t kRestRowsMax = 16;  // more than there are kinds
  if (exceptions.size() <= kBatchExceptionsMax) return;
  std::map<std::string, std::pair<size_t, uint64_t>> rest;  // by kind: rows and their counts
  for (size_t i = kBatchExceptionsMax - kRestRowsMax; i < exceptions.size(); ++i) {
    auto& [rows, count] = rest[exceptions[i].row.kind];
    ++rows;
    count += exceptions[i].row.count;
  }
  CHECK_INVARIANT(rest.size() <= kRestRowsMax);
  exceptions.resize(kBatchExceptionsMax - kRestRowsMax);
  for (auto& [kind, sum] : rest) {
    Finding finding{.kind = kind, .meter = nullptr, .count = sum.second, .value = 0, .detail = {}};
    finding.detail = batch_name(context) + ": " + std::to_string(sum.first) +
                     " more exceptions of this kind, not listed by meter";
    exceptions.push_back(to_exception(std::move(finding), context));
  }
}

BatchFold fold_batch(StreamFoldState& state, const BatchContext& context, ByteView sealed) {
  BatchFold out;
  state.folded_number = context.number;
  auto batch = open_envelope(sealed);
  if (!batch) {
    Manifest unknown;
    unknown.first_seq = 1;
    unknown.totals = state.totals;
    report_unreadable(unknown, state, context, batch.error(), out);
    return out;
  }
  const Manifest& manifest = batch->manifest;
  check_seq(manifest, state, context, out);
  auto columns = open_columns(*batch, state.meters);
  if (columns) {
    // Decoding has applied the tables to a copy, so this cannot fail.
    auto applied = apply_meter_tables(columns->records, state.meters);
    if (applied) fold_columns(*columns, manifest, state, context, out);
  } else {
    report_unreadable(manifest, state, context, columns.error(), out);
  }
  state.totals = manifest.totals;
  state.next_seq = std::max(state.next_seq, manifest.last_seq + 1);
  return out;
}

BatchFold fold_tombstone(StreamFoldState& state, const BatchContext& context,
                         ByteView signed_tombstone) {
  BatchFold out;
  state.folded_number = context.number;
  const auto read = [&]() -> Result<Tombstone> {
    TRY(const auto message, open_signed(signed_tombstone, payload_type::kTombstone));
    return decode_tombstone(message.body, state.meters);
  };
  const auto tombstone = read();
  if (!tombstone) {
    Manifest unknown;
    unknown.first_seq = 1;
    unknown.totals = state.totals;
    report_unreadable(unknown, state, context, tombstone.error(), out);
    return out;
  }
  // Decoding has applied the tables to a copy, so this cannot fail.
  const auto applied = apply_meter_tables(tombstone->records, state.meters);
  CHECK_INVARIANT(applied.has_value());
  follow_records(tombstone->records, state);
  report_dropped(*tombstone, state, context, out);
  state.totals = tombstone->totals;
  state.next_seq = std::max(state.next_seq, tombstone->last_seq + 1);
  return out;
}

Result<std::vector<SeriesUsage>> read_back(const BatchContext& context, ByteView sealed,
                                           const MeterRows& meters,
                                           const std::optional<ClockAnchor>& note, Timestamp from,
                                           Timestamp to) {
  TRY(const auto batch, open_envelope(sealed));
  TRY(const auto columns, open_columns(batch, meters));
  return read_back(context, columns, meters, note, from, to);
}

Result<std::vector<SeriesUsage>> read_back(const BatchContext& context, const Columns& columns,
                                           const MeterRows& meters,
                                           const std::optional<ClockAnchor>& note, Timestamp from,
                                           Timestamp to, std::vector<SeriesUsage>* implausible) {
  MeterRows rows = meters;
  TRY_VOID(apply_meter_tables(columns.records, rows));
  std::vector<SeriesUsage> out;
  const auto slots = add_up(columns, wall_times(columns, note).ms, context,
                            {.from = from.unix_ms(), .to = to.unix_ms()});
  for (const Slot& slot : slots) {
    auto* const kept = slot.key.fate == Fate::usage         ? &out
                       : slot.key.fate == Fate::implausible ? implausible
                                                            : nullptr;
    if (kept != nullptr)
      kept->push_back(series_usage(slot, columns, rows.at(slot.key.meter), context));
  }
  merge_alike(out);
  return out;
}

ExceptionRow stream_exception(std::string_view kind, const BatchContext& context,
                              const std::string& meter) {
  ExceptionRow row = new_exception(kind, {context.stream.hex(), "meter", meter}, context.tenant,
                                   context.received_at);
  row.device = context.device;
  row.meter = meter;
  row.first_leaf = context.leaf;
  row.last_leaf = context.leaf;
  return row;
}

}  // namespace ledgerline::collector
