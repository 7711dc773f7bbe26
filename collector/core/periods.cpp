#include "collector/core/periods.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>
#include <tuple>

#include "common/check.h"

namespace ledgerline::collector {

namespace {

using std::chrono::day;
using std::chrono::days;
using std::chrono::last;
using std::chrono::month;
using std::chrono::months;
using std::chrono::sys_days;
using std::chrono::year;
using std::chrono::year_month;
using std::chrono::year_month_day;

constexpr int64_t kExactMsMax = int64_t{366} * 86'400'000;

/// The parts of an ISO 8601 duration of whole numbers.
struct IsoDuration {
  int64_t months = 0;
  int64_t days = 0;
  int64_t ms = 0;
};

tl::unexpected<Error> not_a_period(std::string_view text) {
  return fail(Error(Errc::reject, "not a period such as P1M, P3M, P1Y, P1D, PT1H or PT1M")
                  .with("value", std::string(text.substr(0, 40))));
}

/// Adds `value` units; false for a letter that does not stand in this half of the duration.
bool add_part(IsoDuration& out, bool time_half, char unit, int64_t value) {
  if (!time_half) {
    switch (unit) {
      case 'Y':
        out.months += value * 12;
        return true;
      case 'M':
        out.months += value;
        return true;
      case 'W':
        out.days += value * 7;
        return true;
      case 'D':
        out.days += value;
        return true;
      default:
        return false;
    }
  }
  switch (unit) {
    case 'H':
      out.ms += value * 3'600'000;
      return true;
    case 'M':
      out.ms += value * 60'000;
      return true;
    case 'S':
      out.ms += value * 1000;
      return true;
    default:
      return false;
  }
}

Result<IsoDuration> parse_iso_duration(std::string_view text) {
  if (!text.starts_with('P')) return not_a_period(text);
  IsoDuration out;
  bool time_half = false;
  size_t at = 1;
  size_t parts = 0;
  while (at < text.size()) {
    if (text[at] == 'T' && !time_half) {
      time_half = true;
      ++at;
      continue;
    }
    constexpr int64_t kValueMax = 999'999;  // keeps every sum far from overflow
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
    at = static_cast<size_t>(end - text.data());
    if (error != std::errc() || value < 0 || value > kValueMax || at >= text.size())
      return not_a_period(text);
    if (!add_part(out, time_half, text[at], value) || ++parts > 6) return not_a_period(text);
    ++at;
  }
  if (parts == 0 || text.ends_with('T')) return not_a_period(text);
  return out;
}

}  // namespace

Result<LocalDate> parse_local_date(std::string_view text) {
  const auto wrong = [&] {
    return fail(Error(Errc::reject, "not a date such as 2026-01-31")
                    .with("value", std::string(text.substr(0, 40))));
  };
  if (text.size() != 10) return wrong();
  const auto instant = parse_rfc3339(std::string(text) + "T00:00:00Z");
  if (!instant) return wrong();
  return LocalDate(
      std::chrono::floor<days>(std::chrono::sys_time<Duration>(Duration(instant->unix_ms()))));
}

Result<PeriodRule> PeriodRule::parse(std::string_view period, std::string_view anchor,
                                     const TimeZone& zone) {
  TRY(const IsoDuration length, parse_iso_duration(period));
  PeriodRule rule(zone);
  const int kinds = (length.months != 0) + (length.days != 0) + (length.ms != 0);
  if (kinds != 1)
    return fail(Errc::reject,
                "a period is months, or days, or hours and smaller, and longer than nothing");
  rule.step_ = length.months != 0 ? Step::months : length.days != 0 ? Step::days : Step::exact;
  rule.count_ = std::max({length.months, length.days, length.ms});
  if (rule.step_ == Step::exact && rule.count_ > kExactMsMax) {
    return fail(Errc::reject,
                "an exact period is at most 366 days long; use P1Y and the like for more");
  }
  if (rule.step_ != Step::exact && rule.count_ > 1200)
    return fail(Errc::reject, "a calendar period is at most 1200 long");

  const auto local_day = parse_local_date(anchor);
  if (local_day) {
    rule.anchor_day_ = *local_day;
    TRY(rule.anchor_, zone.start_of_day(*local_day));
    return rule;
  }
  if (rule.step_ != Step::exact) {
    return fail(Errc::reject,
                "a period of months or days begins at a local date such as 2026-01-31");
  }
  const auto instant = parse_rfc3339(anchor);
  if (!instant)
    return fail(Errc::reject,
                "the anchor is neither a date such as 2026-01-31 nor an RFC 3339 time");
  rule.anchor_ = *instant;
  return rule;
}

Result<Timestamp> PeriodRule::begin_of(int64_t index) const {
  CHECK_INVARIANT(index >= 0);
  constexpr int64_t kIndexMax = int64_t{1} << 31;  // a second's periods for 68 years
  if (index > kIndexMax) return fail(Errc::reject, "a period too far from its anchor");
  if (step_ == Step::exact) return anchor_ + Duration(index * count_);
  if (index * count_ > 100'000) return fail(Errc::reject, "a period too far from its anchor");
  const auto steps = static_cast<int>(index * count_);
  if (step_ == Step::days)
    return zone_.start_of_day(LocalDate(sys_days(anchor_day_) + days(steps)));
  const year_month target = year_month(anchor_day_.year(), anchor_day_.month()) + months(steps);
  const day last_day = (target / last).day();
  return zone_.start_of_day(target / std::min(anchor_day_.day(), last_day));
}

Result<Period> PeriodRule::at(int64_t index) const {
  TRY(const Timestamp from, begin_of(index));
  TRY(const Timestamp until, begin_of(index + 1));
  return Period{from, until};
}

Result<Period> PeriodRule::containing(Timestamp t) const {
  if (t < anchor_) return fail(Errc::reject, "an instant before the first period");
  int64_t index = 0;
  if (step_ == Step::exact) {
    index = (t - anchor_).count() / count_;
  } else {
    TRY(const LocalDate today, zone_.local_date(t));
    const int64_t passed =
        step_ == Step::days
            ? (sys_days(today) - sys_days(anchor_day_)).count()
            : ((today.year() / today.month()) - (anchor_day_.year() / anchor_day_.month())).count();
    index = std::max<int64_t>(0, passed / count_ - 1);
  }
  // The guess is at most two periods early, never late.
  for (int step = 0; step < 4; ++step, ++index) {
    TRY(const Period period, at(index));
    if (t < period.until) {
      CHECK_INVARIANT(period.from <= t);
      return period;
    }
  }
  return fail(Errc::internal, "no period contains an instant after the anchor");
}

std::string Waiting::text() const {
  std::string out = "device " + device;
  if (stream) out += ", stream " + stream->hex();
  switch (reason) {
    case Reason::no_stream:
      out += ": no open stream";
      break;
    case Reason::no_heartbeat:
      out += ": no heartbeat yet";
      break;
    case Reason::behind:
      out += ": complete up to " + to_rfc3339(complete_through.value_or(Timestamp()));
      break;
    case Reason::frozen:
      out += ": frozen after a fork";
      break;
    case Reason::recovering:
      out += ": " + std::to_string(missing) +
             " batches that a receipt covers are still to come back (exception recovery)";
      break;
  }
  if (heard_at) out += ", last heard at " + to_rfc3339(*heard_at);
  return out;
}

Timestamp missing_from(const DeviceNeed& need, const Waiting& waiting) {
  return std::max(waiting.complete_through.value_or(need.from), need.from);
}

namespace {

/// Of one device, ascending by from.
std::vector<AcceptedGap> gaps_of(const std::string& device, const std::vector<AcceptedGap>& gaps) {
  std::vector<AcceptedGap> out;
  std::copy_if(gaps.begin(), gaps.end(), std::back_inserter(out),
               [&](const AcceptedGap& gap) { return gap.device == device; });
  std::sort(out.begin(), out.end(), [](const AcceptedGap& a, const AcceptedGap& b) {
    return std::tie(a.from, a.until, a.id) < std::tie(b.from, b.until, b.id);
  });
  return out;
}

/// The gaps that lead from what was promised to `required`, each beginning at or before the end of
/// the one before; empty where they do not.
std::vector<Digest> covering(const std::vector<AcceptedGap>& gaps, const DeviceNeed& need,
                             const Waiting& waiting) {
  std::vector<Digest> out;
  // What a receipt covers comes back, or is named as lost.
  if (waiting.reason == Waiting::Reason::recovering) return out;
  Timestamp known = missing_from(need, waiting);
  while (known < need.required) {
    const AcceptedGap* furthest = nullptr;
    for (const AcceptedGap& gap : gaps) {
      if (gap.from <= known && gap.until > known &&
          (furthest == nullptr || gap.until > furthest->until))
        furthest = &gap;
    }
    if (furthest == nullptr) return {};
    out.push_back(furthest->id);
    known = furthest->until;
  }
  return out;
}

std::vector<Waiting> waits_of(const DeviceNeed& need) {
  std::vector<Waiting> out;
  bool billing = false;
  bool open = false;
  for (const StreamProgress& stream : need.streams) {
    if (stream.stream_class != StreamClass::billing) continue;
    billing = true;
    // A closed stream says nothing any more: whoever closed it has accepted where it ends.
    if (stream.status == StreamStatus::closed) continue;
    open = true;
    if (stream.status == StreamStatus::open && stream.head_number < stream.presented_upto) {
      out.push_back({Waiting::Reason::recovering, need.device, stream.stream,
                     stream.complete_through, stream.heartbeat_received_at,
                     stream.presented_upto - stream.head_number});
      continue;
    }
    if (stream.complete_through && *stream.complete_through >= need.required) continue;
    const auto reason = stream.status == StreamStatus::frozen ? Waiting::Reason::frozen
                        : stream.complete_through             ? Waiting::Reason::behind
                                                              : Waiting::Reason::no_heartbeat;
    out.push_back({reason, need.device, stream.stream, stream.complete_through,
                   stream.heartbeat_received_at});
  }
  if (!open && !(billing && need.link_ended))
    out.push_back({Waiting::Reason::no_stream, need.device, {}, {}, {}});
  return out;
}

}  // namespace

std::vector<Waiting> waiting_for(const std::vector<DeviceNeed>& devices,
                                 const std::vector<AcceptedGap>& gaps) {
  std::vector<Waiting> out;
  for (const DeviceNeed& need : devices) {
    const auto accepted = gaps_of(need.device, gaps);
    for (Waiting& one : waits_of(need)) {
      if (covering(accepted, need, one).empty()) out.push_back(std::move(one));
    }
  }
  return out;
}

std::vector<Digest> gaps_relied_on(const std::vector<DeviceNeed>& devices,
                                   const std::vector<AcceptedGap>& gaps) {
  std::set<Digest> out;
  for (const DeviceNeed& need : devices) {
    const auto accepted = gaps_of(need.device, gaps);
    for (const Waiting& one : waits_of(need)) {
      const auto used = covering(accepted, need, one);
      out.insert(used.begin(), used.end());
    }
  }
  return {out.begin(), out.end()};
}

}  // namespace ledgerline::collector
