#pragma once
// The canonical members of what a catalog holds: JSON of everything that has a meaning, sets
// sorted, decimals without superfluous zeros. The catalog's hash and the entries of its logged
// versions are made of them. Pure.

#include "collector/core/catalog.h"
#include "common/json.h"

namespace ledgerline::collector {

/// An entry names its own kind in "kind", so there the meter's has another name.
Json canonical_meter(const CatalogMeter& meter, const std::string& kind_member = "kind");
Json canonical_rate_card(const RateCard& card);
Json canonical_account(const Account& account);
Json canonical_contract(const Contract& contract);
Json canonical_link(const Link& link);
/// Without device and subject.
Json canonical_link_span(const Link& link);
Json canonical_asset(const Asset& asset);
Json canonical_rule(const MaintenanceRule& rule);
Json canonical_account_rule(const AccountRule& rule);

}  // namespace ledgerline::collector
