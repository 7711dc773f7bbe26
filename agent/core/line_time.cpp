#include "agent/core/line_time.h"

#include <array>
#include <optional>

#include "agent/core/meter_value.h"
#include "common/decimal.h"

namespace ledgerline::agent {

namespace {

constexpr int64_t kMsMax = 253'402'300'799'999;  // the last millisecond of year 9999
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct Parts {
  int year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0, ms = 0, offset_minutes = 0;
};

class PatternReader {
 public:
  explicit PatternReader(std::string_view text) : text_(text) {}

  bool read(std::string_view pattern, Parts& parts) {
    for (size_t i = 0; i < pattern.size(); ++i) {
      const bool taken = pattern[i] == '%' ? directive(pattern[++i], parts) : literal(pattern[i]);
      if (!taken) return false;
    }
    return text_.empty();
  }

 private:
  bool literal(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool digits(size_t count, int& out) {
    if (text_.size() < count) return false;
    int value = 0;
    for (const char c : text_.substr(0, count)) {
      if (c < '0' || c > '9') return false;
      value = value * 10 + (c - '0');
    }
    text_.remove_prefix(count);
    out = value;
    return true;
  }
  bool month_name(int& out) {
    if (text_.size() < 3) return false;
    const size_t at = kMonths.find(text_.substr(0, 3));
    if (at == std::string_view::npos || at % 3 != 0) return false;
    text_.remove_prefix(3);
    out = static_cast<int>(at / 3) + 1;
    return true;
  }
  bool fraction(int& ms) {
    int weight = 100;
    int digit = 0;
    size_t count = 0;
    ms = 0;
    for (; digits(1, digit); ++count) {
      ms += digit * weight;
      weight /= 10;
    }
    return count > 0;
  }
  bool offset(int& minutes) {
    if (literal('Z')) return true;
    const int sign = text_.starts_with('-') ? -1 : 1;
    int hours = 0;
    int rest = 0;
    if (!literal('-') && !literal('+')) return false;
    if (!digits(2, hours)) return false;
    literal(':');
    if (!digits(2, rest) || hours > 23 || rest > 59) return false;
    minutes = sign * (hours * 60 + rest);
    return true;
  }
  bool directive(char name, Parts& parts) {
    switch (name) {
      case 'Y':
        return digits(4, parts.year);
      case 'm':
        return digits(2, parts.month);
      case 'b':
        return month_name(parts.month);
      case 'd':
        return digits(2, parts.day);
      case 'H':
        return digits(2, parts.hour);
      case 'M':
        return digits(2, parts.minute);
      case 'S':
        return digits(2, parts.second);
      case 'f':
        return fraction(parts.ms);
      case 'z':
        return offset(parts.offset_minutes);
      default:
        return literal('%');
    }
  }

  std::string_view text_;
};

std::optional<Timestamp> time_of(const Parts& parts) {
  using namespace std::chrono;
  const year_month_day date{year(parts.year), month(static_cast<unsigned>(parts.month)),
                            day(static_cast<unsigned>(parts.day))};
  // A leap second is told as the last one of its minute, as in RFC 3339 times.
  const int second = parts.second == 60 ? 59 : parts.second;
  if (!date.ok() || parts.hour > 23 || parts.minute > 59 || second > 59) return std::nullopt;
  const auto time = sys_days(date) + hours(parts.hour) + minutes(parts.minute) + seconds(second) +
                    milliseconds(parts.ms) - minutes(parts.offset_minutes);
  return Timestamp(time.time_since_epoch().count());
}

std::string in_quotes(std::string_view text) {
  return "\"" + std::string(text.substr(0, 40)) + "\"";
}

Result<Timestamp> by_pattern(const std::string& pattern, std::string_view text) {
  Parts parts;
  if (PatternReader(text).read(pattern, parts)) {
    if (const auto time = time_of(parts)) return *time;
  }
  return fail(Errc::reject, "the time " + in_quotes(text) + " is not one of the form " + pattern);
}

/// A count of seconds or milliseconds; what is finer than a millisecond is cut.
Result<Timestamp> by_unix_time(std::string_view text, int scale) {
  const auto decimal = Decimal::parse(text);
  const auto cut = decimal ? decimal->rounded(scale, Rounding::down) : decimal;
  if (!cut || cut->coefficient() > kMsMax)
    return fail(Errc::reject, "the time " + in_quotes(text) + " is no number of " +
                                  (scale == 3 ? "seconds" : "milliseconds") + " since 1970");
  return Timestamp(static_cast<int64_t>(cut->coefficient()));
}

Result<Timestamp> by_steps(const LineTime& rule, std::string_view text) {
  const auto number = scaled_value(text, 0);
  int64_t distance = 0;
  int64_t time = 0;
  if (!number || __builtin_mul_overflow(*number, rule.step.count(), &distance) ||
      __builtin_add_overflow(rule.origin.unix_ms(), distance, &time)) {
    return fail(Errc::reject, "the time " + in_quotes(text) + " is no number of steps");
  }
  return Timestamp(time);
}

Result<Timestamp> by_form(const LineTime& rule, std::string_view text) {
  switch (rule.form) {
    case LineTime::Form::rfc3339: {
      const auto time = parse_rfc3339(text);
      if (!time) return fail(Errc::reject, "the time " + in_quotes(text) + " is no RFC 3339 time");
      return *time;
    }
    case LineTime::Form::unix_s:
      return by_unix_time(text, 3);
    case LineTime::Form::unix_ms:
      return by_unix_time(text, 0);
    case LineTime::Form::steps:
      return by_steps(rule, text);
    case LineTime::Form::pattern:
      return by_pattern(rule.pattern, text);
  }
  return Timestamp();
}

}  // namespace

Status check_time_pattern(std::string_view pattern) {
  bool has_year = false;
  bool has_month = false;
  bool has_day = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%') continue;
    const char name = ++i < pattern.size() ? pattern[i] : ' ';
    if (std::string_view("YmbdHMSfz%").find(name) == std::string_view::npos)
      return fail(Errc::reject, "a time is made of %Y %m %b %d %H %M %S %f %z and %%");
    has_year = has_year || name == 'Y';
    has_month = has_month || name == 'm' || name == 'b';
    has_day = has_day || name == 'd';
  }
  if (!has_year || !has_month || !has_day)
    return fail(Errc::reject, "a time needs %Y, %m or %b, and %d");
  return {};
}

Result<Timestamp> read_line_time(const LineTime& rule, std::string_view text) {
  TRY(const Timestamp time, by_form(rule, text));
  if (time.unix_ms() < 0 || time.unix_ms() > kMsMax)
    return fail(Errc::reject,
                "the time " + in_quotes(text) + " does not lie between 1970 and 9999");
  return time;
}

}  // namespace ledgerline::agent
