#pragma once
// An account update and an opportunity, as ARCHITECTURE.md describes their bodies.

#include <string>

#include "common/json.h"

namespace ledgerline::collector::testing {

inline void set_identity(Json& document, const std::string& id, int64_t revision,
                         const std::string& party) {
  document.set("id", Json::string(id));
  document.set("external_id",
               Json::string(revision == 1 ? id : id + "/r" + std::to_string(revision)));
  document.set("revision", Json::number(revision));
  document.set("account", Json::object({{"name", Json::string("aqua")},
                                        {"legal_name", Json::string("Aqua Works Ltd")},
                                        {"external", Json::string(party)}}));
}

inline Json example_update(const std::string& id, int64_t revision = 1,
                           const std::string& party = "C-1001") {
  Json update = parse_json(R"({
    "format": 1, "kind": "account-update", "tenant": "acme",
    "contract": "aqua-2026", "connector": "erp", "rule": "api-accounts", "reason": "limit",
    "as_of": "2026-11-20T08:00:00.000Z",
    "period": {"from": "2026-10-31T23:00:00.000Z", "until": "2026-11-30T23:00:00.000Z",
               "local_from": "2026-11-01T00:00:00+01:00",
               "local_until": "2026-12-01T00:00:00+01:00", "time_zone": "Europe/Brussels",
               "zone_database": "2025b"},
    "meters": [
      {"subscription": "aqua-data", "meter": "data.volume", "product": "DATA-GB", "unit": "GB",
       "quantity": "12.50", "included": "0", "share": null, "previous_quantity": null,
       "trend": null, "days_to_limit": null, "limits_crossed": []},
      {"subscription": "aqua-api", "meter": "api.requests", "product": "API-CALL", "unit": "1",
       "quantity": "850000", "included": "1000000", "share": "0.8500",
       "previous_quantity": "756000", "trend": "0.1243", "days_to_limit": 3,
       "limits_crossed": ["0.5", "0.8"]},
      {"subscription": "aqua-seats", "meter": "seats", "product": "SEAT", "unit": "seat",
       "quantity": "4", "included": "20", "share": "0.2000", "previous_quantity": "8",
       "trend": "-0.5000", "days_to_limit": null, "limits_crossed": []}],
    "features": [{"name": "export", "active": 3, "known": 12, "adoption": "0.2500"},
                 {"name": "search", "active": 0, "known": 0, "adoption": null}],
    "signals": [{"kind": "expansion", "because": "api.requests passed 80 % on day 19 of 30"},
                {"kind": "churn", "because": "seats fell by half"}],
    "health": {"score": 62, "parts": [
      {"name": "usage", "score": 90, "weight": "2", "because": "12.4 % above the period before"},
      {"name": "adoption", "score": 25, "weight": "1", "because": "3 of 12 use export"}]},
    "catalog": "c0ffee",
    "evidence": {"log_leaves": 4711, "streams": [
      {"stream": "a1", "device": "gw-1", "batches": 12, "readings": 340},
      {"stream": "b2", "device": "gw-2", "batches": 1, "readings": 2}]}})")
                    .value();
  set_identity(update, id, revision, party);
  return update;
}

inline Json example_opportunity(const std::string& id, int64_t revision = 1,
                                const std::string& party = "C-1001") {
  Json opportunity = parse_json(R"({
    "format": 1, "kind": "opportunity", "tenant": "acme",
    "contract": "aqua-2026", "connector": "erp", "rule": "renewals", "reason": "renewal",
    "description": "Renew the contract", "opened_at": "2026-11-20T08:00:00.000Z",
    "due_at": "2026-12-31T23:00:00.000Z", "currency": "EUR", "amount": "412.50",
    "lines": [{"subscription": "aqua-api", "meter": "api.requests", "unit": "1",
               "quantity": "1200000", "included": "1000000", "periods": 3}],
    "catalog": "c0ffee", "evidence": {"log_leaves": 4711}})")
                         .value();
  set_identity(opportunity, id, revision, party);
  return opportunity;
}

}  // namespace ledgerline::collector::testing
