#include "collector/core/time_zone.h"

#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>

#include "collector/core/posix_zone.h"

// How Debian built the library. Without these its types have another layout here than there.
#define USE_OS_TZDB 1
#define ONLY_C_LOCALE 1
#define HAS_STRING_VIEW 1
#include <date/tz.h>

namespace ledgerline::collector {

namespace {

using std::chrono::seconds;

/// The rule at the end of a compiled zone file (RFC 8536, section 3.3): a POSIX TZ string between
/// two newlines. Nothing where the file has none, as those of version 1.
std::optional<std::string> footer(const std::string& name) {
  std::ifstream file("/usr/share/zoneinfo/" + name, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!text.starts_with("TZif") || !text.ends_with('\n')) return std::nullopt;
  const size_t begin = text.rfind('\n', text.size() - 2);
  if (begin == std::string::npos || begin + 2 >= text.size()) return std::nullopt;
  return text.substr(begin + 1, text.size() - begin - 2);
}

}  // namespace

/// A zone, and what holds in it after the last transition that its file states.
class TimeZone::Zone {
 public:
  explicit Zone(const date::time_zone& stated) : stated_(stated) {
    const auto rule = footer(stated.name());
    if (!rule) return;
    try {
      later_.emplace(*rule);
    } catch (const std::runtime_error&) {
      // Nuuk's clocks change at -1 o'clock, which the library does not read.
    }
  }

  [[nodiscard]] Status check_year(int year) const {
    // Without a rule nobody knows what holds after the transitions of the file.
    const int max = later_ ? kYearMax : kStatedYearMax;
    if (year >= kYearMin && year <= max) return {};
    return fail(Errc::reject, "the year " + std::to_string(year) + " is not between " +
                                  std::to_string(kYearMin) + " and " + std::to_string(max) +
                                  " in " + name());
  }

  [[nodiscard]] const std::string& name() const { return stated_.name(); }
  struct Local {
    date::local_seconds time;
    seconds offset;
  };
  [[nodiscard]] Result<Local> local(Timestamp t) const {
    const date::sys_seconds instant{std::chrono::floor<seconds>(Duration(t.unix_ms()))};
    const LocalDate utc{std::chrono::floor<std::chrono::days>(
        std::chrono::sys_seconds(instant.time_since_epoch()))};
    TRY_VOID(check_year(static_cast<int>(utc.year())));
    const date::sys_info info = stated_.get_info(instant);
    seconds offset = info.offset;
    if (later_ && is_last(info))
      offset = seconds(later_->at(instant.time_since_epoch().count()).offset);
    return Local{date::local_seconds(instant.time_since_epoch() + offset), offset};
  }
  /// The first instant at which a clock shows the time or, where it is skipped, a later one.
  [[nodiscard]] date::sys_seconds first_instant(date::local_seconds time) const {
    const date::local_info info = stated_.get_info(time);
    if (info.result == date::local_info::nonexistent) return info.second.begin;
    if (later_ && info.result == date::local_info::unique && is_last(info.first)) {
      const PosixZone::Local local = later_->at_local(time.time_since_epoch().count());
      return date::sys_seconds(local.skipped
                                   ? seconds(local.second.begin)
                                   : time.time_since_epoch() - seconds(local.first.offset));
    }
    return date::sys_seconds(time.time_since_epoch() - info.first.offset);
  }

 private:
  static constexpr int kStatedYearMax = 2036;

  static bool is_last(const date::sys_info& info) {
    return info.end > date::sys_days(date::year(kYearMax) / 12 / 31);
  }

  const date::time_zone& stated_;
  std::optional<PosixZone> later_;
};

Result<TimeZone> TimeZone::find(std::string_view name) {
  try {
    return TimeZone(std::make_shared<const Zone>(*date::locate_zone(std::string(name))));
  } catch (const std::runtime_error&) {
    return fail(
        Error(Errc::reject, "no such time zone").with("name", std::string(name.substr(0, 60))));
  }
}

std::string TimeZone::name() const { return zone_->name(); }

Result<Timestamp> TimeZone::start_of_day(LocalDate day) const {
  if (!day.ok()) return fail(Errc::reject, "no such day");
  TRY_VOID(zone_->check_year(static_cast<int>(day.year())));
  const date::local_seconds midnight{
      date::days(std::chrono::sys_days(day).time_since_epoch().count())};
  const date::sys_seconds instant = zone_->first_instant(midnight);
  return Timestamp(int64_t{instant.time_since_epoch().count()} * 1000);
}

Result<LocalDate> TimeZone::local_date(Timestamp t) const {
  TRY(const Zone::Local local, zone_->local(t));
  const auto day = std::chrono::floor<std::chrono::days>(local.time.time_since_epoch());
  return LocalDate(std::chrono::sys_days(day));
}

Result<std::string> TimeZone::local_text(Timestamp t) const {
  TRY(const Zone::Local local, zone_->local(t));
  const Timestamp shifted(int64_t{local.time.time_since_epoch().count()} * 1000);
  const int64_t minutes = std::chrono::duration_cast<std::chrono::minutes>(local.offset).count();
  const int64_t distance = minutes < 0 ? -minutes : minutes;
  char offset[16];
  std::snprintf(offset, sizeof offset, "%c%02d:%02d", minutes < 0 ? '-' : '+',
                static_cast<int>(distance / 60 % 100), static_cast<int>(distance % 60));
  return to_rfc3339(shifted).substr(0, 19) + offset;
}

std::vector<std::string> time_zone_names() {
  std::vector<std::string> out;
  try {
    for (const auto& zone : date::get_tzdb().zones) out.push_back(zone.name());
  } catch (const std::runtime_error&) {
    // No zone data on this system: there is no name to suggest, and find() says so.
  }
  return out;
}

}  // namespace ledgerline::collector
