#include "agent/core/statsd_line.h"

#include "agent/core/reading_text.h"

namespace ledgerline::agent {

namespace {

/// Up to the separator; what is left begins behind it.
std::string_view take_until(std::string_view& text, char separator) {
  const size_t end = text.find(separator);
  const std::string_view out = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return out;
}

Status take_values(std::string_view text, StatsdLine& out) {
  for (;;) {
    const bool last = text.find(':') == std::string_view::npos;
    out.values.push_back(take_until(text, ':'));
    if (out.values.back().empty()) return fail(Errc::reject, "a value is empty");
    if (last) return {};
    if (out.values.size() == StatsdLine::kValuesMax)
      return fail(Errc::reject, "it has more than 1024 values");
  }
}

Result<StatsdType> type_of(std::string_view text) {
  if (text == "c") return StatsdType::counter;
  if (text == "g") return StatsdType::gauge;
  if (text == "ms" || text == "h" || text == "d") return StatsdType::timer;
  if (text == "s") return StatsdType::set;
  return fail(Errc::reject, "its type is " + in_quotes(text) + ", not one of c, g, ms, h, d and s");
}

Status take_tags(std::string_view text, StatsdLine& out) {
  while (!text.empty()) {
    std::string_view value = take_until(text, ',');
    if (value.empty()) continue;
    if (out.tags.size() == StatsdLine::kTagsMax)
      return fail(Errc::reject, "it has more than 64 tags");
    const std::string_view key = take_until(value, ':');
    out.tags.emplace_back(key, value);
  }
  return {};
}

Status take_field(std::string_view field, StatsdLine& out) {
  if (field.starts_with('@')) {
    if (!out.rate.empty() || field.size() == 1)
      return fail(Errc::reject, "its sample rate is empty or stands twice");
    out.rate = field.substr(1);
    return {};
  }
  if (field.starts_with('#')) return take_tags(field.substr(1), out);
  if (field.starts_with("c:") || field.starts_with("e:")) return {};
  return fail(Errc::reject, "nothing is known of its part " + in_quotes(field));
}

}  // namespace

std::string_view to_string(StatsdType type) {
  switch (type) {
    case StatsdType::counter:
      return "counter";
    case StatsdType::gauge:
      return "gauge";
    case StatsdType::timer:
      return "timer";
    case StatsdType::set:
      return "set";
  }
  return "";
}

Result<StatsdType> parse_statsd_type(std::string_view text) {
  for (const StatsdType each :
       {StatsdType::counter, StatsdType::gauge, StatsdType::timer, StatsdType::set}) {
    if (to_string(each) == text) return each;
  }
  return fail(Errc::reject, "type is \"counter\", \"gauge\", \"timer\" or \"set\"");
}

Result<StatsdLine> parse_statsd_line(std::string_view line) {
  if (!is_utf8(line)) return fail(Errc::reject, "it is not UTF-8");
  if (line.starts_with("_e{") || line.starts_with("_sc|"))
    return fail(Errc::reject, "it is an event or a service check, not a metric");
  StatsdLine out;
  std::string_view rest = line;
  const size_t bar = rest.find('|');
  if (bar == std::string_view::npos) return fail(Errc::reject, "it has no \"|\" and no type");
  std::string_view head = take_until(rest, '|');
  if (head.find(':') == std::string_view::npos)
    return fail(Errc::reject, "it has no \":\" and no value");
  out.name = take_until(head, ':');
  if (out.name.empty() || out.name.size() > StatsdLine::kNameMax || has_control(out.name))
    return fail(Errc::reject, "its name has not 1 to 256 bytes without control characters");
  TRY_VOID(take_values(head, out));
  TRY(out.type, type_of(take_until(rest, '|')));
  while (!rest.empty()) TRY_VOID(take_field(take_until(rest, '|'), out));
  return out;
}

}  // namespace ledgerline::agent
