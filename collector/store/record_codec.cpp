#include "collector/store/record_codec.h"

#include <concepts>
#include <cstring>
#include <limits>
#include <type_traits>

namespace ledgerline::collector {

namespace {

/// As it is written; every version from 1 on is read.
template <class T>
constexpr uint8_t kVersion = 1;
template <>
constexpr uint8_t kVersion<ExceptionRow> = 2;  // since 2: assignee
template <>
constexpr uint8_t kVersion<StreamRow> = 2;  // since 2: presented_upto and what follows it

/// describe(archive, value) names the members once; V is const when writing.
template <class V, class T>
concept Is = std::same_as<std::remove_const_t<V>, T>;

template <class A, Is<DeviceKey> V>
void describe(A& a, V& v) {
  a(v.algorithm, v.id, v.public_key, v.added_at, v.revoked_at, v.revoke_reason);
}
template <class A, Is<DeviceRow> V>
void describe(A& a, V& v) {
  a(v.tenant, v.device, v.revision, v.keys, v.enrolled_at);
}
template <class A, Is<StreamGrant> V>
void describe(A& a, V& v) {
  a(v.tenant, v.device, v.stream_class, v.stream, v.partition, v.key, v.algorithm, v.epoch,
    v.predecessor, v.reason, v.issued_at);
}
template <class A, Is<StreamRow> V>
void describe(A& a, V& v) {
  a(v.grant, v.signed_grant, v.grant_id, v.revision, v.status, v.head_number, v.head_id,
    v.receipt_number, v.receipt, v.parked, v.duplicates);
  if (a.version() >= 2) a(v.presented_upto, v.presented_receipt, v.tombstones, v.rolled_back);
}
template <class A, Is<RecoveryMode> V>
void describe(A& a, V& v) {
  a(v.active, v.reason, v.since, v.ended_at, v.resumed_epoch, v.resume_reason, v.resumed_at);
}
template <class A, Is<Heartbeat> V>
void describe(A& a, V& v) {
  a(v.stream, v.number, v.next_seq, v.head_batch, v.head_id, v.totals, v.boot_id, v.acked_upto,
    v.receipt_number, v.complete_through, v.free_bytes, v.sent_at, v.monotonic);
}
template <class A, Is<HeartbeatTrack::Promise> V>
void describe(A& a, V& v) {
  a(v.next_seq, v.complete_through, v.signed_bytes);
}
template <class A, Is<HeartbeatTrack> V>
void describe(A& a, V& v) {
  a(v.newest, v.newest_received_at, v.covered, v.waiting);
}
template <class A, Is<QuarantineItem> V>
void describe(A& a, V& v) {
  a(v.tenant, v.device, v.topic, v.reason, v.bytes, v.received_at);
}
template <class A, Is<QuarantineCounters> V>
void describe(A& a, V& v) {
  a(v.count, v.bytes, v.kept_count, v.kept_bytes);
}
template <class A, Is<LogOrigin> V>
void describe(A& a, V& v) {
  a(v.collector, v.log, v.epoch);
}
template <class A, Is<OperatorRow> V>
void describe(A& a, V& v) {
  a(v.name, v.algorithm, v.key, v.public_key, v.added_at, v.revoked_at);
}
template <class A, Is<LogEntry> V>
void describe(A& a, V& v) {
  a(v.leaf, v.kind, v.data, v.stream, v.number, v.received_at, v.sealed);
}
template <class A, Is<LinkedRow> V>
void describe(A& a, V& v) {
  a(v.id, v.leaf);
}
template <class A, Is<LogRow> V>
void describe(A& a, V& v) {
  a(v.size, v.frontier);
}
template <class A, Is<FoldRow> V>
void describe(A& a, V& v) {
  a(v.cursor, v.next_series_id);
}
template <class A, Is<SideBatch> V>
void describe(A& a, V& v) {
  a(v.number, v.id, v.sealed, v.received_at);
}
template <class A, Is<MeterRow> V>
void describe(A& a, V& v) {
  a(v.number, v.name, v.unit, v.scale, v.kind, v.definition_version, v.forward_ids);
}
template <class A, Is<ClockAnchor> V>
void describe(A& a, V& v) {
  a(v.monotonic, v.wall, v.synchronised);
}
template <class A, Is<StreamFoldState> V>
void describe(A& a, V& v) {
  a(v.folded_number, v.next_seq, v.totals, v.meters, v.boot, v.anchor);
}
template <class A, Is<SeriesKey> V>
void describe(A& a, V& v) {
  a(v.tenant, v.device, v.subject, v.meter, v.unit, v.scale, v.kind, v.definition_version,
    v.dimensions);
}
template <class A, Is<ReadingOrder> V>
void describe(A& a, V& v) {
  a(v.time_ms, v.stream, v.seq);
}
template <class A, Is<UsageValue> V>
void describe(A& a, V& v) {
  a(v.sum, v.count, v.min, v.max, v.last, v.last_order);
}
template <class A, Is<QuarterHour> V>
void describe(A& a, V& v) {
  a(v.index);
}
template <class A, Is<TouchedUsage> V>
void describe(A& a, V& v) {
  a(v.series, v.quarter, v.earliest, v.first_leaf, v.last_leaf, v.added);
}
template <class A, Is<CorrectionRow> V>
void describe(A& a, V& v) {
  a(v.id, v.tenant, v.device, v.subject, v.meter, v.action, v.from, v.until, v.withdraws, v.leaf);
}
template <class A, Is<ExceptionRow> V>
void describe(A& a, V& v) {
  a(v.id, v.kind, v.tenant, v.device, v.subject, v.meter, v.series, v.contract, v.document, v.count,
    v.value, v.unit, v.first_leaf, v.last_leaf, v.first_seen, v.last_seen, v.deadline, v.owner,
    v.detail, v.state, v.resolved_by, v.resolved_at, v.resolution);
  if (a.version() >= 2) a(v.assignee);
}
template <class A, Is<ExceptionAction> V>
void describe(A& a, V& v) {
  a(v.exception, v.number, v.kind, v.by, v.at, v.reason, v.detail);
}
template <class A, Is<DocumentRow> V>
void describe(A& a, V& v) {
  a(v.id, v.revision, v.kind, v.tenant, v.account, v.contract, v.subscription, v.asset,
    v.period_from, v.period_to, v.state, v.connector, v.total, v.currency, v.body, v.external_id,
    v.created_at, v.decided_by, v.decided_at, v.decided_leaf);
}
template <class A, Is<DeliveryRow> V>
void describe(A& a, V& v) {
  a(v.id, v.document, v.revision, v.connector, v.tenant, v.state, v.attempt, v.lookups, v.resends,
    v.released_at_attempt, v.lookup_first, v.lease_epoch, v.next_attempt_at, v.first_sent_at,
    v.external_id, v.reply, v.created_at, v.updated_at);
}
template <class A, Is<RuleRow> V>
void describe(A& a, V& v) {
  a(v.tenant, v.rule, v.about, v.revision, v.state);
}
template <class A, Is<PeriodRow> V>
void describe(A& a, V& v) {
  a(v.tenant, v.contract, v.from, v.to, v.revision, v.closed, v.closed_at, v.cursor, v.detail);
}
template <class A, Is<Lease> V>
void describe(A& a, V& v) {
  a(v.name, v.holder, v.epoch, v.expires_at);
}

uint64_t zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
int64_t unzigzag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

bool fits_64(const Int128& value) {
  return value >= std::numeric_limits<int64_t>::min() &&
         value <= std::numeric_limits<int64_t>::max();
}

class Writer {
 public:
  Writer(Bytes& out, uint8_t version) : out_(out), version_(version) {}
  [[nodiscard]] uint8_t version() const { return version_; }

