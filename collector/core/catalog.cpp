#include "collector/core/catalog.h"

#include "collector/core/catalog_canonical.h"

namespace ledgerline::collector {

namespace {

template <class Value>
const Value* find_in(const std::map<std::string, Value>& map, const std::string& name) {
  const auto found = map.find(name);
  return found == map.end() ? nullptr : &found->second;
}

}  // namespace

std::string_view to_string(Aggregation aggregation) {
  switch (aggregation) {
    case Aggregation::sum:
      return "sum";
    case Aggregation::count:
      return "count";
    case Aggregation::min:
      return "min";
    case Aggregation::max:
      return "max";
    case Aggregation::last:
      return "last";
  }
  return "unknown";
}

const CatalogMeter* Catalog::meter(const std::string& name) const { return find_in(meters_, name); }
const Account* Catalog::account(const std::string& name) const { return find_in(accounts_, name); }
const Asset* Catalog::asset(const std::string& name) const { return find_in(assets_, name); }
const Contract* Catalog::contract(const std::string& name) const {
  return find_in(contracts_, name);
}

const RateCard* Catalog::rate_card(const std::string& name, Timestamp t) const {
  const RateCard* found = nullptr;
  if (const auto* versions = find_in(rate_cards_, name)) {
    for (const RateCard& version : *versions) {
      if (version.from <= t) found = &version;
    }
  }
  return found;
}

const Contract* Catalog::contract_of(const std::string& subscription) const {
  const std::string* name = find_in(contract_of_, subscription);
  return name == nullptr ? nullptr : contract(*name);
}

std::string Catalog::canonical() const {
  Json meters = Json::array();
  for (const auto& [name, meter] : meters_) meters.push(canonical_meter(meter));
  Json cards = Json::array();
  for (const auto& [name, versions] : rate_cards_) {
    for (const RateCard& card : versions) cards.push(canonical_rate_card(card));
  }
  Json accounts = Json::array();
  for (const auto& [name, account] : accounts_) accounts.push(canonical_account(account));
  Json contracts = Json::array();
  for (const auto& [name, contract] : contracts_) contracts.push(canonical_contract(contract));
  Json links = Json::array();
  for (const Link& link : links_) links.push(canonical_link(link));
  Json out = Json::object({{"format", Json::number(1)},
                           {"tenant", Json::string(tenant_)},
                           {"meters", std::move(meters)},
                           {"rate_cards", std::move(cards)},
                           {"accounts", std::move(accounts)},
                           {"contracts", std::move(contracts)},
                           {"links", std::move(links)}});
  Json assets = Json::array();
  for (const auto& [name, asset] : assets_) assets.push(canonical_asset(asset));
  Json rules = Json::array();
  for (const auto& [name, rule] : rules_) rules.push(canonical_rule(rule));
  // Only where there are any: a catalog that was written before there were rules keeps its hash.
  if (!assets.items().empty()) out.set("assets", std::move(assets));
  if (!rules.items().empty()) out.set("maintenance", std::move(rules));
  Json updates = Json::array();
  for (const auto& [name, rule] : account_rules_) updates.push(canonical_account_rule(rule));
  if (!updates.items().empty()) out.set("account_updates", std::move(updates));
  return out.dump();
}

}  // namespace ledgerline::collector
