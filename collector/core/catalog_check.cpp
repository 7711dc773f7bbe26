// What only the whole catalog can tell: names that are defined nowhere, versions and links that
// contradict each other.
#include <algorithm>

#include "collector/core/catalog_reader.h"
#include "collector/core/catalog_words.h"

namespace ledgerline::collector {

namespace {

bool overlap(const Link& a, const Link& b) {
  return (!a.until || b.from < *a.until) && (!b.until || a.from < *b.until);
}

}  // namespace

void CatalogReader::check_rate_cards() {
  for (const WrittenCard& card : cards_) {
    std::vector<std::string> priced;
    for (size_t i = 0; i < card.value.prices.size(); ++i) {
      const std::string& meter = card.value.prices[i].meter;
      const TomlTable& at = card.prices[i];
      const auto defined = catalog_.meters_.find(meter);
      if (defined == catalog_.meters_.end()) {
        complain(at, "meter", unknown("meter", meter, catalog_.meters_));
      } else if (defined->second.stream_class != StreamClass::billing) {
        complain(at, "meter",
                 "the meter " + in_quotes(meter) + " is diagnostic and cannot be billed");
      }
      if (std::find(priced.begin(), priced.end(), meter) != priced.end()) {
        complain(at, "meter",
                 "the meter " + in_quotes(meter) + " has a price already in this version");
      }
      priced.push_back(meter);
    }
    auto& versions = catalog_.rate_cards_[card.value.name];
    for (const RateCard& other : versions) {
      if (other.version == card.value.version)
        complain(card.at, "version", "the rate card has this version already");
      if (other.from == card.value.from)
        complain(card.at, "from", "another version begins at the same instant");
      if (other.currency != card.value.currency) {
        complain(card.at, "currency",
                 "version " + std::to_string(other.version) + " is in " + other.currency);
      }
    }
    versions.push_back(card.value);
    std::sort(versions.begin(), versions.end(),
              [](const RateCard& a, const RateCard& b) { return a.from < b.from; });
    auto& prices = std::find_if(versions.begin(), versions.end(), [&](const RateCard& version) {
                     return version.version == card.value.version;
                   })->prices;
    std::sort(prices.begin(), prices.end(),
              [](const Price& a, const Price& b) { return a.meter < b.meter; });
  }
}

void CatalogReader::check_connector(const TomlTable& at, const std::string& name) {
  if (!options_.connectors) return;
  std::map<std::string, int> configured;
  for (const std::string& one : *options_.connectors) configured[one] = 0;
  if (!configured.contains(name)) complain(at, "connector", unknown("connector", name, configured));
}

void CatalogReader::check_contracts() {
  for (const WrittenContract& contract : contracts_) {
    const Contract& value = contract.value;
    if (!catalog_.accounts_.contains(value.account)) {
      complain(contract.at, "account", unknown("account", value.account, catalog_.accounts_));
    }
    check_connector(contract.at, value.connector);
    check_subscriptions(contract);
    if (!catalog_.contracts_.emplace(value.name, value).second) {
      complain(contract.at, "name", "the contract " + in_quotes(value.name) + " is defined twice");
    }
  }
}

void CatalogReader::check_subscriptions(const WrittenContract& contract) {
  for (size_t i = 0; i < contract.value.subscriptions.size(); ++i) {
    const Subscription& subscription = contract.value.subscriptions[i];
    const TomlTable& at = contract.subscriptions[i];
    if (!catalog_.contract_of_.emplace(subscription.name, contract.value.name).second) {
      complain(at, "name",
               "the subscription " + in_quotes(subscription.name) + " is in contract " +
                   in_quotes(catalog_.contract_of_[subscription.name]) + " already");
    }
    const auto card = catalog_.rate_cards_.find(subscription.rate_card);
    if (card == catalog_.rate_cards_.end()) {
      complain(at, "rate_card", unknown("rate card", subscription.rate_card, catalog_.rate_cards_));
      continue;
    }
    if (card->second.front().currency != contract.value.currency) {
      complain(at, "rate_card",
               "the rate card is in " + card->second.front().currency + ", the contract in " +
                   contract.value.currency);
    }
    if (card->second.front().from > contract.value.rule.anchor()) {
      complain(at, "rate_card",
               "the rate card begins at " + to_rfc3339(card->second.front().from) +
                   ", after the contract's first period");
    }
  }
}

void CatalogReader::check_links() {
  std::stable_sort(links_.begin(), links_.end(),
                   [](const Written<Link>& a, const Written<Link>& b) {
                     return std::tie(a.value.device, a.value.subject, a.value.from) <
                            std::tie(b.value.device, b.value.subject, b.value.from);
                   });
  for (size_t i = 0; i < links_.size(); ++i) {
    const Link& link = links_[i].value;
    if (!link.subscription.empty() && !catalog_.contract_of_.contains(link.subscription)) {
      complain(links_[i].at, "subscription",
               unknown("subscription", link.subscription, catalog_.contract_of_));
    }
    if (!link.asset.empty() && !catalog_.assets_.contains(link.asset)) {
      complain(links_[i].at, "asset", unknown("asset", link.asset, catalog_.assets_));
    }
    // Sorted by from, and a chain of links that each do not overlap the next overlaps nowhere.
    if (i > 0) {
      const Link& before = links_[i - 1].value;
      if (before.device == link.device && before.subject == link.subject && overlap(before, link)) {
        complain(links_[i].at, "from",
                 "overlaps the link of device " + in_quotes(link.device) + ", subject " +
                     in_quotes(link.subject) + " that begins at " + to_rfc3339(before.from));
      }
    }
    catalog_.links_.push_back(link);
  }
}

}  // namespace ledgerline::collector
