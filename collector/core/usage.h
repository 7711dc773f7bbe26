#pragma once
// Usage: what the fold adds up, per series and UTC quarter hour. Every time zone's day is a union
// of quarter hours, so all that is commercial reads these rows. Pure.

#include <compare>
#include <cstdint>
#include <string>

#include "common/decimal.h"
#include "common/ids.h"
#include "common/meter.h"
#include "common/time.h"

namespace ledgerline::collector {

/// Quarter hours since 1970-01-01T00:00:00Z: [start(), start() + 15 min).
struct QuarterHour {
  static constexpr int64_t kLengthMs = 15 * 60 * 1000;
  int32_t index = 0;

  /// The quarter hour that holds the instant.
  static QuarterHour of(Timestamp instant);
  [[nodiscard]] Timestamp start() const { return Timestamp(index * kLengthMs); }
  [[nodiscard]] Timestamp end() const { return Timestamp((int64_t{index} + 1) * kLengthMs); }
  [[nodiscard]] QuarterHour next() const { return {index + 1}; }
  friend constexpr auto operator<=>(QuarterHour, QuarterHour) = default;
};

/// What makes readings add up into one line: whose, of what, defined how (the definition the device
/// declared, whether or not the catalog knows it).
struct SeriesKey {
  std::string tenant;
  std::string device;
  std::string subject;  // empty: the device itself
  std::string meter;
  std::string unit;
  int scale = 0;
  MeterKind kind = MeterKind::delta;
  uint32_t definition_version = 1;
  DimensionSet dimensions;
  friend auto operator<=>(const SeriesKey&, const SeriesKey&) = default;
};

/// 1, 2, 3 ... in the order in which the fold first met them; 0 is none.
using SeriesId = uint64_t;

struct SeriesRow {
  SeriesId id = 0;
  SeriesKey key;
  friend bool operator==(const SeriesRow&, const SeriesRow&) = default;
};

/// A reading's place among all readings of a series: any order of arrival gives the same last one.
struct ReadingOrder {
  int64_t time_ms = 0;
  StreamId stream;
  Seq seq = 0;
  friend constexpr auto operator<=>(const ReadingOrder&, const ReadingOrder&) = default;
};

/// The readings of a series in a span of time, added up. Values are integers at the series' scale.
/// Nothing where count is 0.
struct UsageValue {
  Int128 sum = 0;
  uint64_t count = 0;
  int64_t min = 0;
  int64_t max = 0;
  int64_t last = 0;
  ReadingOrder last_order;

  void add(int64_t value, const ReadingOrder& order);
  /// Commutative and associative. The sum cannot overflow: a count below 2^64 of 64-bit values fits
  /// in 128 bits.
  void merge(const UsageValue& other);
  friend bool operator==(const UsageValue&, const UsageValue&) = default;
};

struct UsageRow {
  SeriesId series = 0;
  QuarterHour quarter;
  UsageValue value;
  friend bool operator==(const UsageRow&, const UsageRow&) = default;
};

}  // namespace ledgerline::collector
