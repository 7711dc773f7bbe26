// The catalog's assets and maintenance rules.
#include "collector/core/catalog_reader.h"
#include "collector/core/catalog_words.h"

namespace ledgerline::collector {

namespace {

constexpr Duration kQuarterHour = std::chrono::minutes(15);
constexpr Duration kWindowMax = std::chrono::hours(24 * 400);
constexpr int64_t kWindowStepsMax = 10'000;  // a window is read again at every step
constexpr size_t kConditionsMax = 16;
constexpr size_t kPartsMax = 64;

const std::vector<std::pair<std::string, WindowValue>> kWindowValues = {
    {"mean", WindowValue::mean},   {"min", WindowValue::min}, {"max", WindowValue::max},
    {"last", WindowValue::last},   {"sum", WindowValue::sum}, {"count", WindowValue::count},
    {"trend", WindowValue::trend}, {"since_service", {}},     {"days_since_service", {}}};

/// A span of whole steps; `table` has the key.
Result<Duration> read_steps(TomlTable& table, std::string_view key, Duration step) {
  TRY(const Duration span, table.duration(key));
  if (span.count() <= 0 || span % step != Duration(0) || span > kWindowMax ||
      span / step > kWindowStepsMax) {
    return fail(table.error_at(key, "\"" + std::string(key) +
                                        "\" is a multiple of the rule's step, at most 10000 steps "
                                        "and 400d"));
  }
  return span;
}

Status read_limits(TomlTable& table, Condition& condition) {
  if (table.has("above") == table.has("below"))
    return fail(table.error_at("above", "a condition has either above or below"));
  const std::string_view key = table.has("above") ? "above" : "below";
  condition.side = table.has("above") ? Condition::Side::above : Condition::Side::below;
  TRY(condition.limit, table.decimal(key));
  condition.clear = condition.limit;
  if (!table.has("clear")) return {};
  TRY(condition.clear, table.decimal("clear"));
  const bool inside = condition.side == Condition::Side::above ? condition.clear <= condition.limit
                                                               : condition.clear >= condition.limit;
  if (inside) return {};
  return fail(table.error_at(
      "clear",
      "the value clears the condition on the way back: not beyond " + condition.limit.text()));
}

Status read_window(TomlTable& table, Duration step, Condition& condition) {
  TRY(condition.window, read_steps(table, "window", step));
  if (condition.value == WindowValue::trend) {
    TRY(condition.ahead, read_steps(table, "ahead", step));
  }
  const bool adds_up = condition.value == WindowValue::sum || condition.value == WindowValue::count;
  const int64_t fewest = condition.value == WindowValue::trend ? 2 : (adds_up ? 0 : 1);
  TRY(const int64_t steps, table.integer("steps_min", fewest, condition.window / step, fewest));
  condition.steps_min = static_cast<size_t>(steps);
  return {};
}

}  // namespace

Status CatalogReader::read_asset(TomlTable table) {
  Asset asset;
  TRY(asset.name, read_name(table, "name"));
  TRY(asset.model, read_name(table, "model"));
  TRY(asset.site, table.string("site", ""));
  TRY(asset.account, table.string("account", ""));
  TRY(asset.external, table.string("external", asset.name));
  if (table.has("in_service_from")) {
    TRY(asset.in_service_from, table.timestamp("in_service_from"));
  }
  TRY_VOID(table.finish());
  assets_.push_back({std::move(asset), table});
  return {};
}

Result<Condition> CatalogReader::read_condition(TomlTable& table, Duration step) {
  Condition condition;
  TRY(const std::string value, table.string("value"));
  TRY(condition.value, choose<WindowValue>(table, "value", value, kWindowValues));
  TRY_VOID(read_limits(table, condition));
  if (value == "days_since_service") {
    condition.source = Condition::Source::calendar;
  } else {
    TRY(condition.meter, read_name(table, "meter"));
    TRY(condition.where, table.string_map("where"));
    std::sort(condition.where.begin(), condition.where.end());
    if (value == "since_service") {
      condition.source = Condition::Source::since_service;
    } else {
      TRY_VOID(read_window(table, step, condition));
    }
  }
  TRY_VOID(table.finish());
  return condition;
}

Result<Part> CatalogReader::read_part(TomlTable& table) {
  Part part;
  TRY(part.product, read_name(table, "product"));
  TRY(part.quantity, read_not_negative(table, "quantity"));
  TRY_VOID(table.finish());
  return part;
}

Status CatalogReader::read_maintenance(TomlTable table) {
  WrittenRule rule{{}, table, {}};
  MaintenanceRule& value = rule.value;
  TRY(value.name, read_name(table, "name"));
  TRY(value.description, table.string("description", value.name));
  TRY(value.model, read_name(table, "model"));
  TRY(value.connector, table.string("connector"));
  TRY(const std::string priority, table.string("priority", "normal"));
  TRY(value.priority,
      choose<std::string>(table, "priority", priority,
                          {{"low", "low"}, {"normal", "normal"}, {"high", "high"}}));
  TRY(value.step, table.duration("step", kQuarterHour));
  if (value.step.count() <= 0 || value.step % kQuarterHour != Duration(0))
    return fail(
        table.error_at("step", "a step is one or several quarter hours, such as 15m or 1h"));
  TRY(value.due, table.duration("due", std::chrono::hours(24 * 7)));
  TRY(value.effort, table.duration("effort", std::chrono::hours(1)));
  TRY(value.cool_down, table.duration("cool_down", Duration(0)));
  TRY(value.update, table.duration("update", std::chrono::hours(24)));
  TRY(rule.conditions, table.tables("when"));
  for (TomlTable& when : rule.conditions) {
    TRY(Condition condition, read_condition(when, value.step));
    value.conditions.push_back(std::move(condition));
  }
  if (value.conditions.empty() || value.conditions.size() > kConditionsMax)
    return fail(table.error_at("name", "a rule has 1 to 16 [[maintenance.when]]"));
  const auto all = static_cast<int64_t>(value.conditions.size());
  TRY(const int64_t needed, table.integer("needed", 1, all, all));
  value.needed = static_cast<size_t>(needed);
  TRY(auto parts, table.tables("part"));
  for (TomlTable& written : parts) {
    TRY(Part part, read_part(written));
    value.parts.push_back(std::move(part));
  }
  if (value.parts.size() > kPartsMax)
    return fail(table.error_at("part", "a rule names at most 64 parts"));
  TRY_VOID(table.finish());
  rules_.push_back(std::move(rule));
  return {};
}

void CatalogReader::check_rule(const WrittenRule& rule, const std::set<std::string>& models) {
  const MaintenanceRule& value = rule.value;
  if (!models.contains(value.model)) {
    const std::vector<std::string> names(models.begin(), models.end());
    complain(rule.at, "model",
             "no asset is a " + in_quotes(value.model) + did_you_mean(value.model, names));
  }
  check_connector(rule.at, value.connector);
  for (size_t i = 0; i < value.conditions.size(); ++i) {
    const Condition& condition = value.conditions[i];
    if (condition.meter.empty()) continue;
    const auto meter = catalog_.meters_.find(condition.meter);
    if (meter == catalog_.meters_.end()) {
      complain(rule.conditions[i], "meter", unknown("meter", condition.meter, catalog_.meters_));
    } else if (meter->second.kind == MeterKind::gauge &&
               (condition.source == Condition::Source::since_service ||
                condition.value == WindowValue::sum)) {
      complain(rule.conditions[i], "value", "a gauge is not summed; use mean, min, max or last");
    }
  }
  if (!catalog_.rules_.emplace(value.name, value).second)
    complain(rule.at, "name", "the rule " + in_quotes(value.name) + " is defined twice");
}

void CatalogReader::check_maintenance() {
  std::set<std::string> models;
  for (const Written<Asset>& asset : assets_) {
    const std::string& account = asset.value.account;
    if (!account.empty() && !catalog_.accounts_.contains(account))
      complain(asset.at, "account", unknown("account", account, catalog_.accounts_));
    models.insert(asset.value.model);
    if (!catalog_.assets_.emplace(asset.value.name, asset.value).second)
      complain(asset.at, "name", "the asset " + in_quotes(asset.value.name) + " is defined twice");
  }
  for (const WrittenRule& rule : rules_) check_rule(rule, models);
}

}  // namespace ledgerline::collector
