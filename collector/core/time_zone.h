#pragma once
// The seam to Howard Hinnant's time zone library: IANA zones by name, the first instant of a local
// day, an instant in local words. The zone data is the system's (package tzdata), read once; apart
// from that pure. Where a zone file's stated transitions end (2037), its closing rule holds
// (posix_zone.h). Dates past kYearMax are refused.

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "common/time.h"

namespace ledgerline::collector {

using LocalDate = std::chrono::year_month_day;

class TimeZone {
 public:
  static constexpr int kYearMin = 1970;
  static constexpr int kYearMax = 9998;

  /// Errc::reject where there is no such zone.
  static Result<TimeZone> find(std::string_view name);

  [[nodiscard]] std::string name() const;
  /// The first instant of the day in this zone. Where a clock change skips midnight that is the
  /// first instant after the gap; where it repeats midnight, the earlier one. Errc::reject outside
  /// kYearMin to kYearMax.
  [[nodiscard]] Result<Timestamp> start_of_day(LocalDate day) const;
  /// Errc::reject outside kYearMin to kYearMax.
  [[nodiscard]] Result<LocalDate> local_date(Timestamp t) const;
  /// "2026-03-29T03:00:00+02:00". Errc::reject outside kYearMin to kYearMax.
  [[nodiscard]] Result<std::string> local_text(Timestamp t) const;

 private:
  class Zone;
  explicit TimeZone(std::shared_ptr<const Zone> zone) : zone_(std::move(zone)) {}
  std::shared_ptr<const Zone> zone_;
};

std::vector<std::string> time_zone_names();

}  // namespace ledgerline::collector
