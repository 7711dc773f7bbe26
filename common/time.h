#pragma once
// Time as data. Timestamp is wall time for records; monotonic milliseconds measure and time out.
// Both come from a Clock that is passed in, so that a test decides what time it is.

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace ledgerline {

using Duration = std::chrono::milliseconds;

/// UTC milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
class Timestamp {
 public:
  constexpr Timestamp() = default;
  constexpr explicit Timestamp(int64_t unix_ms) : unix_ms_(unix_ms) {}
  [[nodiscard]] constexpr int64_t unix_ms() const { return unix_ms_; }

  friend constexpr auto operator<=>(Timestamp, Timestamp) = default;
  friend constexpr Timestamp operator+(Timestamp t, Duration d) {
    return Timestamp(t.unix_ms_ + d.count());
  }
  friend constexpr Timestamp operator-(Timestamp t, Duration d) {
    return Timestamp(t.unix_ms_ - d.count());
  }
  friend constexpr Duration operator-(Timestamp a, Timestamp b) {
    return Duration(a.unix_ms_ - b.unix_ms_);
  }

 private:
  int64_t unix_ms_ = 0;
};

/// RFC 3339 with milliseconds and Z: "2026-11-20T08:15:00.000Z". Years 0000 to 9999.
std::string to_rfc3339(Timestamp t);
/// Reads RFC 3339 with any offset; a fraction finer than a millisecond is cut. Errc::reject names
/// what is wrong.
Result<Timestamp> parse_rfc3339(std::string_view text);

/// Milliseconds since an arbitrary point that is fixed for one boot of the machine (CLOCK_BOOTTIME:
/// counts suspend).
struct Monotonic {
  int64_t ms = 0;
  friend constexpr auto operator<=>(Monotonic, Monotonic) = default;
  friend constexpr Duration operator-(Monotonic a, Monotonic b) { return Duration(a.ms - b.ms); }
  friend constexpr Monotonic operator+(Monotonic m, Duration d) { return {m.ms + d.count()}; }
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp now() = 0;
  virtual Monotonic monotonic() = 0;
};

}  // namespace ledgerline
