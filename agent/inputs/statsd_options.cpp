#include "agent/inputs/statsd_options.h"

#include <algorithm>
#include <filesystem>

#include "agent/core/reading_text.h"
#include "agent/inputs/metric_options.h"
#include "common/io/http_server.h"

namespace ledgerline::agent {

namespace {

constexpr const char* kDefaultListen = "127.0.0.1:8125";
constexpr size_t kSocketPathMax = 107;
constexpr Duration kQuarterHour = std::chrono::minutes(15);

Status read_addresses(TomlTable& table, const std::string& folder, StatsdOptions& out) {
  if (table.has("socket")) {
    TRY(const std::string socket, table.string("socket"));
    if (!socket.empty())
      out.socket = (std::filesystem::path(folder) / socket).lexically_normal().string();
    if (out.socket.empty() || out.socket.size() > kSocketPathMax)
      return fail(table.error_at("socket", "a socket's path has 1 to 107 characters"));
  }
  TRY(out.listen, table.string("listen", out.socket.empty() ? kDefaultListen : ""));
  if (out.listen.empty()) {
    if (table.has("listen"))
      return fail(table.error_at("listen", "an address is written 127.0.0.1:8125"));
    return {};
  }
  if (const auto address = io::parse_loopback(out.listen); !address)
    return fail(table.error_at("listen", address.error().message()));
  return {};
}

Status read_match(TomlTable& table, StatsdRule& rule) {
  TRY(rule.name, table.string("match"));
  rule.prefix = rule.name.ends_with('*');
  if (rule.prefix) rule.name.pop_back();
  const bool good = !rule.name.empty() && rule.name.size() <= StatsdLine::kNameMax &&
                    rule.name.find_first_of("*:|") == std::string::npos && !has_control(rule.name);
  if (good) return {};
  return fail(table.error_at("match",
                             "match is a metric's name, or how its name begins with a * at the "
                             "end: \"api.requests\" or \"api.requests.*\""));
}

Status read_type(TomlTable& table, StatsdRule& rule) {
  TRY(const std::string text, table.string("type"));
  const auto type = parse_statsd_type(text);
  if (!type) return fail(table.error_at("type", type.error().message() + ", not \"" + text + "\""));
  rule.type = *type;
  if (rule.type != StatsdType::timer) {
    if (table.has("statistic"))
      return fail(table.error_at("statistic", "statistic is for type = \"timer\" only"));
    return {};
  }
  TRY(const std::string name, table.string("statistic"));
  const auto statistic = parse_timer_statistic(name);
  if (!statistic)
    return fail(
        table.error_at("statistic", statistic.error().message() + ", not \"" + name + "\""));
  rule.statistic = *statistic;
  return {};
}

/// What is added up is consumption; what is not would be added up by a meter that is no gauge.
Status check_kind(TomlTable& table, const StatsdRule& rule, const MeterRow& meter) {
  const bool adds = rule.combine() == Combine::add;
  const bool sums = meter.kind == MeterKind::delta || meter.kind == MeterKind::event;
  if (adds && !sums)
    return fail(table.error_at("meter", "it is added up, so the meter \"" + meter.name +
                                            "\" has to be of kind delta or event, not " +
                                            std::string(to_string(meter.kind))));
  if (!adds && meter.kind != MeterKind::gauge)
    return fail(table.error_at("meter", "it is a level, so the meter \"" + meter.name +
                                            "\" has to be of kind gauge, not " +
                                            std::string(to_string(meter.kind))));
  if (rule.type == StatsdType::set && meter.scale != 0)
    return fail(table.error_at(
        "meter", "members of a set are whole, so the meter \"" + meter.name + "\" has scale = 0"));
  return {};
}

/// One meter holds one statistic, and counts no line twice.
Status check_together(TomlTable& table, const StatsdRule& before, const StatsdRule& rule) {
  if (before.meter != rule.meter) return {};
  const bool other_statistic = before.type == StatsdType::timer && rule.type == StatsdType::timer &&
                               before.statistic != rule.statistic;
  if (before.combine() != rule.combine() || other_statistic)
    return fail(table.error_at(
        "meter", "the meter \"" + rule.meter + "\" is used for another statistic already"));
  const bool overlap = rule.prefix ? before.name.starts_with(rule.name) || before.matches(rule.name)
                                   : before.matches(rule.name);
  if (overlap && before.type == rule.type)
    return fail(table.error_at("match", "\"" + before.name + (before.prefix ? "*" : "") +
                                            "\" goes to the meter \"" + rule.meter +
                                            "\" already, so lines would count twice"));
  return {};
}

Result<StatsdRule> read_rule(TomlTable& table, const MeterIndex& meters) {
  StatsdRule rule;
  TRY_VOID(read_match(table, rule));
  TRY_VOID(read_type(table, rule));
  TRY(const MeterRow* meter, read_meter_of(table, meters, "a statsd line"));
  rule.meter = meter->name;
  TRY_VOID(check_kind(table, rule, *meter));
  TRY(rule.series, read_series_rule(table, "tag"));
  TRY_VOID(table.finish());
  return rule;
}

}  // namespace

Result<StatsdOptions> read_statsd_options(TomlTable& table, const std::string& folder,
                                          const std::vector<MeterRow>& meters) {
  StatsdOptions out;
  TRY_VOID(read_addresses(table, folder, out));
  TRY(out.interval, table.duration("interval", out.interval));
  if (out.interval < std::chrono::seconds(1) || out.interval > std::chrono::minutes(1) ||
      kQuarterHour.count() % out.interval.count() != 0) {
    return fail(table.error_at("interval",
                               "interval is between 1s and 1m and divides a quarter hour, as 10s"));
  }
  TRY(auto tables, table.tables("metric"));
  if (tables.empty() || tables.size() > StatsdRule::kRulesMax) {
    return fail(table.error_at("metric", "the input needs 1 to " +
                                             std::to_string(StatsdRule::kRulesMax) +
                                             " tables [[input.statsd.metric]]"));
  }
  const MeterIndex index(meters);
  for (TomlTable& each : tables) {
    TRY(StatsdRule rule, read_rule(each, index));
    for (const StatsdRule& other : out.rules) TRY_VOID(check_together(each, other, rule));
    out.rules.push_back(std::move(rule));
  }
  TRY_VOID(table.finish());
  return out;
}

}  // namespace ledgerline::agent
