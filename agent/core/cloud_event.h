#pragma once
// CloudEvents 1.0 become readings: the rules by which the agent takes an app's event or refuses it,
// naming the event, the field, what was expected and what to do. Pure: no socket, no clock. Parsed
// as a stream of tokens, because a tree per event costs more than everything else on the way to the
// journal.
//
//   type     the meter's name                         subject  whom the reading is about; absent:
//   the device itself source, id  together the idempotency key          time     event time;
//   absent: the monotonic clock now data.value  a string or an integer                data.unit
//   optional, checked against the meter other members of data: dimensions

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/core/recorder.h"
#include "common/meter.h"
#include "common/time.h"

namespace ledgerline::agent {

inline constexpr size_t kEventsPerRequestMax = 4096;
inline constexpr size_t kDimensionsMax = 16;
inline constexpr size_t kDimensionNameBytesMax = 64;
inline constexpr size_t kDimensionValueBytesMax = 256;
inline constexpr size_t kSubjectBytesMax = 256;
inline constexpr size_t kKeyBytesMax = 512;  // source and id together

/// Why a request was not taken. Nothing of a refused request is recorded.
struct EventRefusal {
  unsigned status =
      422;  // HTTP: 400 no JSON, 413 too many events, 422 an event that cannot be recorded
  std::optional<size_t>
      event;          // index in the batch, from 0; absent where no single event is at fault
  std::string field;  // "data.value"; empty where no single field is at fault
  std::string detail;
};

/// The meters an app may write, by name.
class MeterIndex {
 public:
  explicit MeterIndex(const std::vector<MeterRow>& rows);
  [[nodiscard]] const MeterRow* find(std::string_view name) const;
  /// ` did you mean "api.requests"?`, or what is declared where nothing is near.
  [[nodiscard]] std::string hint(std::string_view name) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, MeterRow, Hash, std::equal_to<>> rows_;
};

using EventsOrRefusal = tl::expected<std::vector<RecordItem>, EventRefusal>;

/// application/cloudevents+json
EventsOrRefusal read_event(std::string_view body, const MeterIndex& meters, Monotonic now);
/// application/cloudevents-batch+json
EventsOrRefusal read_event_batch(std::string_view body, const MeterIndex& meters, Monotonic now);
/// application/json with the attributes in ce- headers: names without "ce-", values still
/// percent-encoded.
EventsOrRefusal read_binary_event(
    const std::vector<std::pair<std::string, std::string>>& attributes, std::string_view body,
    const MeterIndex& meters, Monotonic now);

/// application/problem+json (RFC 9457) with the members event and field where they are known.
std::string problem_json(const EventRefusal& refusal);

}  // namespace ledgerline::agent
