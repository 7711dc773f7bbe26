#include "tests/conformance/profiles.h"

#include "tests/support/fault_erp/fault_erp.h"
#include "tests/support/fault_erp/fault_receiver.h"
#include "tests/unit/collector/connectors/connector_world.h"

namespace ledgerline::conformance {

namespace {

using namespace collector::testing;  // NOLINT: the documents and options of the connectors' tests
using ledgerline::testing::FaultErp;
using ledgerline::testing::FaultReceiver;

Json billing_summary(const std::string& id) { return example_document(id); }
Json maintenance_order(const std::string& id) { return example_order(id); }

/// As ARCHITECTURE.md, "Account updates and opportunities", lays them out.
Json account_update(const std::string& id) {
  Json update = parse_json(R"({
    "format": 1, "kind": "account-update", "id": "", "revision": 1, "tenant": "acme",
    "account": {"name": "aqua", "legal_name": "Aqua Works Ltd", "external": "C-1001"},
    "contract": "aqua-2026", "connector": "crm", "rule": "success", "reason": "limit",
    "as_of": "2026-11-20T08:00:00.000Z",
    "period": {"from": "2026-10-31T23:00:00.000Z", "until": "2026-11-30T23:00:00.000Z",
               "local_from": "2026-11-01T00:00:00+01:00", "local_until": "2026-12-01T00:00:00+01:00",
               "time_zone": "Europe/Brussels", "zone_database": "2026c"},
    "meters": [{"subscription": "aqua-api", "meter": "api.requests", "product": "API-CALL",
                "unit": "1", "quantity": "812", "included": "1000", "share": "0.8120",
                "previous_quantity": "700", "trend": "0.1600", "days_to_limit": 4,
                "limits_crossed": ["0.8"]}],
    "features": [{"name": "export", "active": 3, "known": 12, "adoption": "0.2500"}],
    "signals": [{"kind": "expansion", "because": "0.8 of api.requests used by the 20th"}],
    "health": {"score": 82, "parts": [{"name": "usage", "score": 90, "weight": 3,
                                       "because": "grows by 16 %"}]},
    "catalog": "c0ffee", "evidence": {"log_leaves": 4711, "streams": []}})")
                    .value();
  update.set("id", Json::string(id));
  update.set("external_id", Json::string(id));
  return update;
}

Json opportunity(const std::string& id) {
  Json opportunity = parse_json(R"({
    "format": 1, "kind": "opportunity", "id": "", "revision": 1, "tenant": "acme",
    "account": {"name": "aqua", "legal_name": "Aqua Works Ltd", "external": "C-1001"},
    "contract": "aqua-2026", "connector": "crm", "rule": "success", "reason": "overage",
    "description": "More than the included quantity in 3 periods",
    "opened_at": "2026-11-20T08:00:00.000Z", "due_at": "2026-12-20T08:00:00.000Z",
    "currency": "EUR", "amount": "120.00",
    "lines": [{"subscription": "aqua-api", "meter": "api.requests", "unit": "1",
               "quantity": "1400", "included": "1000", "periods": 3}],
    "catalog": "c0ffee", "evidence": {"log_leaves": 4711}})")
                         .value();
  opportunity.set("id", Json::string(id));
  opportunity.set("external_id", Json::string(id));
  return opportunity;
}

collector::EngineOptions webhook(const std::string& url) {
  return webhook_options(url, FaultReceiver::kSecret);
}

collector::EngineOptions webhook_without_look_ups(const std::string& url) {
  auto options = webhook(url);
  options.settings.pop_back();  // documents
  return options;
}

template <class System>
std::unique_ptr<ledgerline::testing::FaultServer> make() {
  return std::make_unique<System>();
}

}  // namespace

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> list = {
      {"tryton",
       make<FaultErp>,
       tryton_options,
       {{"billing-summary", "account.invoice.create", "account.invoice.search_read",
         billing_summary},
        {"maintenance-order", "project.work.create", "project.work.search_read", maintenance_order,
         2}}},
      {"webhook",
       make<FaultReceiver>,
       webhook,
       {{"billing-summary", "receive", "read", billing_summary},
        {"maintenance-order", "receive", "read", maintenance_order},
        {"account-update", "receive", "read", account_update},
        {"opportunity", "receive", "read", opportunity}}},
      {"webhook without look-ups",
       make<FaultReceiver>,
       webhook_without_look_ups,
       {{"billing-summary", "receive", "", billing_summary},
        {"maintenance-order", "receive", "", maintenance_order}}},
  };
  return list;
}

}  // namespace ledgerline::conformance
