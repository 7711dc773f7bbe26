#include "agent/inputs/prometheus_options.h"

#include <filesystem>

#include "agent/inputs/metric_options.h"

namespace ledgerline::agent {

namespace {

constexpr size_t kUrlMax = 512;
constexpr size_t kLabelsMax = 64;

Result<PrometheusRule> read_rule(TomlTable& table, const MeterIndex& meters) {
  PrometheusRule rule;
  TRY(rule.name, table.string("name"));
  const std::string line = rule.name + " 1";
  const auto sample = parse_prometheus_sample(line);
  if (!sample || sample->name != rule.name)
    return fail(table.error_at("name", "name is a metric's name: letters, digits, _ and :"));
  TRY(rule.where, table.string_map("where"));
  TRY(const auto ignore, table.strings("ignore"));
  rule.ignore = {ignore.begin(), ignore.end()};
  if (rule.where.size() > kLabelsMax || rule.ignore.size() > kLabelsMax)
    return fail(table.error_at("where", "at most 64 labels under where and under ignore"));
  TRY(const MeterRow* meter, read_meter_of(table, meters, "a scraped sample"));
  if (meter->kind != MeterKind::register_ && meter->kind != MeterKind::gauge)
    return fail(table.error_at(
        "meter", "a scraped counter is a register and a scraped gauge a gauge, so the meter \"" +
                     meter->name + "\" cannot be of kind " + std::string(to_string(meter->kind))));
  rule.meter = meter->name;
  TRY(rule.series, read_series_rule(table, "label"));
  TRY_VOID(table.finish());
  return rule;
}

}  // namespace

Result<PrometheusOptions> read_prometheus_options(TomlTable& table, const std::string& folder,
                                                  const std::vector<MeterRow>& meters) {
  PrometheusOptions out;
  TRY(out.url, table.string("url"));
  auto url = io::parse_http_url(out.url);
  if (!url || out.url.size() > kUrlMax)
    return fail(table.error_at("url", url ? "an address has at most 512 bytes"
                                          : url.error().message() + ": \"" + out.url + "\""));
  out.parsed_url = std::move(*url);
  if (table.has("ca")) {
    TRY(const std::string ca, table.string("ca"));
    if (ca.empty() || !out.parsed_url.tls)
      return fail(table.error_at("ca", "ca is a file of authorities, for https:// only"));
    out.ca_file = (std::filesystem::path(folder) / ca).lexically_normal().string();
  }
  TRY(out.interval, table.duration("interval", out.interval));
  if (out.interval < std::chrono::seconds(1) || out.interval > std::chrono::hours(1))
    return fail(table.error_at("interval", "interval is between 1s and 1h"));
  TRY(auto tables, table.tables("metric"));
  if (tables.empty() || tables.size() > PrometheusRule::kRulesMax) {
    return fail(table.error_at("metric", "a target needs 1 to " +
                                             std::to_string(PrometheusRule::kRulesMax) +
                                             " tables [[input.prometheus.metric]]"));
  }
  const MeterIndex index(meters);
  for (TomlTable& each : tables) {
    TRY(PrometheusRule rule, read_rule(each, index));
    out.rules.push_back(std::move(rule));
  }
  TRY_VOID(table.finish());
  return out;
}

}  // namespace ledgerline::agent
