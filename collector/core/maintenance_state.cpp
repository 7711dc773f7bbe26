// RuleState as it is stored.
#include <limits>

#include "collector/core/maintenance.h"
#include "common/json.h"

namespace ledgerline::collector {

namespace {

Json optional_ms(const std::optional<Timestamp>& value) {
  return value ? Json::number(value->unix_ms()) : Json::null();
}

tl::unexpected<Error> corrupt(const char* what) {
  return fail(Errc::corrupt,
              std::string("a maintenance rule's stored state has no readable ") + what);
}

/// nullptr where the member is absent or null.
const Json* member(const Json& object, std::string_view name) {
  const Json* found = object.find(name);
  return found == nullptr || found->is(Json::Kind::null) ? nullptr : found;
}

Result<int64_t> integer(const Json& value, const char* what) {
  const auto parsed = Decimal::parse(value.text());
  if (!value.is(Json::Kind::number) || !parsed || parsed->scale() != 0) return corrupt(what);
  if (parsed->coefficient() < std::numeric_limits<int64_t>::min() ||
      parsed->coefficient() > std::numeric_limits<int64_t>::max())
    return corrupt(what);
  return static_cast<int64_t>(parsed->coefficient());
}

Result<std::optional<Timestamp>> optional_time(const Json& object, const char* name) {
  const Json* value = member(object, name);
  if (value == nullptr) return std::optional<Timestamp>();
  TRY(const int64_t ms, integer(*value, name));
  return std::optional(Timestamp(ms));
}

Result<int64_t> required(const Json& object, const char* name) {
  const Json* value = member(object, name);
  if (value == nullptr) return corrupt(name);
  return integer(*value, name);
}

/// What the counters of a condition are about: where it differs, they begin anew.
std::string identity(const Condition& condition) {
  std::string out = std::to_string(static_cast<int>(condition.source)) + "/" + condition.meter;
  for (const auto& [name, value] : condition.where) out += "/" + name + "=" + value;
  return out;
}

Result<OpenOrder> read_open(const Json& json) {
  OpenOrder out;
  TRY(const int64_t number, required(json, "number"));
  TRY(const int64_t revision, required(json, "revision"));
  TRY(const int64_t opened_at, required(json, "opened_at_ms"));
  TRY(const int64_t written_at, required(json, "written_at_ms"));
  out.number = static_cast<uint32_t>(number);
  out.revision = static_cast<uint32_t>(revision);
  out.opened_at = Timestamp(opened_at);
  out.written_at = Timestamp(written_at);
  return out;
}

}  // namespace

std::string to_json(const RuleState& state, const MaintenanceRule& rule) {
  Json conditions = Json::array();
  for (size_t i = 0; i < state.conditions.size(); ++i) {
    conditions.push(Json::object(
        {{"about", Json::string(identity(rule.conditions[i]))},
         {"met", Json::boolean(state.conditions[i].met)},
         {"since_service", Json::string(to_text(state.conditions[i].since_service))}}));
  }
  Json open = Json::null();
  if (state.open) {
    open = Json::object({{"number", Json::number(int64_t{state.open->number})},
                         {"revision", Json::number(int64_t{state.open->revision})},
                         {"opened_at_ms", Json::number(state.open->opened_at.unix_ms())},
                         {"written_at_ms", Json::number(state.open->written_at.unix_ms())}});
  }
  return Json::object(
             {{"format", Json::number(1)},
              {"next_step", state.next_step ? Json::number(*state.next_step) : Json::null()},
              {"step_ms", Json::number(rule.step.count())},
              {"service_at_ms", optional_ms(state.service_at)},
              {"quiet_until_ms", optional_ms(state.quiet_until)},
              {"conditions", std::move(conditions)},
              {"open", std::move(open)},
              {"orders", Json::number(int64_t{state.orders})}})
      .dump();
}

Result<RuleState> parse_rule_state(std::string_view text, const MaintenanceRule& rule) {
  const auto json = parse_json(text);
  if (!json || !json->is(Json::Kind::object)) return corrupt("JSON");
  RuleState out;
  TRY(const int64_t step_ms, required(*json, "step_ms"));
  if (const Json* next = member(*json, "next_step")) {
    TRY(const int64_t step, integer(*next, "next_step"));
    // Where the rule's step was changed: on from the first whole step of the new length.
    const int64_t from_ms = step * step_ms;
    out.next_step = last_step_before(rule, Timestamp(from_ms + rule.step.count() - 1)) + 1;
  }
  TRY(out.service_at, optional_time(*json, "service_at_ms"));
  TRY(out.quiet_until, optional_time(*json, "quiet_until_ms"));
  TRY(const int64_t orders, required(*json, "orders"));
  out.orders = static_cast<uint32_t>(orders);
  if (const Json* open = member(*json, "open")) {
    TRY(out.open, read_open(*open));
  }
  out.conditions.resize(rule.conditions.size());
  const Json* conditions = member(*json, "conditions");
  for (const Json& stored : conditions == nullptr ? std::vector<Json>() : conditions->items()) {
    const Json* about = member(stored, "about");
    const Json* met = member(stored, "met");
    const Json* since = member(stored, "since_service");
    if (about == nullptr || met == nullptr || since == nullptr) return corrupt("conditions");
    for (size_t i = 0; i < rule.conditions.size(); ++i) {
      if (identity(rule.conditions[i]) != about->text()) continue;
      TRY(out.conditions[i].since_service, big_from_text(since->text()));
      out.conditions[i].met = met->as_bool();
    }
  }
  return out;
}

}  // namespace ledgerline::collector
