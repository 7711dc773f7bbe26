#include "agent/journal/values.h"

#include "common/check.h"

namespace ledgerline::agent::values {

namespace {

class Writer {
 public:
  Writer& u8(uint8_t value) {
    out_.push_back(value);
    return *this;
  }
  Writer& u16(size_t value) {
    CHECK_INVARIANT(value <= UINT16_MAX);
    append_big_endian16(out_, static_cast<uint16_t>(value));
    return *this;
  }
  Writer& u32(uint32_t value) {
    append_big_endian32(out_, value);
    return *this;
  }
  Writer& u64(uint64_t value) {
    append_big_endian64(out_, value);
    return *this;
  }
  Writer& i64(int64_t value) { return u64(static_cast<uint64_t>(value)); }
  Writer& raw(ByteView bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Writer& text(std::string_view text) { return u16(text.size()).raw(bytes_of(text)); }
  Writer& note(std::string_view note) {
    CHECK_INVARIANT(note.size() <= CheckpointNote::kSizeMax);
    return u32(static_cast<uint32_t>(note.size())).raw(bytes_of(note));
  }
  Writer& totals(const Totals& totals) {
    u16(totals.size());
    for (const auto& [meter, sum] : totals) {
      const std::string bytes = int128_to_bytes(sum);
      u32(meter).u8(static_cast<uint8_t>(bytes.size())).raw(bytes_of(bytes));
    }
    return *this;
  }
  Bytes take() { return std::move(out_); }

 private:
  Bytes out_;
};

/// Reads until something is missing; ok() tells at the end, so that decoders stay straight.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  uint8_t u8() { return raw(1)[0]; }
  uint16_t u16() {
    const ByteView b = raw(2);
    return static_cast<uint16_t>(b[0] << 8 | b[1]);
  }
  uint32_t u32() { return big_endian32(raw(4)); }
  uint64_t u64() { return big_endian64(raw(8)); }
  int64_t i64() { return static_cast<int64_t>(u64()); }
  std::string text() { return string_of(raw(u16())); }
  std::string note() { return string_of(raw(u32())); }
  template <class Id>
  Id id() {
    return *Id::from(raw(Id::kSize));
  }
  Totals totals() {
    Totals out;
    const uint16_t count = u16();
    for (uint16_t i = 0; i < count && ok_; ++i) {
      const uint32_t meter = u32();
      const auto sum = int128_from_bytes(text_of(raw(u8())));
      if (!sum || (!out.empty() && meter <= out.back().first)) ok_ = false;
      if (ok_) out.emplace_back(meter, *sum);
    }
    return out;
  }
  bool flag() {
    const uint8_t value = u8();
    if (value > 1) refuse();
    return value == 1;
  }
  ByteView rest() { return raw(rest_.size()); }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  void refuse() { ok_ = false; }
  [[nodiscard]] bool ok() const { return ok_; }

  template <class Value>
  Result<Value> finished(Value value, const char* what) const {
    if (ok_ && rest_.empty()) return value;
    return fail(Errc::corrupt, std::string("a stored ") + what + " does not parse");
  }

 private:
  ByteView raw(size_t size) {
    static constexpr std::array<uint8_t, UINT16_MAX> kZeros{};
    if (size > rest_.size()) ok_ = false;
    if (!ok_) return ByteView(kZeros).first(std::min(size, kZeros.size()));
    const ByteView out = rest_.first(size);
    rest_ = rest_.subspan(size);
    return out;
  }