  template <class... Values>
  void operator()(const Values&... values) {
    (put(values), ...);
  }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<uint8_t>(value | 0x80));
    out_.push_back(static_cast<uint8_t>(value));
  }
  void raw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

  template <class T>
  void put(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      varint(static_cast<uint64_t>(value));
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      varint(zigzag(value));
    } else if constexpr (std::is_integral_v<T>) {
      varint(value);
    } else {
      describe(*this, value);
    }
  }
  void put(const std::string& value) {
    varint(value.size());
    raw(bytes_of(value));
  }
  void put(const Bytes& value) {
    varint(value.size());
    raw(value);
  }
  template <class Tag, size_t Size>
  void put(const FixedId<Tag, Size>& value) {
    raw(value.view());
  }
  void put(const Timestamp& value) { put(value.unix_ms()); }
  void put(const Monotonic& value) { put(value.ms); }
  void put(const Int128& value) {
    const bool is_long = !fits_64(value);
    put(is_long);
    if (!is_long) return put(static_cast<int64_t>(value));
    const Int128 magnitude = value < 0 ? Int128(-value) : value;
    const Int128 base = Int128(1) << 64;
    (*this)(value < 0, static_cast<uint64_t>(magnitude / base),
            static_cast<uint64_t>(magnitude % base));
  }
  void put(const Decimal& value) {
    (*this)(static_cast<uint32_t>(value.scale()), value.coefficient());
  }
  template <class T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <class First, class Second>
  void put(const std::pair<First, Second>& value) {
    (*this)(value.first, value.second);
  }
  template <class T>
  void put(const std::vector<T>& values) {
    varint(values.size());
    for (const T& value : values) put(value);
  }
  void put(const MeterRows& meters) {
    varint(meters.size());
    for (const auto& [number, row] : meters) put(row);
  }

  Bytes& out_;
  uint8_t version_;
};

class Reader {
 public:
  Reader(ByteView in, uint8_t version) : in_(in), version_(version) {}
  [[nodiscard]] uint8_t version() const { return version_; }

