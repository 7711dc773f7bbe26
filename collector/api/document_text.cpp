#include "collector/api/document_text.h"

#include "collector/api/table.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

std::vector<Json> items_of(const Json& object, std::string_view name) {
  const Json* found = object.find(name);
  return found == nullptr ? std::vector<Json>() : found->items();
}

std::string joined(const std::vector<Json>& texts) {
  std::string out;
  for (const Json& one : texts) out += (out.empty() ? "" : ", ") + one.text();
  return out.empty() ? "-" : out;
}

void print_bill(const Json& body, std::ostream& out) {
  TextTable table({"LINE", "PRODUCT", "METER", "QUANTITY", "BILLABLE", "PRICE", "AMOUNT"});
  for (const Json& line : items_of(body, "lines")) {
    table.add({text_of(line, "number"), text_of(line, "product"), text_of(line, "meter"),
               text_of(line, "quantity") + " " + text_of(line, "unit"),
               text_of(line, "billable_quantity"), text_of(line, "unit_price"),
               text_of(line, "amount")});
  }
  table.print(out);
}

void print_order(const Json& body, std::ostream& out) {
  out << printable(text_of(body, "description")) << ", priority " << text_of(body, "priority")
      << ", due at " << text_of(body, "due_at") << "\n\n";
  TextTable table({"METER", "VALUE", "SIDE", "LIMIT", "FOUND", "MET"});
  for (const Json& condition : items_of(body, "conditions")) {
    const Json* met = condition.find("met");
    table.add({text_of(condition, "meter"), text_of(condition, "value"), text_of(condition, "side"),
               text_of(condition, "limit"), text_of(condition, "found"),
               met != nullptr && met->as_bool() ? "yes" : "no"});
  }
  table.print(out);
  for (const Json& part : items_of(body, "parts"))
    out << "part " << printable(text_of(part, "product")) << ": " << text_of(part, "quantity")
        << "\n";
}

void print_update(const Json& body, std::ostream& out) {
  out << "reason: " << text_of(body, "reason") << ", as of " << text_of(body, "as_of") << "\n\n";
  TextTable meters({"SUBSCRIPTION", "METER", "QUANTITY", "INCLUDED", "SHARE", "TREND",
                    "DAYS TO LIMIT", "LIMITS CROSSED"});
  for (const Json& meter : items_of(body, "meters")) {
    meters.add({text_of(meter, "subscription"), text_of(meter, "meter"),
                text_of(meter, "quantity") + " " + text_of(meter, "unit"),
                text_of(meter, "included"), text_of(meter, "share"), text_of(meter, "trend"),
                text_of(meter, "days_to_limit"), joined(items_of(meter, "limits_crossed"))});
  }
  meters.print(out);
  for (const Json& feature : items_of(body, "features"))
    out << "feature " << printable(text_of(feature, "name")) << ": " << text_of(feature, "active")
        << " of " << text_of(feature, "known") << " subjects, " << text_of(feature, "adoption")
        << "\n";
  for (const Json& signal : items_of(body, "signals"))
    out << "signal " << text_of(signal, "kind") << ": " << printable(text_of(signal, "because"))
        << "\n";
  const Json* health = body.find("health");
  if (health == nullptr || health->is(Json::Kind::null)) return;
  out << "health " << text_of(*health, "score") << "\n";
  for (const Json& part : items_of(*health, "parts"))
    out << "    " << text_of(part, "name") << " " << text_of(part, "score") << ", weight "
        << text_of(part, "weight") << ": " << printable(text_of(part, "because")) << "\n";
}

void print_opportunity(const Json& body, std::ostream& out) {
  out << "reason: " << text_of(body, "reason") << ", due at " << text_of(body, "due_at") << "\n"
      << printable(text_of(body, "description")) << "\n\n";
  TextTable table({"SUBSCRIPTION", "METER", "QUANTITY", "INCLUDED", "PERIODS"});
  for (const Json& line : items_of(body, "lines")) {
    table.add({text_of(line, "subscription"), text_of(line, "meter"),
               text_of(line, "quantity") + " " + text_of(line, "unit"), text_of(line, "included"),
               text_of(line, "periods")});
  }
  table.print(out);
}

}  // namespace

std::string text_of(const Json& object, std::string_view name) {
  const Json* found = object.find(name);
  return found == nullptr || found->is(Json::Kind::null) ? "-" : found->text();
}

void print_body(const Json& body, std::ostream& out) {
  const std::string kind = text_of(body, "kind");
  if (kind == "maintenance-order") return print_order(body, out);
  if (kind == "account-update") return print_update(body, out);
  if (kind == "opportunity") return print_opportunity(body, out);
  if (body.find("lines") != nullptr) print_bill(body, out);
}

}  // namespace ledgerline::collector
