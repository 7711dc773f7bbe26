#pragma once
// Meters and readings as values: what an input produces, a batch carries and the fold adds up.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/ids.h"

namespace ledgerline {

enum class MeterKind : uint8_t {
  register_ = 1,  // cumulative counter of the source
  delta = 2,      // consumption since the reading before
  gauge = 3,      // a level
  event = 4,      // something that happened, worth value
};

enum class StreamClass : uint8_t { billing = 1, diagnostic = 2 };

/// A row of a stream's meter table. A number keeps its meaning in its stream for ever.
struct MeterRow {
  uint32_t number = 0;  // from 1
  std::string name;
  std::string unit;
  int scale = 0;  // decimal places of values and totals, 0 to 18
  MeterKind kind = MeterKind::delta;
  uint32_t definition_version = 1;
  bool forward_ids = false;
  friend bool operator==(const MeterRow&, const MeterRow&) = default;
};

/// Ascending by name, names unique.
using DimensionSet = std::vector<std::pair<std::string, std::string>>;

struct Reading {
  uint32_t meter = 0;
  std::string subject;  // empty: the device itself
  DimensionSet dimensions;
  int64_t time_ms = 0;  // UTC, or the boot's monotonic clock where monotonic_time
  bool monotonic_time = false;
  bool register_reset = false;  // the counter began again; value is what it shows since
  bool late = false;            // earlier than a complete_through already promised
  /// Consumption for register, delta and event, the level for gauge; at the meter's scale.
  int64_t value = 0;
  int64_t register_value = 0;  // the raw counter, only for kind register
  std::string id;              // only where the meter forwards ids
  friend bool operator==(const Reading&, const Reading&) = default;
};

std::string_view to_string(MeterKind kind);
/// "register", "delta", "gauge", "event". Errc::reject names the four.
Result<MeterKind> parse_meter_kind(std::string_view text);
std::string_view to_string(StreamClass stream_class);

}  // namespace ledgerline
