#include "collector/core/opportunity.h"

#include <algorithm>

#include "collector/core/currency.h"
#include "collector/core/document_parts.h"
#include "common/check.h"
#include "common/fraction.h"

namespace ledgerline::collector {

namespace {

using Reason = OpportunityInput::Reason;
constexpr int kPlacesMore = 2;

Json text(std::string value) { return Json::string(std::move(value)); }
Json text(const Decimal& value) { return Json::string(value.trimmed().text()); }
Json number(uint64_t value) { return Json::number(std::to_string(value)); }

std::string word(Reason reason) { return reason == Reason::renewal ? "renewal" : "overage"; }

/// What a period includes of a line; 0 where it is not priced.
Decimal included_of(const Catalog& catalog, const Contract& contract, const LineKey& key,
                    Timestamp period_from) {
  for (const Subscription& subscription : contract.subscriptions) {
    if (subscription.name != key.first) continue;
    const RateCard* card = catalog.rate_card(subscription.rate_card, period_from);
    if (card == nullptr) continue;
    for (const Price& price : card->prices) {
      if (price.meter == key.second) return price.included;
    }
  }
  return {};
}

/// Lines beyond their included quantity in every one of the periods; at least one.
std::set<LineKey> beyond_in_all(const Catalog& catalog, const Contract& contract,
                                std::span<const ClosedPeriod> periods) {
  std::set<LineKey> out;
  for (const BookedLine& newest : periods.front().booked.lines) {
    const LineKey key{newest.subscription, newest.meter};
    const auto is_beyond = [&](const ClosedPeriod& period) {
      const BookedLine* line = period.booked.find(key);
      const Decimal included = included_of(catalog, contract, key, period.period.from);
      return line != nullptr && !included.is_zero() && line->quantity > included;
    };
    if (std::all_of(periods.begin(), periods.end(), is_beyond)) out.insert(key);
  }
  return out;
}

Result<Decimal> mean(const Decimal& sum, size_t count, int scale) {
  return to_decimal({to_big(sum.coefficient()), power_of_ten(sum.scale()) * BigInt(count)}, scale);
}

/// Each line of the periods, once.
std::map<LineKey, std::string> units_of(const OpportunityInput& input) {
  std::map<LineKey, std::string> out;
  for (const ClosedPeriod& period : input.periods) {
    for (const BookedLine& line : period.booked.lines) {
      const LineKey key{line.subscription, line.meter};
      if (!input.only || input.only->contains(key)) out.emplace(key, line.unit);
    }
  }
  return out;
}

Result<Json> line_json(const Catalog& catalog, const Contract& contract,
                       const OpportunityInput& input, const LineKey& key, const std::string& unit) {
  Decimal sum;
  for (const ClosedPeriod& period : input.periods) {
    if (const BookedLine* line = period.booked.find(key)) {
      TRY(sum, add(sum, line->quantity));
    }
  }
  const int scale = std::min(sum.scale() + kPlacesMore, Decimal::kScaleMax);
  TRY(const Decimal quantity, mean(sum, input.periods.size(), scale));
  return Json::object(
      {{"subscription", text(key.first)},
       {"meter", text(key.second)},
       {"unit", text(unit)},
       {"quantity", text(quantity)},
       {"included", text(included_of(catalog, contract, key, input.periods.front().period.from))},
       {"periods", number(input.periods.size())}});
}

/// The mean of the bills; nothing where no period was looked at.
Result<std::optional<Decimal>> amount_of(const OpportunityInput& input, int exponent) {
  if (input.periods.empty()) return std::optional<Decimal>();
  Decimal sum;
  for (const ClosedPeriod& period : input.periods) {
    if (!period.total) continue;
    TRY(sum, add(sum, *period.total));
  }
  TRY(const Decimal out, mean(sum, input.periods.size(), exponent));
  return std::optional(out);
}

Result<std::string> describe(const Account& account, const Contract& contract,
                             const OpportunityInput& input) {
  if (input.reason == Reason::renewal) {
    TRY(const std::string end, contract.rule.zone().local_text(input.about));
    return "Contract " + contract.name + " of " + account.legal_name + " ends at " + end;
  }
  std::string lines;
  for (const auto& [key, unit] : units_of(input))
    lines += (lines.empty() ? "" : ", ") + key.second + " of " + key.first;
  const size_t periods = input.periods.size();
  return account.legal_name + " used more than contract " + contract.name + " includes" +
         (periods == 1 ? "" : " in " + std::to_string(periods) + " periods in a row") + ": " +
         lines;
}

Result<std::string> body_of(const Catalog& catalog, const Contract& contract,
                            const AccountRule& rule, const OpportunityInput& input,
                            const DocumentRow& row, const std::optional<Decimal>& amount) {
  const Account* account = catalog.account(contract.account);
  CHECK_INVARIANT(account != nullptr);
  TRY(std::string description, describe(*account, contract, input));
  Json lines = Json::array();
  for (const auto& [key, unit] : units_of(input)) {
    TRY(Json line, line_json(catalog, contract, input, key, unit));
    lines.push(std::move(line));
  }
  return Json::object({{"format", number(1)},
                       {"kind", text(row.kind)},
                       {"id", text(row.id)},
                       {"revision", number(row.revision)},
                       {"tenant", text(row.tenant)},
                       {"account", account_json(*account)},
                       {"contract", text(row.contract)},
                       {"connector", text(row.connector)},
                       {"rule", text(rule.name)},
                       {"reason", text(word(input.reason))},
                       {"description", text(std::move(description))},
                       {"opened_at", text(to_rfc3339(input.opened_at))},
                       {"due_at", text(to_rfc3339(input.due_at))},
                       {"currency", text(row.currency)},
                       {"amount", amount ? Json::string(amount->text()) : Json::null()},
                       {"lines", std::move(lines)},
                       {"catalog", text(catalog.hash().hex())},
                       {"evidence", Json::object({{"log_leaves", number(input.log_leaves)}})}})
      .dump();
}

}  // namespace

Result<std::optional<Period>> renewal_window(const Contract& contract, const AccountRule& rule) {
  if (!contract.until || rule.renewal_days == 0) return std::optional<Period>();
  const TimeZone& zone = contract.rule.zone();
  TRY(const LocalDate end, zone.local_date(*contract.until));
  TRY(const Timestamp opens, zone.start_of_day(LocalDate(std::chrono::sys_days(end) -
                                                         std::chrono::days(rule.renewal_days))));
  return std::optional(Period{opens, *contract.until});
}

std::set<LineKey> repeated_overage(const Catalog& catalog, const Contract& contract,
                                   const AccountRule& rule, std::span<const ClosedPeriod> periods,
                                   std::set<LineKey>& told) {
  const std::set<LineKey> beyond_now = beyond_in_all(catalog, contract, periods.first(1));
  std::erase_if(told, [&](const LineKey& key) { return !beyond_now.contains(key); });
  const auto needed = static_cast<size_t>(rule.overage_periods);
  if (needed == 0 || periods.size() < needed) return {};
  std::set<LineKey> out = beyond_in_all(catalog, contract, periods.first(needed));
  std::erase_if(out, [&](const LineKey& key) { return told.contains(key); });
  told.insert(out.begin(), out.end());
  return out;
}

std::string opportunity_id(std::string_view tenant, std::string_view rule,
                           std::string_view contract, Reason reason, Timestamp about) {
  return document_id_of("op", {std::string(kOpportunity), std::string(tenant), std::string(rule),
                               std::string(contract), word(reason), to_rfc3339(about)});
}

Result<DocumentRow> make_opportunity(const Catalog& catalog, const Contract& contract,
                                     const AccountRule& rule, const OpportunityInput& input) {
  const auto exponent = currency_exponent(contract.currency);
  CHECK_INVARIANT(exponent);
  TRY(const auto amount, amount_of(input, *exponent));
  DocumentRow row;
  row.id = opportunity_id(input.tenant, rule.name, contract.name, input.reason, input.about);
  row.kind = std::string(kOpportunity);
  row.tenant = input.tenant;
  row.account = contract.account;
  row.contract = contract.name;
  row.period_from = input.opened_at;
  row.period_to = input.due_at;
  row.connector = rule.connector;
  row.currency = contract.currency;
  row.total = amount.value_or(Decimal(0, *exponent));
  row.created_at = input.now;
  row.state = DocumentState::approved;
  row.decided_by = "rule";
  row.decided_at = input.now;
  TRY(row.body, body_of(catalog, contract, rule, input, row, amount));
  return row;
}

}  // namespace ledgerline::collector