  ByteView rest_;
  bool ok_ = true;
};

}  // namespace

Bytes encode_format(uint32_t format) { return Writer().u32(format).take(); }

Result<uint32_t> decode_format(ByteView bytes) {
  Reader in(bytes);
  const uint32_t format = in.u32();
  return in.finished(format, "format");
}

Bytes encode(const StreamState& s) {
  const ClockAnchor anchor = s.anchor.value_or(ClockAnchor{});
  const auto coarse = s.coarse.value_or(StreamState::CoarseRun{});
  return Writer()
      .u64(s.next_seq)
      .u64(s.sealed_next_seq)
      .u64(s.next_batch)
      .raw(s.head_id.view())
      .u64(s.acked_upto)
      .u64(s.receipt_number)
      .u8(static_cast<uint8_t>(s.status))
      .totals(s.totals)
      .totals(s.sealed_totals)
      .u32(s.sealed_meter_table)
      .raw(s.boot_id.view())
      .u8(s.anchor ? 1 : 0)
      .i64(anchor.monotonic.ms)
      .i64(anchor.wall.unix_ms())
      .u8(anchor.synchronised ? 1 : 0)
      .u8(s.promised ? 1 : 0)
      .i64(s.promised.value_or(Timestamp()).unix_ms())
      .u64(s.heartbeat_number)
      .u64(s.first_run)
      .u64(s.next_run)
      .u64(s.unsealed_records)
      .u64(s.unsealed_bytes)
      .u64(s.oldest_batch)
      .u64(s.oldest_skeleton)
      .u64(s.series_count)
      .u64(s.next_key_list)
      .u8(s.coarse ? 1 : 0)
      .u64(coarse.first_seq)
      .u64(coarse.bytes)
      .take();
}

Result<StreamState> decode_state(ByteView bytes) {
  Reader in(bytes);
  StreamState s;
  s.next_seq = in.u64();
  s.sealed_next_seq = in.u64();
  s.next_batch = in.u64();
  s.head_id = in.id<BatchId>();
  s.acked_upto = in.u64();
  s.receipt_number = in.u64();
  const uint8_t status = in.u8();
  if (status < 1 || status > 3) in.refuse();
  s.status = static_cast<StreamStatus>(status);
  s.totals = in.totals();
  s.sealed_totals = in.totals();
  s.sealed_meter_table = in.u32();
  s.boot_id = in.id<BootId>();
  const bool has_anchor = in.flag();
  ClockAnchor anchor;
  anchor.monotonic = {in.i64()};
  anchor.wall = Timestamp(in.i64());
  anchor.synchronised = in.flag();
  if (has_anchor) s.anchor = anchor;
  const bool has_promised = in.flag();
  const Timestamp promised(in.i64());
  if (has_promised) s.promised = promised;
  s.heartbeat_number = in.u64();
  s.first_run = in.u64();
  s.next_run = in.u64();
  s.unsealed_records = in.u64();
  s.unsealed_bytes = in.u64();
  s.oldest_batch = in.u64();
  s.oldest_skeleton = in.u64();
  s.series_count = in.u64();
  s.next_key_list = in.u64();
  const bool has_coarse = in.flag();
  StreamState::CoarseRun coarse;
  coarse.first_seq = in.u64();
  coarse.bytes = in.u64();
  if (has_coarse) s.coarse = coarse;
  return in.finished(std::move(s), "stream state");
}

Bytes encode(const MeterTable& table) {
  Writer out;
  out.u32(table.number).u16(table.rows.size());
  for (const auto& row : table.rows) {
    out.u32(row.number)
        .text(row.name)
        .text(row.unit)
        .u8(static_cast<uint8_t>(row.scale))
        .u8(static_cast<uint8_t>(row.kind))
        .u32(row.definition_version)
        .u8(row.forward_ids ? 1 : 0);
  }
  return out.take();
}

Result<MeterTable> decode_meters(ByteView bytes) {
  Reader in(bytes);
  MeterTable table;
  table.number = in.u32();
  const uint16_t count = in.u16();
  for (uint16_t i = 0; i < count && in.ok(); ++i) {
    MeterRow row;
    row.number = in.u32();
    row.name = in.text();
    row.unit = in.text();
    row.scale = in.u8();
    const uint8_t kind = in.u8();
    row.kind = static_cast<MeterKind>(kind);
    row.definition_version = in.u32();
    row.forward_ids = in.flag();
    if (kind < 1 || kind > 4 || row.scale > Decimal::kScaleMax) in.refuse();
    table.rows.push_back(std::move(row));
  }
  return in.finished(std::move(table), "meter table");
}

Bytes encode(const StoredRun& run) {
  return Writer().u64(run.first_seq).u32(run.readings).u16(run.records).raw(run.section).take();
}

Result<StoredRun> decode_run(ByteView bytes) {
  Reader in(bytes);
  StoredRun run;
  run.first_seq = in.u64();
  run.readings = in.u32();
  run.records = in.u16();
  run.section = in.rest();
  return in.finished(run, "run");
}

Bytes encode(const Skeleton& skeleton) {
  return Writer()
      .raw(skeleton.id.view())
      .u64(skeleton.first_seq)
      .u64(skeleton.last_seq)
      .i64(skeleton.sealed_at.unix_ms())
      .totals(skeleton.totals)
      .take();
}

Result<Skeleton> decode_skeleton(ByteView bytes) {
  Reader in(bytes);
  Skeleton skeleton;
  skeleton.id = in.id<BatchId>();
  skeleton.first_seq = in.u64();
  skeleton.last_seq = in.u64();
  skeleton.sealed_at = Timestamp(in.i64());
  skeleton.totals = in.totals();
  return in.finished(std::move(skeleton), "skeleton");
}

Bytes encode(const FreshKeyList& list) {
  return Writer().u32(list.hour).raw(encode_entries(list.entries)).take();
}

Result<FreshKeyList> decode_fresh_keys(ByteView bytes) {
  Reader in(bytes);
  FreshKeyList list{.hour = in.u32(), .entries = {}};
  TRY(list.entries, decode_entries(in.rest()));
  return in.finished(std::move(list), "list of idempotency keys");
}

Bytes encode(const KeyPacks& packs) {
  Writer out;
  out.u64(packs.next_id).u64(packs.first_fresh).u16(packs.packs.size());
  for (const KeyPack& pack : packs.packs) {
    out.u64(pack.id).u64(pack.entries).u32(pack.from).u32(pack.to).u64(pack.last_seq);
  }
  out.u8(packs.merge ? 1 : 0);
  if (const auto& merge = packs.merge) {
    out.u16(merge->first).u16(merge->count).u64(merge->output).u64(merge->entries);
    out.u8(merge->written ? 1 : 0).raw(merge->written.value_or(KeyHash()).view());
  }
  out.u16(packs.doomed.size());
  for (const uint64_t id : packs.doomed) out.u64(id);
  return out.take();
}

Result<KeyPacks> decode_key_packs(ByteView bytes) {
  Reader in(bytes);
  KeyPacks out;
  out.next_id = in.u64();
  out.first_fresh = in.u64();
  const uint16_t count = in.u16();
  for (uint16_t i = 0; i < count && in.ok(); ++i) {
    KeyPack& pack = out.packs.emplace_back();
    pack.id = in.u64();
    pack.entries = in.u64();
    pack.from = in.u32();
    pack.to = in.u32();
    pack.last_seq = in.u64();
  }
  if (in.flag()) {
    KeyMerge& merge = out.merge.emplace();
    merge.first = in.u16();
    merge.count = in.u16();
    merge.output = in.u64();
    merge.entries = in.u64();
    const bool has_written = in.flag();
    const auto written = in.id<KeyHash>();
    if (has_written) merge.written = written;
    if (merge.count == 0 || merge.first + merge.count > out.packs.size()) in.refuse();
  }
  const uint16_t doomed = in.u16();
  for (uint16_t i = 0; i < doomed && in.ok(); ++i) out.doomed.push_back(in.u64());
  return in.finished(std::move(out), "list of packs of idempotency keys");
}

Bytes encode(const KeyClock& key_clock) {
  return Writer().i64(key_clock.at.unix_ms()).i64(key_clock.read_at.ms).take();
}

Result<KeyClock> decode_key_clock(ByteView bytes) {
  Reader in(bytes);
  KeyClock key_clock;
  key_clock.at = Timestamp(in.i64());
  key_clock.read_at = {in.i64()};
  return in.finished(key_clock, "key clock");
}

Bytes encode(const Dropped& dropped) {
  return Writer()
      .i64(dropped.from.unix_ms())
      .i64(dropped.at.unix_ms())
      .raw(encode(dropped.records))
      .take();
}

Result<Dropped> decode_dropped(ByteView bytes) {
  Reader in(bytes);
  Dropped dropped;
  dropped.from = Timestamp(in.i64());
  dropped.at = Timestamp(in.i64());
  TRY(dropped.records, decode_run(in.rest()));
  return in.finished(dropped, "note of what was given up");
}

Bytes encode(const LogSightings& sightings) {
  CHECK_INVARIANT(sightings.earlier.size() <= LogSightings::kEarlierMax);
  Writer out;
  out.u32(sightings.epoch).u64(sightings.size).note(sightings.newest);
  out.u8(static_cast<uint8_t>(sightings.earlier.size()));
  for (const std::string& note : sightings.earlier) out.note(note);
  out.u8(sightings.conflict ? 1 : 0);
  if (const auto& conflict = sightings.conflict) {
    out.u32(conflict->epoch).i64(conflict->at.unix_ms()).text(conflict->why);
    out.note(conflict->held).note(conflict->shown);
  }
  return out.take();
}

Result<LogSightings> decode_log_sightings(ByteView bytes) {
  Reader in(bytes);
  LogSightings out;
  out.epoch = in.u32();
  out.size = in.u64();
  out.newest = in.note();
  const uint8_t count = in.u8();
  if (count > LogSightings::kEarlierMax) in.refuse();
  for (uint8_t i = 0; i < count && in.ok(); ++i) out.earlier.push_back(in.note());
  if (in.flag()) {
    auto& conflict = out.conflict.emplace(LogSightings::Conflict{});
    conflict.epoch = in.u32();
    conflict.at = Timestamp(in.i64());
    conflict.why = in.text();
    conflict.held = in.note();
    conflict.shown = in.note();
  }
  return in.finished(out, "sight of the collector's log");
}

Bytes encode(const Boots& boots) {
  CHECK_INVARIANT(boots.waiting.size() <= Boots::kWaitingMax);
  Writer out;
  out.text(boots.machine).u16(static_cast<uint16_t>(boots.waiting.size()));
  for (const auto& each : boots.waiting) out.u64(each.run).u64(each.first_seq);
  return out.take();
}

Result<Boots> decode_boots(ByteView bytes) {
  Reader in(bytes);
  Boots out;
  out.machine = in.text();
  const uint16_t count = in.u16();
  if (count > Boots::kWaitingMax) in.refuse();
  for (uint16_t i = 0; i < count && in.ok(); ++i) {
    const uint64_t run = in.u64();
    out.waiting.push_back({.run = run, .first_seq = in.u64()});
  }
  return in.finished(std::move(out), "list of boots");
}

Bytes encode_raw(int64_t raw) { return Writer().i64(raw).take(); }

Result<int64_t> decode_raw(ByteView bytes) {
  Reader in(bytes);
  const int64_t raw = in.i64();
  return in.finished(raw, "raw counter");
}

}  // namespace ledgerline::agent::values
