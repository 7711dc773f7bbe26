#pragma once
// Contract periods, half-open [from, until), and when one may close. A calendar period (months or
// days) begins at the start of a local day in the contract's zone; an exact one is a number of
// milliseconds counted from an anchor instant. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collector/core/records.h"
#include "collector/core/time_zone.h"
#include "common/result.h"
#include "common/time.h"

namespace ledgerline::collector {

struct Period {
  Timestamp from;
  Timestamp until;
  friend auto operator<=>(const Period&, const Period&) = default;
};

class PeriodRule {
 public:
  /// `period` is an ISO 8601 duration: years and months, or weeks and days, are counted by the
  /// calendar from a local date `anchor` ("2026-01-31"); hours, minutes and seconds are exact and
  /// count from an instant (RFC 3339) or from the start of a local day. Errc::reject says what is
  /// wrong.
  static Result<PeriodRule> parse(std::string_view period, std::string_view anchor,
                                  const TimeZone& zone);

  [[nodiscard]] const TimeZone& zone() const { return zone_; }
  /// Where the first period begins.
  [[nodiscard]] Timestamp anchor() const { return anchor_; }

  /// Period number `index`, from 0. 31 Jan monthly gives 28 Feb and then 31 Mar again: each is
  /// counted from the anchor, not from the one before.
  [[nodiscard]] Result<Period> at(int64_t index) const;
  /// The period that contains t. Errc::reject for t before the anchor.
  [[nodiscard]] Result<Period> containing(Timestamp t) const;

 private:
  enum class Step { months, days, exact };
  explicit PeriodRule(const TimeZone& zone) : zone_(zone) {}
  [[nodiscard]] Result<Timestamp> begin_of(int64_t index) const;

  TimeZone zone_;
  Step step_ = Step::exact;
  int64_t count_ = 0;       // of months, days or milliseconds
  LocalDate anchor_day_{};  // calendar steps only
  Timestamp anchor_;
};

/// "2026-01-31". Errc::reject.
Result<LocalDate> parse_local_date(std::string_view text);

/// A device whose readings a period needs, up to `required`: the period's end, or the end of its
/// links where that is earlier.
struct DeviceNeed {
  std::string device;
  Timestamp required;
  bool link_ended = false;  // no link of the device reaches beyond the period
  std::vector<StreamProgress> streams;
  Timestamp from = {};  // the period's begin, or that of its first link where it is later
};

/// An operator's word that a device need not promise [from, until).
struct AcceptedGap {
  Digest id;  // of the statement
  std::string device;
  Timestamp from;
  Timestamp until;
  friend bool operator==(const AcceptedGap&, const AcceptedGap&) = default;
};

struct Waiting {
  enum class Reason { no_stream, no_heartbeat, behind, frozen, recovering };
  Reason reason = Reason::no_stream;
  std::string device;
  std::optional<StreamId> stream;
  std::optional<Timestamp> complete_through;
  std::optional<Timestamp> heard_at;
  uint64_t missing = 0;  // recovering: batches that are still to come back
  [[nodiscard]] std::string text() const;
};

/// Where that begins which the device has not promised: a gap from there to `required` ends the
/// wait.
Timestamp missing_from(const DeviceNeed& need, const Waiting& waiting);

/// Why a period cannot close yet; empty: every open billing stream of every device has promised,
/// and the fold has reached, everything before `required`. A device without an open stream is
/// waited for too, because no data is not zero usage; unless its link has ended, by which an
/// operator says that nothing more comes, and its streams ended in order (closed). What a device
/// has not promised of [from, required) may be missing where accepted gaps cover it without a hole. A stream of
/// which this collector lost what it had given a receipt for is waited for whatever was promised.
std::vector<Waiting> waiting_for(const std::vector<DeviceNeed>& devices,
                                 const std::vector<AcceptedGap>& gaps = {});

/// Ids, ascending, of the gaps without which the period would wait for one of the devices.
std::vector<Digest> gaps_relied_on(const std::vector<DeviceNeed>& devices,
                                   const std::vector<AcceptedGap>& gaps);

}  // namespace ledgerline::collector
