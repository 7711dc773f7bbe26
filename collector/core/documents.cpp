#include "collector/core/documents.h"

#include "collector/core/currency.h"
#include "collector/core/document_parts.h"
#include "common/check.h"
#include "common/json.h"

namespace ledgerline::collector {

namespace {

constexpr uint32_t kFirstRevision = 1;

Json text(std::string value) { return Json::string(std::move(value)); }
Json text(const Decimal& value) { return Json::string(value.text()); }
Json number(uint64_t value) { return Json::number(std::to_string(value)); }

Json adjusts_json(const Adjusts& adjusts) {
  return Json::object(
      {{"document", adjusts.document.empty() ? Json::null() : text(adjusts.document)},
       {"number", number(adjusts.number)}});
}

Result<std::string> body_of(const Catalog& catalog, const Contract& contract,
                            const DocumentInput& input, const DocumentRow& row) {
  const Account* account = catalog.account(contract.account);
  CHECK_INVARIANT(account != nullptr);
  TRY(Json period, period_json(contract.rule.zone(), input.period, input.zone_database));
  Json lines = Json::array();
  for (size_t i = 0; i < input.lines.size(); ++i)
    lines.push(line_json(input.lines[i], i, input.adjusts));
  Json body = Json::object(
      {{"format", number(1)},
       {"kind", text(row.kind)},
       {"id", text(row.id)},
       {"revision", number(row.revision)},
       {"tenant", text(row.tenant)},
       {"account", account_json(*account)},
       {"contract", text(row.contract)},
       {"connector", text(row.connector)},
       {"approval", text(contract.approval == Approval::automatic ? "auto" : "manual")},
       {"currency", text(row.currency)},
       {"untaxed_total", text(row.total)},
       {"period", std::move(period)}});
  if (input.adjusts) body.set("adjusts", adjusts_json(*input.adjusts));
  body.set("lines", std::move(lines));
  body.set("catalog", text(catalog.hash().hex()));
  body.set("evidence", evidence_json(input.evidence));
  return body.dump();
}

Status check_waits(const DocumentRow& document, const std::string& by) {
  if (by.empty()) return fail(Errc::reject, "a decision names the person who made it");
  if (document.state == DocumentState::waiting_approval) return {};
  return fail(Error(Errc::conflict, "the document does not wait for approval")
                  .with("document", document.id));
}

}  // namespace

Json line_json(const RatedLine& line, size_t index, const std::optional<Adjusts>& adjusts) {
  Json out = Json::object({{"number", number(index + 1)},
                           {"subscription", text(line.subscription)},
                           {"product", text(line.product)},
                           {"description", text(line.description)},
                           {"meter", text(line.meter)},
                           {"unit", text(line.unit)},
                           {"quantity", text(line.quantity)}});
  if (adjusts) {
    const auto booked = adjusts->booked.find({line.subscription, line.meter});
    out.set("booked_quantity", text(booked == adjusts->booked.end() ? Decimal() : booked->second));
  }
  out.set("readings", number(line.count));
  out.set("included", text(line.included));
  out.set("tier", Json::object({{"from", text(line.tier_from)},
                                {"to", line.tier_to ? text(*line.tier_to) : Json::null()}}));
  out.set("billable_quantity", text(line.billable_quantity));
  out.set("unit_price", text(line.unit_price));
  out.set("amount", text(line.amount));
  out.set("rate_card", Json::object({{"name", text(line.rate_card)},
                                     {"version", Json::number(line.rate_card_version)}}));
  return out;
}

std::string document_id(std::string_view tenant, std::string_view contract, Period period,
                        uint32_t revision) {
  return document_id_of(
      "bs", {std::string(kBillingSummary), std::string(tenant), std::string(contract),
             to_rfc3339(period.from), to_rfc3339(period.until), std::to_string(revision)});
}

std::string adjustment_id(std::string_view tenant, std::string_view contract, Period period,
                          size_t number) {
  return document_id_of(
      "ad", {std::string(kAdjustment), std::string(tenant), std::string(contract),
             to_rfc3339(period.from), to_rfc3339(period.until), std::to_string(number)});
}

Result<DocumentRow> make_document(const Catalog& catalog, const Contract& contract,
                                  const DocumentInput& input) {
  CHECK_INVARIANT(!input.lines.empty());
  const auto exponent = currency_exponent(contract.currency);
  CHECK_INVARIANT(exponent);
  DocumentRow row;
  row.revision = kFirstRevision;
  row.id = input.adjusts
               ? adjustment_id(input.tenant, contract.name, input.period, input.adjusts->number)
               : document_id(input.tenant, contract.name, input.period, row.revision);
  row.kind = std::string(input.adjusts ? kAdjustment : kBillingSummary);
  row.tenant = input.tenant;
  row.account = contract.account;
  row.contract = contract.name;
  row.period_from = input.period.from;
  row.period_to = input.period.until;
  row.connector = contract.connector;
  row.currency = contract.currency;
  row.total = Decimal(0, *exponent);
  for (const RatedLine& line : input.lines) {
    TRY(row.total, add(row.total, line.amount));
  }
  row.created_at = input.now;
  if (contract.approval == Approval::automatic) {
    row.state = DocumentState::approved;
    row.decided_by = "auto";
    row.decided_at = input.now;
  }
  TRY(row.body, body_of(catalog, contract, input, row));
  return row;
}

std::string delivery_id(const DocumentRow& document) {
  return document.id + ".r" + std::to_string(document.revision) + "." + document.connector;
}

DeliveryRow new_delivery(const DocumentRow& document, Timestamp now) {
  DeliveryRow row;
  row.id = delivery_id(document);
  row.document = document.id;
  row.revision = document.revision;
  row.connector = document.connector;
  row.tenant = document.tenant;
  row.next_attempt_at = now;
  row.created_at = now;
  row.updated_at = now;
  return row;
}

Result<DocumentVerdict> approve(const DocumentRow& document, const std::string& by, Timestamp now) {
  TRY_VOID(check_waits(document, by));
  return DocumentVerdict{DocumentState::approved, by, now, new_delivery(document, now)};
}

Result<DocumentVerdict> refuse(const DocumentRow& document, const std::string& by, Timestamp now) {
  TRY_VOID(check_waits(document, by));
  return DocumentVerdict{DocumentState::refused, by, now, std::nullopt};
}

}  // namespace ledgerline::collector
