#include "agent/core/statsd_meter.h"

#include <algorithm>

#include "agent/core/meter_value.h"
#include "agent/core/reading_text.h"
#include "common/check.h"
#include "common/decimal.h"

namespace ledgerline::agent {

namespace {

std::string why_not(std::string_view value, const MeterRow& meter, const Error& error) {
  return "the value " + in_quotes(value) + " for " + meter.name +
         " cannot be recorded: " + error.message();
}

/// A counter's or timer's value as if every event had been sent.
Result<int64_t> unsampled(std::string_view value, std::string_view rate, const MeterRow& meter) {
  const auto out =
      rate.empty() ? scaled_value(value, meter.scale) : scaled_quotient(value, rate, meter.scale);
  if (!out) return fail(Errc::reject, why_not(value, meter, out.error()));
  if (*out < 0)
    return fail(Errc::reject,
                "the value " + in_quotes(value) + " is negative, which only a gauge may be");
  return *out;
}

Result<int64_t> timer_value(TimerStatistic statistic, std::string_view value, std::string_view rate,
                            const MeterRow& meter) {
  switch (statistic) {
    case TimerStatistic::count: {
      TRY(const Decimal ignored, Decimal::parse(value));
      static_cast<void>(ignored);
      return unsampled("1", rate, meter);
    }
    case TimerStatistic::sum:
      return unsampled(value, rate, meter);
    case TimerStatistic::min:
    case TimerStatistic::max:
      return unsampled(value, "", meter);
  }
  return fail(Errc::internal, "no such statistic");
}

}  // namespace

Result<TimerStatistic> parse_timer_statistic(std::string_view text) {
  if (text == "count") return TimerStatistic::count;
  if (text == "sum") return TimerStatistic::sum;
  if (text == "min") return TimerStatistic::min;
  if (text == "max") return TimerStatistic::max;
  return fail(Errc::reject, "statistic is \"count\", \"sum\", \"min\" or \"max\"");
}

Combine StatsdRule::combine() const {
  switch (type) {
    case StatsdType::counter:
      return Combine::add;
    case StatsdType::gauge:
      return Combine::last;
    case StatsdType::set:
      return Combine::distinct;
    case StatsdType::timer:
      break;
  }
  return statistic == TimerStatistic::min   ? Combine::least
         : statistic == TimerStatistic::max ? Combine::greatest
                                            : Combine::add;
}

bool StatsdRule::matches(std::string_view metric) const {
  return prefix ? metric.starts_with(name) : metric == name;
}

StatsdMeter::StatsdMeter(std::vector<StatsdRule> rules, const std::vector<MeterRow>& meters,
                         IntervalBegin begin, const StatsdLimits& limits)
    : rules_(std::move(rules)), buffer_(begin, limits) {
  for (const StatsdRule& rule : rules_) {
    const auto found = std::find_if(meters.begin(), meters.end(),
                                    [&](const MeterRow& row) { return row.name == rule.meter; });
    CHECK_INVARIANT(found != meters.end());
    meters_.push_back(*found);
  }
}

void StatsdMeter::take(std::string_view datagram, bool cut) {
  ++counters_.datagrams;
  while (!datagram.empty()) {
    const size_t end = datagram.find('\n');
    std::string_view line = datagram.substr(0, end);
    datagram.remove_prefix(end == std::string_view::npos ? datagram.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    ++counters_.lines;
    if (cut && datagram.empty()) {
      note_bad(line, "the datagram is longer than 64 KiB; what follows was not read");
    } else {
      take_line(line);
    }
  }
}

void StatsdMeter::take_line(std::string_view text) {
  const auto line = parse_statsd_line(text);
  if (!line) return note_bad(text, line.error().message());
  std::vector<StatsdSample> samples;
  const auto mapped = map(*line, samples);
  if (!mapped && mapped.error().code() == Errc::not_found) return note_unmapped(line->name);
  if (!mapped) return note_bad(text, mapped.error().message());
  Status added;
  for (StatsdSample& sample : samples) {
    const auto done = buffer_.add(std::move(sample));
    if (done) {
      ++counters_.samples;
    } else {
      added = done;
    }
  }
  if (added) return;
  if (added.error().code() == Errc::full) ++counters_.over_limit_lines;
  note_bad(text, added.error().message());
}

Status StatsdMeter::map(const StatsdLine& line, std::vector<StatsdSample>& samples) {
  const StatsdRule* of_another_type = nullptr;
  bool mapped = false;
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (!rules_[i].matches(line.name)) continue;
    if (rules_[i].type != line.type) {
      of_another_type = &rules_[i];
      continue;
    }
    mapped = true;
    TRY_VOID(map_values(line, rules_[i], meters_[i], samples));
  }
  if (mapped) return {};
  if (of_another_type == nullptr) return fail(Errc::not_found, "no rule maps it");
  return fail(Errc::reject, "it is a " + std::string(to_string(line.type)) +
                                ", and the configuration says that it is a " +
                                std::string(to_string(of_another_type->type)));
}

Status StatsdMeter::map_values(const StatsdLine& line, const StatsdRule& rule,
                               const MeterRow& meter, std::vector<StatsdSample>& samples) {
  RecordItem series{.reading = {.meter = meter.number}, .key = ""};
  TRY_VOID(fill_series(rule.series, line.tags, series));
  if (line.type == StatsdType::set && !line.rate.empty())
    return fail(Errc::reject, "a set cannot be sampled");
  for (const std::string_view text : line.values) {
    StatsdSample sample{.reading = series.reading, .combine = rule.combine(), .member = ""};
    int64_t& value = sample.reading.value;
    switch (line.type) {
      case StatsdType::counter: {
        TRY(value, unsampled(text, line.rate, meter));
        break;
      }
      case StatsdType::timer: {
        TRY(value, timer_value(rule.statistic, text, line.rate, meter));
        break;
      }
      case StatsdType::gauge: {
        const auto now = level(sample.reading, text, meter.scale);
        if (!now && now.error().code() == Errc::full) return fail(now.error());
        if (!now) return fail(Errc::reject, why_not(text, meter, now.error()));
        value = *now;
        break;
      }
      case StatsdType::set:
        sample.member = text;
        break;
    }
    samples.push_back(std::move(sample));
  }
  return {};
}

/// "+5" and "-5" change the last value, which is 0 after a start.
Result<int64_t> StatsdMeter::level(const Reading& reading, std::string_view text, int scale) {
  const bool up = text.starts_with('+');
  const bool relative = up || text.starts_with('-');
  TRY(int64_t value, scaled_value(up ? text.substr(1) : text, scale));
  if (up && value < 0) return fail(Errc::reject, "it has two signs");
  const KeyHash key = hash_of_series(reading.meter, reading.subject, reading.dimensions);
  const auto known = levels_.find(key);
  const int64_t last = known == levels_.end() ? 0 : known->second;
  if (relative && __builtin_add_overflow(last, value, &value))
    return fail(Errc::reject, "its level does not fit 64 bits");
  if (known != levels_.end()) {
    known->second = value;
  } else if (levels_.size() < kLevelsMax) {
    levels_.emplace(key, value);
  } else if (relative) {
    return fail(Errc::reject, "there are too many series of gauges to know its last value");
  }
  return value;
}

void StatsdMeter::note_bad(std::string_view line, std::string reason) {
  ++counters_.bad_lines;
  bad_.note(line, std::move(reason));
}

void StatsdMeter::note_unmapped(std::string_view name) {
  ++counters_.unmapped_lines;
  const auto known = unmapped_.find(shown_text(name));
  if (known != unmapped_.end()) {
    ++known->second;
  } else if (unmapped_.size() < kUnmappedNamesMax) {
    unmapped_.emplace(shown_text(name), 1);
  }
}

}  // namespace ledgerline::agent
