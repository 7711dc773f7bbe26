// maintenance try: what the catalog's rules would have ordered over all that was folded so far.

#include "collector/api/commands.h"
#include "collector/api/setup.h"
#include "collector/api/table.h"
#include "collector/fold/asset_usage.h"
#include "collector/fold/logged_catalog.h"
#include "collector/fold/tenant.h"
#include "common/exit_code.h"
#include "common/json.h"

namespace ledgerline::collector {

namespace {

constexpr QuarterHour kUsageFrom{0};
constexpr QuarterHour kUsageUntil{std::numeric_limits<int32_t>::max()};
constexpr int kPlacesShown = 4;

struct TriedOrder {
  std::string rule;
  std::string asset;
  OrderDecision decision;
};

std::string shown(const Finding& finding) {
  if (!finding.value) return "-";
  const auto value = to_decimal(*finding.value, kPlacesShown);
  return value ? value->trimmed().text() : "?";
}

/// Orders of one rule and asset; where `serviced_after` is given, each is closed that long after it
/// opened, else an open one stays open.
std::vector<OrderDecision> orders_of(const MaintenanceRule& rule, const Asset& asset,
                                     const std::vector<Samples>& samples, int64_t last_step,
                                     std::optional<Duration> serviced_after) {
  std::vector<OrderDecision> out;
  RuleState state = initial_state(rule, asset);
  for (;;) {
    auto decision = RuleMachine(rule, samples, state).advance(last_step);
    if (!decision) return out;
    if (decision->revision == 1) out.push_back(std::move(*decision));
    if (!serviced_after) return out;
    const Timestamp service = state.open->opened_at + *serviced_after;
    const int64_t step = std::min(last_step, last_step_before(rule, service));
    while (RuleMachine(rule, samples, state).advance(step)) {
    }
    on_service(rule, state, service);
  }
}

/// The newest step with usage; nothing where there is none.
std::optional<int64_t> newest_step(const std::vector<Samples>& samples) {
  std::optional<int64_t> out;
  for (const Samples& one : samples) {
    if (one.samples.empty()) continue;
    out = std::max(out.value_or(one.samples.back().step), one.samples.back().step);
  }
  return out;
}

Json as_json(const MaintenanceRule& rule, const TriedOrder& order, Timestamp until) {
  Json findings = Json::array();
  for (const Finding& finding : order.decision.findings) {
    const Condition& condition = rule.conditions[finding.condition];
    findings.push(Json::object({{"meter", Json::string(condition.meter)},
                                {"value", Json::string(shown(finding))},
                                {"limit", Json::string(condition.limit.text())},
                                {"met", Json::boolean(finding.met)}}));
  }
  return Json::object({{"rule", Json::string(order.rule)},
                       {"asset", Json::string(order.asset)},
                       {"number", Json::number(int64_t{order.decision.number})},
                       {"at", Json::string(to_rfc3339(order.decision.at))},
                       {"findings", std::move(findings)},
                       {"last_usage", Json::string(to_rfc3339(until))}});
}

std::string values_of(const MaintenanceRule& rule, const OrderDecision& decision) {
  std::string out;
  for (const Finding& finding : decision.findings) {
    const Condition& condition = rule.conditions[finding.condition];
    out += (out.empty() ? "" : ", ") +
           (condition.meter.empty() ? std::string("days") : condition.meter) + " " +
           shown(finding) + (finding.met ? "" : " (not met)");
  }
  return out;
}

}  // namespace

Result<int> try_maintenance(const CollectorConfig& config, const CommandLine& options,
                            std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const Catalog catalog, catalog_in_force(*store));
  const Mapping mapping(catalog);
  TRY(const auto tenant, tenant_of(catalog, *store));
  if (!tenant) return fail(Errc::not_found, "no device is enrolled yet");
  AssetUsage usage(*store, *tenant, catalog, mapping);
  TRY_VOID(usage.load());
  std::optional<Duration> serviced_after;
  if (options.serviced_after_hours)
    serviced_after = std::chrono::hours(*options.serviced_after_hours);

  TextTable table({"RULE", "ASSET", "ORDER", "AT", "VALUES", "LAST USAGE"});
  Json list = Json::array();
  for (const auto& [rule_name, rule] : catalog.rules()) {
    for (const auto& [asset_name, asset] : catalog.assets()) {
      if (asset.model != rule.model) continue;
      TRY(const auto samples, usage.samples(rule, asset_name, kUsageFrom, kUsageUntil));
      const auto last = newest_step(samples);
      if (!last) continue;
      const Timestamp until((*last + 1) * rule.step.count());
      for (auto& decision : orders_of(rule, asset, samples, *last, serviced_after)) {
        const TriedOrder order{rule_name, asset_name, std::move(decision)};
        list.push(as_json(rule, order, until));
        table.add({rule_name, asset_name, std::to_string(order.decision.number),
                   to_rfc3339(order.decision.at), values_of(rule, order.decision),
                   to_rfc3339(until)});
      }
    }
  }
  if (options.json) {
    out << list.dump() << "\n";
  } else {
    table.print(out);
  }
  return kExitOk;
}

}  // namespace ledgerline::collector
