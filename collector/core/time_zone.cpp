#include "collector/core/time_zone.h"

#include <cstdio>
#include <stdexcept>

// How Debian built the library. Without these its types have another layout here than there.
#define USE_OS_TZDB 1
#define ONLY_C_LOCALE 1
#define HAS_STRING_VIEW 1
#include <date/tz.h>

namespace ledgerline::collector {

namespace {

using std::chrono::seconds;

const date::time_zone& zone_of(const void* zone) {
  return *static_cast<const date::time_zone*>(zone);
}

Status check_year(int year) {
  if (year >= TimeZone::kYearMin && year <= TimeZone::kYearMax) return {};
  return fail(Errc::reject, "the year " + std::to_string(year) + " is not between " +
                                std::to_string(TimeZone::kYearMin) + " and " +
                                std::to_string(TimeZone::kYearMax));
}

struct Local {
  date::local_seconds time;
  seconds offset;
};

Result<Local> to_local(const date::time_zone& zone, Timestamp t) {
  const date::sys_seconds instant{std::chrono::floor<seconds>(Duration(t.unix_ms()))};
  const LocalDate utc{
      std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(instant.time_since_epoch()))};
  TRY_VOID(check_year(static_cast<int>(utc.year())));
  const date::sys_info info = zone.get_info(instant);
  return Local{date::local_seconds(instant.time_since_epoch() + info.offset), info.offset};
}

}  // namespace

Result<TimeZone> TimeZone::find(std::string_view name) {
  try {
    return TimeZone(date::locate_zone(std::string(name)));
  } catch (const std::runtime_error&) {
    return fail(
        Error(Errc::reject, "no such time zone").with("name", std::string(name.substr(0, 60))));
  }
}

std::string TimeZone::name() const { return zone_of(zone_).name(); }

Result<Timestamp> TimeZone::start_of_day(LocalDate day) const {
  if (!day.ok()) return fail(Errc::reject, "no such day");
  TRY_VOID(check_year(static_cast<int>(day.year())));
  const date::local_seconds midnight{
      date::days(std::chrono::sys_days(day).time_since_epoch().count())};
  const date::local_info info = zone_of(zone_).get_info(midnight);
  // In a gap the day begins with the first instant after it, which is where the later offset begins
  // to hold.
  const date::sys_seconds instant =
      info.result == date::local_info::nonexistent
          ? info.second.begin
          : date::sys_seconds(midnight.time_since_epoch() - info.first.offset);
  return Timestamp(int64_t{instant.time_since_epoch().count()} * 1000);
}

Result<LocalDate> TimeZone::local_date(Timestamp t) const {
  TRY(const Local local, to_local(zone_of(zone_), t));
  const auto day = std::chrono::floor<std::chrono::days>(local.time.time_since_epoch());
  return LocalDate(std::chrono::sys_days(day));
}

Result<std::string> TimeZone::local_text(Timestamp t) const {
  TRY(const Local local, to_local(zone_of(zone_), t));
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
