#include "collector/fold/closed_periods.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <tuple>

#include "collector/core/catalog_canonical.h"
#include "collector/core/currency.h"
#include "collector/core/mapping.h"
#include "collector/fold/contract_usage.h"
#include "collector/fold/tenant.h"
#include "common/check.h"

namespace ledgerline::collector {

namespace {

using Figures = std::map<LineKey, LineFigures>;

constexpr size_t kPeriodsPage = 1000;

auto as_tuple(const Link& link) {
  return std::tie(link.device, link.subject, link.subscription, link.asset, link.from, link.until);
}
bool is_before(const Link& a, const Link& b) { return as_tuple(a) < as_tuple(b); }

/// Links that only one of the two has.
std::vector<Link> changed_links(const Catalog& before, const Catalog& after) {
  std::vector<Link> a = before.links();
  std::vector<Link> b = after.links();
  std::sort(a.begin(), a.end(), is_before);
  std::sort(b.begin(), b.end(), is_before);
  std::vector<Link> out;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out),
                                is_before);
  return out;
}

bool bills(const Contract& contract, const Link& link) {
  return std::any_of(contract.subscriptions.begin(), contract.subscriptions.end(),
                     [&](const Subscription& one) { return one.name == link.subscription; });
}

std::string card_text(const Catalog& catalog, const Subscription& subscription, Timestamp from) {
  const RateCard* card = catalog.rate_card(subscription.rate_card, from);
  if (card == nullptr) return {};
  std::string out = canonical_rate_card(*card).dump();
  for (const Price& price : card->prices)
    out += canonical_meter(*catalog.meter(price.meter)).dump();
  return out;
}

/// What the lines of a period that begins at `from` are rated by.
std::set<std::string> terms(const Catalog& catalog, const Contract* contract, Timestamp from) {
  std::set<std::string> out;
  if (contract == nullptr) return out;
  out.insert(contract->currency);
  for (const Subscription& subscription : contract->subscriptions)
    out.insert(json_quote(subscription.name) + card_text(catalog, subscription, from));
  return out;
}

Result<Figures> figures(const Catalog& catalog, const Contract& contract, Timestamp from,
                        const PeriodUsage& usage) {
  Figures out;
  const auto exponent = currency_exponent(contract.currency);
  CHECK_INVARIANT(exponent);
  for (const Subscription& subscription : contract.subscriptions) {
    const RateCard* card = catalog.rate_card(subscription.rate_card, from);
    if (card == nullptr) continue;
    for (const Price& price : card->prices) {
      const auto used = usage.find({subscription.name, price.meter});
      if (used == usage.end()) continue;
      const CatalogMeter* meter = catalog.meter(price.meter);
      CHECK_INVARIANT(meter != nullptr);
      const Decimal quantity = used->second.quantity(meter->aggregation);
      TRY(const auto lines, rate({.subscription = subscription.name,
                                  .meter = price.meter,
                                  .unit = meter->unit,
                                  .quantity = quantity,
                                  .count = used->second.count()},
                                 *card, price, *exponent));
      LineFigures line{.quantity = quantity.trimmed(),
                       .amount = {},
                       .currency = contract.currency,
                       .products = {}};
      for (const RatedLine& tier : lines) {
        TRY(line.amount, add(line.amount, tier.amount));
        line.products.push_back(tier.product);
      }
      if (!line.quantity.is_zero()) out.emplace(used->first, line);
    }
  }
  return out;
}

class ClosedPeriods {
 public:
  ClosedPeriods(Store& store, std::string tenant, const Catalog& before, const Catalog& after,
                LinkChanges links)
      : store_(store),
        tenant_(std::move(tenant)),
        before_(before),
        after_(after),
        mapping_before_(before),
        mapping_after_(after),
        links_(links),
        changed_(changed_links(before, after)) {}

