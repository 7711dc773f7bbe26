#include "collector/core/maintenance_order.h"

#include <algorithm>

#include "collector/core/document_parts.h"
#include "common/check.h"
#include "common/json.h"

namespace ledgerline::collector {

namespace {

constexpr int kPlacesMore = 3;

Json text(std::string value) { return Json::string(std::move(value)); }
Json text(const Decimal& value) { return Json::string(value.trimmed().text()); }
Json text(Timestamp value) { return Json::string(to_rfc3339(value)); }
Json number(uint64_t value) { return Json::number(std::to_string(value)); }
Json minutes(Duration value) {
  return Json::number(std::chrono::duration_cast<std::chrono::minutes>(value).count());
}

std::string_view value_name(const Condition& condition) {
  switch (condition.source) {
    case Condition::Source::window:
      return to_string(condition.value);
    case Condition::Source::since_service:
      return "since_service";
    case Condition::Source::calendar:
      return "days_since_service";
  }
  return "unknown";
}

Result<Decimal> rounded(const Fraction& value, int scale) {
  TRY(const Decimal out, to_decimal(value, std::min(scale + kPlacesMore, Decimal::kScaleMax)));
  return out;
}

Result<Json> condition_json(const Condition& condition, const Finding& finding) {
  Json where = Json::object();
  for (const auto& [name, value] : condition.where) where.set(name, text(value));
  Json found = Json::null();
  if (finding.value) {
    TRY(const Decimal value, rounded(*finding.value, condition.limit.scale()));
    found = text(value);
  }
  return Json::object({{"meter", text(condition.meter)},
                       {"where", std::move(where)},
                       {"value", text(std::string(value_name(condition)))},
                       {"window_minutes", minutes(condition.window)},
                       {"ahead_minutes", minutes(condition.ahead)},
                       {"side", text(condition.side == Condition::Side::above ? "above" : "below")},
                       {"limit", text(condition.limit)},
                       {"found", std::move(found)},
                       {"met", Json::boolean(finding.met)}});
}

/// The newest steps up to the decision.
Status add_readings(const MaintenanceRule& rule, size_t condition, bool is_gauge,
                    const Samples& samples, Timestamp until, Json& out) {
  const auto end =
      std::find_if(samples.samples.begin(), samples.samples.end(), [&](const StepSample& sample) {
        return Timestamp((sample.step + 1) * rule.step.count()) > until;
      });
  const auto count = std::min<ptrdiff_t>(end - samples.samples.begin(), kReadingsShown);
  for (auto sample = end - count; sample != end; ++sample) {
    const Fraction value{
        to_big(sample->value.sum),
        power_of_ten(samples.scale) * (is_gauge ? BigInt(sample->value.count) : BigInt(1))};
    TRY(const Decimal shown, rounded(value, samples.scale));
    out.push(Json::object({{"condition", number(condition + 1)},
                           {"from", text(Timestamp(sample->step * rule.step.count()))},
                           {"until", text(Timestamp((sample->step + 1) * rule.step.count()))},
                           {"readings", number(sample->value.count)},
                           {"value", text(shown)}}));
  }
  return {};
}

Json evidence_json(const OrderInput& input) {
  Json batches = Json::array();
  const size_t shown = std::min(input.batches.size(), kBatchesShown);
  // The newest are what triggered the order.
  for (auto batch = input.batches.end() - static_cast<ptrdiff_t>(shown);
       batch != input.batches.end(); ++batch) {
    batches.push(
        Json::object({{"stream", text(batch->stream.hex())}, {"number", number(batch->number)}}));
  }
  return Json::object({{"log_leaves", number(input.log_leaves)},
                       {"batches", std::move(batches)},
                       {"batches_more", number(input.batches.size() - shown)}});
}

Json owner_json(const Catalog& catalog, const Asset& asset) {
  const Account* account = catalog.account(asset.account);
  if (account == nullptr) return Json::null();
  return account_json(*account);
}

Result<std::string> body_of(const Catalog& catalog, const MaintenanceRule& rule, const Asset& asset,
                            const OrderInput& input, const DocumentRow& row) {
  const OrderDecision& decision = *input.decision;
  Json parts = Json::array();
  for (const Part& part : rule.parts) {
    parts.push(Json::object({{"product", text(part.product)}, {"quantity", text(part.quantity)}}));
  }
  Json conditions = Json::array();
  Json readings = Json::array();
  for (size_t i = 0; i < rule.conditions.size(); ++i) {
    const Condition& condition = rule.conditions[i];
    TRY(Json written, condition_json(condition, decision.findings[i]));
    conditions.push(std::move(written));
    const CatalogMeter* meter = catalog.meter(condition.meter);
    if (meter == nullptr) continue;
    TRY_VOID(add_readings(rule, i, meter->kind == MeterKind::gauge, (*input.samples)[i],
                          decision.at, readings));
  }
  return Json::object({{"format", number(1)},
                       {"kind", text(row.kind)},
                       {"id", text(row.id)},
                       {"revision", number(row.revision)},
                       {"tenant", text(row.tenant)},
                       {"asset", Json::object({{"name", text(asset.name)},
                                               {"model", text(asset.model)},
                                               {"site", text(asset.site)},
                                               {"external", text(asset.external)}})},
                       {"account", owner_json(catalog, asset)},
                       {"connector", text(row.connector)},
                       {"rule", text(rule.name)},
                       {"description", text(rule.description)},
                       {"number", number(decision.number)},
                       {"priority", text(rule.priority)},
                       {"opened_at", text(input.opened_at)},
                       {"decided_at", text(decision.at)},
                       {"due_at", text(input.opened_at + rule.due)},
                       {"effort_minutes", minutes(rule.effort)},
                       {"parts", std::move(parts)},
                       {"conditions", std::move(conditions)},
                       {"readings", std::move(readings)},
                       {"catalog", text(catalog.hash().hex())},
                       {"evidence", evidence_json(input)}})
      .dump();
}

}  // namespace

std::string order_id(std::string_view tenant, std::string_view rule, std::string_view asset,
                     uint32_t number) {
  return document_id_of("mo", {std::string(kMaintenanceOrder), std::string(tenant),
                               std::string(rule), std::string(asset), std::to_string(number)});
}

Result<DocumentRow> make_order(const Catalog& catalog, const MaintenanceRule& rule,
                               const Asset& asset, const OrderInput& input) {
  CHECK_INVARIANT(input.decision->findings.size() == rule.conditions.size() &&
                  input.samples->size() == rule.conditions.size());
  DocumentRow row;
  row.revision = input.decision->revision;
  row.id = order_id(input.tenant, rule.name, asset.name, input.decision->number);
  row.kind = std::string(kMaintenanceOrder);
  row.tenant = input.tenant;
  row.account = asset.account;
  row.asset = asset.name;
  row.period_from = input.opened_at;
  row.period_to = input.decision->at;
  row.connector = rule.connector;
  row.created_at = input.now;
  row.state = DocumentState::approved;
  row.decided_by = "rule";
  row.decided_at = input.now;
  TRY(row.body, body_of(catalog, rule, asset, input, row));
  return row;
}

}  // namespace ledgerline::collector
