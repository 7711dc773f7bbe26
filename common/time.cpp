#include "common/time.h"

#include <array>
#include <cstdio>
#include <optional>

namespace ledgerline {

namespace {

using std::chrono::days;
using std::chrono::sys_days;

/// Reads fixed-width decimal digits and single characters from the left.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::optional<int> digits(size_t count) {
    if (text_.size() - at_ < count) return std::nullopt;
    int value = 0;
    for (size_t i = 0; i < count; ++i) {
      const char c = text_[at_ + i];
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + (c - '0');
    }
    at_ += count;
    return value;
  }

  bool one_of(std::string_view characters) {
    if (at_ >= text_.size() || characters.find(text_[at_]) == std::string_view::npos) return false;
    last_ = text_[at_++];
    return true;
  }

  [[nodiscard]] char last() const { return last_; }
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }

 private:
  std::string_view text_;
  size_t at_ = 0;
  char last_ = 0;
};

tl::unexpected<Error> not_a_time(std::string_view text) {
  return fail(Error(Errc::reject, "not an RFC 3339 time such as 2026-11-20T08:15:00Z")
                  .with("value", std::string(text.substr(0, 40))));
}

/// ".123456" as milliseconds, cut. Leaves the reader behind the last digit; nothing where a digit
/// is missing.
std::optional<int> fraction_ms(Reader& reader) {
  int ms = 0;
  int weight = 100;
  int count = 0;
  while (reader.one_of("0123456789")) {
    ms += (reader.last() - '0') * weight;
    weight /= 10;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return ms;
}

std::optional<int> offset_minutes(Reader& reader) {
  if (reader.one_of("Zz")) return 0;
  if (!reader.one_of("+-")) return std::nullopt;
  const int sign = reader.last() == '-' ? -1 : 1;
  const auto hours = reader.digits(2);
  if (!hours || !reader.one_of(":")) return std::nullopt;
  const auto minutes = reader.digits(2);
  if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * (*hours * 60 + *minutes);
}

}  // namespace

std::string to_rfc3339(Timestamp t) {
  const std::chrono::sys_time<Duration> instant{Duration(t.unix_ms())};
  const auto day = std::chrono::floor<days>(instant);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss<Duration> time{instant - day};
  std::array<char, 80> out{};
  std::snprintf(out.data(), out.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
                static_cast<int>(time.subseconds().count()));
  return out.data();
}

Result<Timestamp> parse_rfc3339(std::string_view text) {
  Reader reader(text);
  const auto year = reader.digits(4);
  if (!year || !reader.one_of("-")) return not_a_time(text);
  const auto month = reader.digits(2);
  if (!month || !reader.one_of("-")) return not_a_time(text);
  const auto day = reader.digits(2);
  if (!day || !reader.one_of("Tt ")) return not_a_time(text);
  const auto hour = reader.digits(2);
  if (!hour || !reader.one_of(":")) return not_a_time(text);
  const auto minute = reader.digits(2);
  if (!minute || !reader.one_of(":")) return not_a_time(text);
  const auto second = reader.digits(2);
  if (!second) return not_a_time(text);
  int ms = 0;
  if (reader.one_of(".")) {
    const auto fraction = fraction_ms(reader);
    if (!fraction) return not_a_time(text);
    ms = *fraction;
  }
  const auto offset = offset_minutes(reader);
  if (!offset || !reader.at_end()) return not_a_time(text);

  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  // Second 60 is a leap second (RFC 3339 section 5.7); it counts as the first moment after it.
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return not_a_time(text);
  const int64_t days_since_epoch = sys_days(date).time_since_epoch().count();
  const int64_t seconds = ((days_since_epoch * 24 + *hour) * 60 + *minute - *offset) * 60 + *second;
  return Timestamp(seconds * 1000 + ms);
}

}  // namespace ledgerline
