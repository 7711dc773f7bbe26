#include "tests/support/fault_erp/fault_erp.h"

#include <algorithm>

#include "common/check.h"
#include "common/decimal.h"

namespace ledgerline::testing {

namespace {

Json text(std::string value) { return Json::string(std::move(value)); }
Json number(int64_t value) { return Json::number(value); }

const Json& member(const Json& value, std::string_view name) {
  static const Json none;
  const Json* found = value.find(name);
  return found == nullptr ? none : *found;
}

/// The value that a domain asks a field for: [["code", "=", "C-1001"]].
std::string asked(const Json& domain, const std::string& field) {
  for (const Json& clause : domain.items()) {
    if (clause.items().size() == 3 && clause.items()[0].text() == field)
      return clause.items()[2].text();
  }
  return {};
}

}  // namespace

std::vector<FaultErp::Invoice> FaultErp::invoices() const {
  const std::lock_guard lock(lock_);
  return invoices_;
}

std::vector<FaultErp::Work> FaultErp::works() const {
  const std::lock_guard lock(lock_);
  return works_;
}

void FaultErp::close_works() {
  const std::lock_guard lock(lock_);
  for (Work& work : works_) work.closed = true;
}

size_t FaultErp::documents() const {
  const std::lock_guard lock(lock_);
  size_t count = invoices_.size() + works_.size();
  for (const auto& [model, records] : records_) count += records.size();
  return count;
}

std::string FaultErp::operation_of(const FaultRequest& request) const {
  const auto call = parse_json(request.body);
  return call ? member(*call, "method").text() : std::string();
}

FaultReply FaultErp::answer(const FaultRequest& request, bool wrong_echo) {
  const auto call = parse_json(request.body);
  if (!call) return {400, "", "text/plain", ""};
  return dispatch(*call, request.header("Authorization"), wrong_echo);
}

FaultReply FaultErp::refusal() const {
  return {200, R"({"id":1,"error":["UserError",["Das Feld ist erforderlich.","",null]]})",
          "application/json", ""};
}

bool FaultErp::is_look(const std::string& operation) const {
  return operation.ends_with("ir.note.search_read") ||
         operation.ends_with("sale.opportunity.search_read") ||
         operation.ends_with("account.invoice.search_read") ||
         operation.ends_with("project.work.search_read");
}

std::string FaultErp::essential_field(const std::string& operation) const {
  if (operation.ends_with("account.invoice.search_read")) return "untaxed_amount";
  if (operation.ends_with("project.work.search_read")) return "status.";
  if (operation.ends_with("ir.note.search_read")) return "resource.";
  if (operation.ends_with("sale.opportunity.search_read")) return "currency_digits";
  return "result";
}

FaultReply FaultErp::dispatch(const Json& request, const std::string& authorization,
                              bool wrong_echo) {
  const std::string method = member(request, "method").text();
  const auto& params = member(request, "params").items();
  Json reply = Json::object();
  reply.set("id", member(request, "id"));
  if (method == "common.db.login") {
    if (member(params[1], "password").text() != "right") return {401, "", "text/plain", ""};
    reply.set("result", Json::array({number(2), text("token")}));
    return {200, reply.dump(), "application/json", ""};
  }
  if (authorization != "Session dXNlcjoyOnRva2Vu") return {401, "", "text/plain", ""};
  if (method == "model.account.invoice.create")
    return create(params[0].items()[0], member(request, "id"), wrong_echo);
  const Json refusal =
      Json::array({text("UserError"), Json::array({text("nein"), text(""), Json::null()})});
  if (method == "model.project.work.create") {
    if (create_work(params[0].items()[0], wrong_echo)) {
      reply.set("result", Json::array({number(works_.back().id)}));
    } else {
      reply.set("error", refusal);
    }
  } else if (method == "model.ir.note.create" || method == "model.sale.opportunity.create") {
    const std::string model = method.substr(6, method.size() - 13);
    if (create_record(model, params[0].items()[0], wrong_echo)) {
      reply.set("result", Json::array({number(static_cast<int64_t>(records_[model].size()))}));
    } else {
      reply.set("error", refusal);
    }
  } else if (method == "model.project.work.write") {
    const bool written = write_work(params[0].items()[0], params[1]);
    reply.set(written ? "result" : "error", written ? Json::null() : refusal);
  } else if (method.ends_with(".fields_get")) {
    reply.set("result",
              Json::object({{"unit_price", Json::object({{"digits", text("[16, 8]")}})}}));
  } else if (method.ends_with(".search_read")) {
    reply.set("result", search_read(method.substr(6, method.size() - 18), params[0]));
  } else {
    return {403, "", "text/plain", ""};
  }
  return {200, reply.dump(), "application/json", ""};
}

Json FaultErp::search_read(const std::string& model, const Json& domain) const {
  Json rows = Json::array();
  if (model == "account.invoice") {
    for (const Invoice& invoice : invoices_) {
      if (invoice.external_id == asked(domain, "external_id")) rows.push(invoice_row(invoice));
    }
    return rows;
  }
  if (model == "project.work" && asked(domain, "type").empty()) {
    for (const Work& work : works_) {
      if (member(work.values, "external_id").text() == asked(domain, "external_id"))
        rows.push(work_row(work));
    }
    return rows;
  }
  if (model == "ir.note" || model == "sale.opportunity") {
    const auto found = records_.find(model);
    if (found == records_.end()) return rows;
    for (size_t i = 0; i < found->second.size(); ++i) {
      if (member(found->second[i], "external_id").text() != asked(domain, "external_id")) continue;
      rows.push(record_row(model, found->second[i]));
      rows.items().back().set("id", number(static_cast<int64_t>(i) + 1));
    }
    return rows;
  }
  const std::string code = asked(domain, "code");
  Json row = Json::object({{"id", number(7)}});
  if (model == "party.party") {
    if (!code.starts_with("C-")) return rows;
    row = Json::object({{"id", number(std::stoi(code.substr(2)))},
                        {"code", text(code)},
                        {"customer_payment_term", Json::null()}});
  } else if (model == "product.product") {
    if (code == "NOPE") return rows;
    row.set("account_category.", Json::object({{"id", number(1)}, {"account_revenue", number(6)}}));
    row.set("default_uom.", Json::object({{"id", number(1)}, {"digits", number(0)}}));
  } else if (model == "currency.currency") {
    row.set("digits", number(2));
  } else if (model == "stock.lot") {
    const std::string lot = asked(domain, "number");
    if (!lot.starts_with("SN-")) return rows;
    row = Json::object({{"id", number(std::stoi(lot.substr(3)))}, {"number", text(lot)}});
  } else if (model == "company.company") {
    row.set("currency.", Json::object({{"code", text("EUR")}, {"digits", number(2)}}));
  } else if (model == "stock.location") {
    row.set("storage_location", number(3));
  }
  rows.push(std::move(row));
  return rows;
}

FaultReply FaultErp::create(const Json& values, const Json& id, bool wrong_amount) {
  Json reply = Json::object({{"id", id}});
  const std::string external_id = member(values, "external_id").text();
  const bool there = std::any_of(invoices_.begin(), invoices_.end(), [&](const Invoice& invoice) {
    return invoice.external_id == external_id;
  });
  if (there) {
    reply.set("error", Json::array({text("UserError"),
                                    Json::array({text("schon da"), text(""), Json::null()})}));
    return {200, reply.dump(), "application/json", ""};
  }
  Decimal sum(0, 2);
  for (const Json& line : member(values, "lines").items()[0].items()[1].items()) {
    const auto quantity = Decimal::parse(member(line, "quantity").text());
    const auto price = Decimal::parse(member(member(line, "unit_price"), "decimal").text());
    CHECK_INVARIANT(quantity && price);
    sum = *add(sum, *multiply(*quantity, *price)->rounded(2, Rounding::half_even));
  }
  if (wrong_amount) sum = *add(sum, Decimal(1, 2));
  Invoice invoice;
  invoice.id = static_cast<int64_t>(invoices_.size()) + 1;
  invoice.external_id = external_id;
  invoice.party = "C-" + member(values, "party").text();
  invoice.currency = "EUR";
  invoice.untaxed_amount = sum.text();
  invoice.body = values;
  invoices_.push_back(invoice);
  reply.set("result", Json::array({number(invoice.id)}));
  return {200, reply.dump(), "application/json", ""};
}

bool FaultErp::create_record(const std::string& model, const Json& values, bool wrong_echo) {
  auto& records = records_[model];
  for (const Json& record : records) {
    if (member(record, "external_id").text() == member(values, "external_id").text()) return false;
  }
  records.push_back(values);
  if (!wrong_echo) return true;
  records.back().set("resource", text("party.party,99"));
  records.back().set("amount", Json::object({{"decimal", text("0.01")}}));
  return true;
}

Json FaultErp::record_row(const std::string& model, const Json& values) const {
  Json row = Json::object({{"external_id", member(values, "external_id")},
                           {"external_revision", member(values, "external_revision")}});
  if (model == "ir.note") {
    const std::string resource = member(values, "resource").text();
    const std::string party = "C-" + resource.substr(resource.find(',') + 1);
    row.set("resource.", Json::object({{"code", text(party)}}));
    return row;
  }
  const std::string party = "C-" + member(values, "party").text();
  row.set("state", text("lead"));
  row.set("party.", Json::object({{"code", text(party)}}));
  row.set("amount", member(values, "amount"));
  row.set("currency_digits", number(2));
  row.set("closed_at", Json::null());
  row.set("closed_by.", Json::null());
  return row;
}

bool FaultErp::create_work(const Json& values, bool wrong_asset) {
  const std::string id = member(values, "external_id").text();
  for (const Work& work : works_) {
    if (member(work.values, "external_id").text() == id) return false;
  }
  works_.push_back({static_cast<int64_t>(works_.size()) + 1, values, false});
  if (wrong_asset) works_.back().values.set("asset", number(99));
  return true;
}

bool FaultErp::write_work(const Json& id, const Json& values) {
  for (Work& work : works_) {
    if (std::to_string(work.id) != id.text() || work.closed) continue;
    for (const auto& [name, value] : values.members()) work.values.set(name, value);
    return true;
  }
  return false;
}

Json FaultErp::work_row(const Work& work) const {
  Json shipments = Json::array();
  const Json& parts = member(work.values, "parts");
  if (parts.is(Json::Kind::array)) {
    const Json& shipment = parts.items()[0].items()[1].items()[0];
    Json moves = Json::array();
    for (const Json& move : member(shipment, "moves").items()[0].items()[1].items())
      moves.push(member(move, "product"));
    shipments.push(Json::object({{"id", number(1)}, {"moves", std::move(moves)}}));
  }
  const Json when = Json::object({{"__class__", text("datetime")},
                                  {"year", number(2026)},
                                  {"month", number(11)},
                                  {"day", number(21)},
                                  {"hour", number(9)},
                                  {"minute", number(5)},
                                  {"second", number(7)},
                                  {"microsecond", number(0)}});
  const Json name = Json::object({{"id", number(4)}, {"name", text("Field service")}});
  return Json::object(
      {{"id", number(work.id)},
       {"external_id", member(work.values, "external_id")},
       {"external_revision", member(work.values, "external_revision")},
       {"status.", Json::object({{"name", text(work.closed ? "Done" : "Open")},
                                 {"progress", work.closed ? Json::number("1.0") : Json::null()}})},
       {"asset.", Json::object({{"number", text("SN-" + member(work.values, "asset").text())}})},
       {"parts.", std::move(shipments)},
       {"closed_at", work.closed ? when : Json::null()},
       {"closed_by.", work.closed ? name : Json::null()},
       {"timesheet_duration",
        Json::object({{"__class__", text("timedelta")}, {"seconds", Json::number("5400.0")}})}});
}

Json FaultErp::invoice_row(const Invoice& invoice) const {
  Json lines = Json::array();
  const size_t count = member(invoice.body, "lines").items()[0].items()[1].items().size();
  for (size_t i = 0; i < count; ++i) lines.push(number(static_cast<int64_t>(i) + 1));
  return Json::object(
      {{"id", number(invoice.id)},
       {"external_id", text(invoice.external_id)},
       {"state", text("draft")},
       {"number", Json::null()},
       {"party.", Json::object({{"id", number(1)}, {"code", text(invoice.party)}})},
       {"currency.", Json::object({{"id", number(1)}, {"code", text(invoice.currency)}})},
       {"untaxed_amount",
        Json::object({{"__class__", text("Decimal")}, {"decimal", text(invoice.untaxed_amount)}})},
       {"lines", std::move(lines)}});
}

}  // namespace ledgerline::testing