  template <class... Values>
  void operator()(Values&... values) {
    (get(values), ...);
  }
  [[nodiscard]] bool complete() const { return ok_ && in_.empty(); }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (in_.empty()) break;
      const uint8_t byte = in_[0];
      in_ = in_.subspan(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    ok_ = false;
    return 0;
  }
  ByteView raw(uint64_t size) {
    if (!ok_ || size > in_.size()) {
      ok_ = false;
      return {};
    }
    const ByteView out = in_.subspan(0, size);
    in_ = in_.subspan(size);
    return out;
  }
  /// An element has at least one byte, so a longer count is a lie.
  uint64_t count() {
    const uint64_t out = varint();
    if (out > in_.size()) ok_ = false;
    return ok_ ? out : 0;
  }

  template <class T>
  void get(T& value) {
    if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(varint());
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      value = static_cast<T>(unzigzag(varint()));
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(varint());
    } else {
      describe(*this, value);
    }
  }
  void get(std::string& value) { value = string_of(raw(varint())); }
  void get(Bytes& value) { value = copy_of(raw(varint())); }
  template <class Tag, size_t Size>
  void get(FixedId<Tag, Size>& value) {
    const ByteView bytes = raw(Size);
    if (ok_) value = *FixedId<Tag, Size>::from(bytes);
  }
  void get(Timestamp& value) {
    int64_t ms = 0;
    get(ms);
    value = Timestamp(ms);
  }
  void get(Monotonic& value) { get(value.ms); }
  void get(Int128& value) {
    bool is_long = false;
    get(is_long);
    if (!is_long) {
      int64_t small = 0;
      get(small);
      value = small;
      return;
    }
    bool negative = false;
    uint64_t upper = 0;
    uint64_t lower = 0;
    (*this)(negative, upper, lower);
    value = (Int128(upper) << 64) + lower;
    if (negative) value = -value;
  }
  void get(Decimal& value) {
    uint32_t scale = 0;
    Int128 coefficient = 0;
    (*this)(scale, coefficient);
    if (scale > Decimal::kScaleMax) ok_ = false;
    if (ok_) value = Decimal(coefficient, static_cast<int>(scale));
  }
  template <class T>
  void get(std::optional<T>& value) {
    bool present = false;
    get(present);
    value.reset();
    if (ok_ && present) get(value.emplace());
  }
  template <class First, class Second>
  void get(std::pair<First, Second>& value) {
    (*this)(value.first, value.second);
  }
  template <class T>
  void get(std::vector<T>& values) {
    values.clear();
    for (uint64_t n = count(); n != 0 && ok_; --n) get(values.emplace_back());
  }
  void get(MeterRows& meters) {
    meters.clear();
    for (uint64_t n = count(); n != 0 && ok_; --n) {
      MeterRow row;
      get(row);
      meters.emplace(row.number, std::move(row));
    }
  }

  ByteView in_;
  uint8_t version_;
  bool ok_ = true;
};

}  // namespace

template <class T>
Bytes encode_record(const T& value) {
  Bytes out;
  out.reserve(128);
  out.push_back(kVersion<T>);
  Writer writer(out, kVersion<T>);
  describe(writer, value);
  return out;
}

template <class T>
Result<T> decode_record(ByteView bytes) {
  if (bytes.empty() || bytes[0] == 0 || bytes[0] > kVersion<T>) {
    return fail(Errc::corrupt, "a stored record has an unknown version");
  }
  T out;
  Reader reader(bytes.subspan(1), bytes[0]);
  describe(reader, out);
  if (!reader.complete()) return fail(Errc::corrupt, "a stored record does not parse");
  return out;
}

#define LEDGERLINE_RECORD(Type)              \
  template Bytes encode_record(const Type&); \
  template Result<Type> decode_record(ByteView)

LEDGERLINE_RECORD(DeviceRow);
LEDGERLINE_RECORD(StreamRow);
LEDGERLINE_RECORD(RecoveryMode);
LEDGERLINE_RECORD(HeartbeatTrack);
LEDGERLINE_RECORD(QuarantineItem);
LEDGERLINE_RECORD(QuarantineCounters);
LEDGERLINE_RECORD(LogOrigin);
LEDGERLINE_RECORD(OperatorRow);
LEDGERLINE_RECORD(LogEntry);
LEDGERLINE_RECORD(LinkedRow);
LEDGERLINE_RECORD(LogRow);
LEDGERLINE_RECORD(FoldRow);
LEDGERLINE_RECORD(SideBatch);
LEDGERLINE_RECORD(StreamFoldState);
LEDGERLINE_RECORD(SeriesKey);
LEDGERLINE_RECORD(UsageValue);
LEDGERLINE_RECORD(ClockAnchor);
LEDGERLINE_RECORD(TouchedUsage);
LEDGERLINE_RECORD(CorrectionRow);
LEDGERLINE_RECORD(ExceptionRow);
LEDGERLINE_RECORD(ExceptionAction);
LEDGERLINE_RECORD(DocumentRow);
LEDGERLINE_RECORD(DeliveryRow);
LEDGERLINE_RECORD(PeriodRow);
LEDGERLINE_RECORD(RuleRow);
LEDGERLINE_RECORD(Lease);

}  // namespace ledgerline::collector