  Result<AlteredLines> compare() {
    for (const auto& [name, contract] : before_.contracts()) {
      Timestamp from(0);
      for (;;) {
        TRY(const auto rows, store_.list_periods(tenant_, name, from, kPeriodsPage));
        for (const PeriodRow& row : rows) {
          if (row.closed) TRY_VOID(compare_period(contract, {row.from, row.to}));
        }
        if (rows.size() < kPeriodsPage) break;
        from = rows.back().from + Duration(1);
      }
    }
    return std::move(out_);
  }

 private:
  /// A link of a device decides over every subject that no other link of it names.
  [[nodiscard]] bool links_reach(const Contract& contract, Period period) const {
    return std::any_of(changed_.begin(), changed_.end(), [&](const Link& changed) {
      const bool overlaps =
          changed.from < period.until && (!changed.until || *changed.until > period.from);
      return overlaps && (bills(contract, changed) || is_on(before_, contract, changed.device) ||
                          is_on(after_, contract, changed.device));
    });
  }
  static bool is_on(const Catalog& catalog, const Contract& contract, const std::string& device) {
    return std::any_of(catalog.links().begin(), catalog.links().end(), [&](const Link& link) {
      return link.device == device && bills(contract, link);
    });
  }

  Result<Figures> lines(const Catalog& catalog, const Mapping& mapping, const Contract* contract,
                        Period period) {
    if (contract == nullptr) return Figures();
    TRY(const auto usage, ContractUsage(store_, tenant_, catalog, mapping).of(*contract, period));
    auto out = figures(catalog, *contract, period.from, usage);
    if (!out) return fail(Error(out.error()).with("contract", contract->name));
    return out;
  }

  Status compare_period(const Contract& contract, Period period) {
    const Contract* next = after_.contract(contract.name);
    const bool same_terms =
        terms(before_, &contract, period.from) == terms(after_, next, period.from);
    const bool same_links = links_ == LinkChanges::allowed || !links_reach(contract, period);
    if (same_terms && same_links) return {};
    const bool old_links = links_ == LinkChanges::compared;
    TRY(const Figures was,
        lines(before_, old_links ? mapping_before_ : mapping_after_, &contract, period));
    TRY(const Figures is, lines(after_, mapping_after_, next, period));
    note(contract.name, period, was, is);
    return {};
  }

  void note(const std::string& contract, Period period, const Figures& was, const Figures& is) {
    std::set<LineKey> keys;
    for (const auto& [key, line] : was) keys.insert(key);
    for (const auto& [key, line] : is) keys.insert(key);
    for (const LineKey& key : keys) {
      AlteredLine line{
          .contract = contract, .period = period, .key = key, .before = {}, .after = {}};
      if (const auto found = was.find(key); found != was.end()) line.before = found->second;
      if (const auto found = is.find(key); found != is.end()) line.after = found->second;
      if (line.before == line.after) continue;
      if (out_.lines.size() == AlteredLines::kLinesMax) {
        ++out_.more;
      } else {
        out_.lines.push_back(std::move(line));
      }
    }
  }

  Store& store_;
  std::string tenant_;
  const Catalog& before_;
  const Catalog& after_;
  Mapping mapping_before_;
  Mapping mapping_after_;
  LinkChanges links_;
  std::vector<Link> changed_;
  AlteredLines out_;
};

std::string shown(const std::optional<LineFigures>& figures) {
  if (!figures) return "no line";
  std::string out = "quantity " + figures->quantity.text() + ", amount " +
                    figures->amount.trimmed().text() + " " + figures->currency;
  for (const std::string& product : figures->products) out += ", product " + product;
  return out;
}

}  // namespace

std::string AlteredLine::text() const {
  return "contract " + contract + ", period " + to_rfc3339(period.from) + " to " +
         to_rfc3339(period.until) + ", subscription " + key.first + ", meter " + key.second + ": " +
         shown(before) + " -> " + shown(after);
}

Result<AlteredLines> altered_lines(Store& store, const Catalog& before, const Catalog& after,
                                   LinkChanges links) {
  TRY(const auto tenant, tenant_of(before, store));
  if (!tenant) return AlteredLines();
  return ClosedPeriods(store, *tenant, before, after, links).compare();
}

}  // namespace ledgerline::collector
