#include "agent/core/line_mapping.h"

#include <algorithm>

#include "agent/core/meter_value.h"
#include "agent/core/reading_text.h"
#include "common/check.h"

namespace ledgerline::agent {

LineMapper::LineMapper(LineRules rules, const std::vector<MeterRow>& meters)
    : rules_(std::move(rules)), parser_(rules_.shape, rules_.fields) {
  for (const ReadingRule& rule : rules_.readings) {
    const auto found = std::find_if(meters.begin(), meters.end(),
                                    [&](const MeterRow& row) { return row.name == rule.meter; });
    CHECK_INVARIANT(found != meters.end());
    meters_.push_back(*found);
  }
}

const std::string& LineMapper::text_of(const TextOrField& source) const {
  return source.field ? fields_[*source.field] : source.text;
}

Status LineMapper::map(std::string_view line, Monotonic now, std::vector<RecordItem>& items,
                       std::optional<Timestamp>& newest) {
  TRY_VOID(parser_.parse(line, fields_));
  Reading base{.time_ms = now.ms, .monotonic_time = true};
  std::optional<Timestamp> time;
  if (rules_.time) {
    TRY(time, read_line_time(*rules_.time, fields_[rules_.time_field]));
  }
  if (time && rules_.trust_time) {
    base.time_ms = time->unix_ms();
    base.monotonic_time = false;
  }
  const size_t before = items.size();
  for (size_t i = 0; i < rules_.readings.size(); ++i) {
    auto added = add(rules_.readings[i], meters_[i], base, items);
    if (added) continue;
    items.resize(before);
    return added;
  }
  if (rules_.trust_time && time) newest = std::max(newest.value_or(*time), *time);
  return {};
}

Status LineMapper::add(const ReadingRule& rule, const MeterRow& meter, const Reading& base,
                       std::vector<RecordItem>& items) const {
  const std::string& text = text_of(rule.value);
  if (rule.value.field && rule.skip && text == *rule.skip) return {};
  const auto value = scaled_value(text, meter.scale);
  if (!value)
    return fail(Errc::reject, "the value " + in_quotes(text) + " for " + meter.name +
                                  " cannot be recorded: " + value.error().message());
  if (*value < 0 && meter.kind != MeterKind::gauge)
    return fail(Errc::reject, "the value " + in_quotes(text) + " for " + meter.name +
                                  " is negative, which only a gauge may be");
  RecordItem item{.reading = base, .key = ""};
  item.reading.meter = meter.number;
  (meter.kind == MeterKind::register_ ? item.reading.register_value : item.reading.value) = *value;
  if (rule.subject) {
    item.reading.subject = text_of(*rule.subject);
    TRY_VOID(check_subject(item.reading.subject));
  }
  for (const auto& [name, source] : rule.dimensions) {
    const std::string& part = text_of(source);
    TRY_VOID(check_dimension(name, part));
    item.reading.dimensions.emplace_back(name, part);
  }
  TRY_VOID(check_text_size(item));
  items.push_back(std::move(item));
  return {};
}

}  // namespace ledgerline::agent
