#pragma once
// The time that a line tells. Pure.

#include <string>
#include <string_view>

#include "common/time.h"

namespace ledgerline::agent {

struct LineTime {
  enum class Form { rfc3339, unix_s, unix_ms, steps, pattern };
  Form form = Form::rfc3339;
  std::string pattern;  // of form pattern; check_time_pattern() passed
  Timestamp origin;     // of steps: time = origin + number x step
  Duration step{0};
};

/// 17/May/2015:10:05:03 +0000
inline constexpr std::string_view kNcsaTimePattern = "%d/%b/%Y:%H:%M:%S %z";

/// Everything but these is itself: %Y %m %d %H %M %S two digits (%Y four), %b the month as Jan to
/// Dec, %f a fraction of a second, %z an offset such as +0200 (without it the time is UTC), %%.
/// Errc::reject where there is another one, or year, month or day are missing.
Status check_time_pattern(std::string_view pattern);

/// Errc::reject where `text` is no such time, or one outside 1970 to 9999. A fraction finer than a
/// millisecond is cut.
Result<Timestamp> read_line_time(const LineTime& rule, std::string_view text);

}  // namespace ledgerline::agent
