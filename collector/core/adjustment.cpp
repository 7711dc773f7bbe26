#include "collector/core/adjustment.h"

#include <algorithm>
#include <tuple>

#include "common/check.h"

namespace ledgerline::collector {

namespace {

/// What makes amounts comparable: the same part of the quantity at the same price.
auto tier_key(const RatedLine& tier) {
  return std::tuple(tier.rate_card, tier.rate_card_version, tier.product, tier.tier_from,
                    tier.tier_to, tier.unit_price);
}
using TierKey = decltype(tier_key(RatedLine()));

Status check_priced(const Catalog& catalog, const Contract& contract, Period period,
                    const BookedLine& line) {
  const auto subscription =
      std::find_if(contract.subscriptions.begin(), contract.subscriptions.end(),
                   [&](const Subscription& one) { return one.name == line.subscription; });
  const RateCard* card = subscription == contract.subscriptions.end()
                             ? nullptr
                             : catalog.rate_card(subscription->rate_card, period.from);
  const bool priced =
      card != nullptr && std::any_of(card->prices.begin(), card->prices.end(),
                                     [&](const Price& price) { return price.meter == line.meter; });
  if (priced) return {};
  return fail(Error(Errc::reject,
                    "a line that was booked is not priced by the catalog any more: put its "
                    "subscription and price back")
                  .with("subscription", line.subscription)
                  .with("meter", line.meter));
}

const BookedLine* find(const std::vector<BookedLine>& lines, const LineKey& key) {
  const auto found = std::find_if(lines.begin(), lines.end(),
                                  [&](const BookedLine& line) { return line.key() == key; });
  return found == lines.end() ? nullptr : &*found;
}

bool same_quantities(const std::vector<BookedLine>& a, const std::vector<BookedLine>& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const BookedLine& line) {
           const BookedLine* other = find(b, line.key());
           return other != nullptr && other->quantity == line.quantity &&
                  other->count == line.count;
         });
}

Result<std::vector<RatedLine>> differences(const std::vector<BookedLine>& booked,
                                           const std::vector<BookedLine>& now) {
  std::vector<RatedLine> out;
  for (const BookedLine& line : now) {
    TRY(const auto lines, difference(find(booked, line.key()), &line));
    out.insert(out.end(), lines.begin(), lines.end());
  }
  for (const BookedLine& line : booked) {
    if (find(now, line.key()) != nullptr) continue;
    TRY(const auto lines, difference(&line, nullptr));
    out.insert(out.end(), lines.begin(), lines.end());
  }
  return out;
}

/// The row that stands for the period from now on, and those for what lies beside it.
std::vector<PeriodRow> divided(const AdjustInput& input, const PeriodDetail& detail) {
  std::vector<PeriodRow> out;
  const PeriodRow& row = input.row;
  const Period period = input.period;
  CHECK_INVARIANT(row.from <= period.from && period.until <= row.to);
  if (row.from < period.from) {
    out.push_back(row);
    out.back().to = period.from;
    ++out.back().revision;
  }
  out.push_back(row);
  PeriodRow& adjusted = out.back();
  adjusted.from = period.from;
  adjusted.to = period.until;
  adjusted.revision = row.from == period.from ? row.revision + 1 : 1;
  adjusted.cursor = input.evidence.log_leaves;
  adjusted.detail = detail.json();
  if (period.until < row.to) {
    out.push_back(row);
    out.back().from = period.until;
    out.back().revision = 1;
  }
  return out;
}

Result<std::optional<DocumentRow>> document_of(const Catalog& catalog, const Contract& contract,
                                               const AdjustInput& input,
                                               std::vector<RatedLine> lines) {
  if (lines.empty()) return std::optional<DocumentRow>();
  Adjusts adjusts{.document = input.detail.original(),
                  .number = input.detail.adjustment_documents() + 1,
                  .booked = {}};
  for (const BookedLine& line : input.detail.lines) adjusts.booked[line.key()] = line.quantity;
  TRY(auto document, make_document(catalog, contract,
                                   {.tenant = input.tenant,
                                    .period = input.period,
                                    .lines = std::move(lines),
                                    .adjusts = std::move(adjusts),
                                    .evidence = input.evidence,
                                    .zone_database = input.zone_database,
                                    .now = input.now}));
  return std::optional(std::move(document));
}

}  // namespace

Result<std::vector<RatedLine>> difference(const BookedLine* booked, const BookedLine* now) {
  std::map<TierKey, RatedLine> tiers;
  if (now != nullptr) {
    for (const RatedLine& tier : now->tiers) tiers[tier_key(tier)] = tier;
  }
  for (const RatedLine& tier : booked != nullptr ? booked->tiers : std::vector<RatedLine>()) {
    const auto [at, is_gone] = tiers.try_emplace(tier_key(tier), tier);
    RatedLine& line = at->second;
    if (is_gone) {
      line.quantity = now != nullptr ? now->quantity : Decimal();
      line.count = now != nullptr ? now->count : 0;
      line.included =
          now != nullptr && !now->tiers.empty() ? now->tiers.front().included : Decimal();
      line.billable_quantity = Decimal();
      line.amount = Decimal(0, tier.amount.scale());
    }
    TRY(line.billable_quantity, subtract(line.billable_quantity, tier.billable_quantity));
    line.billable_quantity = line.billable_quantity.trimmed();
    TRY(line.amount, subtract(line.amount, tier.amount));
  }
  std::vector<RatedLine> out;
  for (const auto& [key, line] : tiers) {
    if (!line.billable_quantity.is_zero() || !line.amount.is_zero()) out.push_back(line);
  }
  return out;
}

Result<AdjustDecision> adjust_period(const Catalog& catalog, const Contract& contract,
                                     const AdjustInput& input) {
  CHECK_INVARIANT(input.row.closed);
  for (const BookedLine& line : input.detail.lines)
    TRY_VOID(check_priced(catalog, contract, input.period, line));
  TRY(auto now, book_usage(catalog, contract, input.period, input.usage));
  AdjustDecision out;
  if (same_quantities(input.detail.lines, now)) {
    out.outcome = "booked and present quantity agree again";
    return out;
  }
  if (input.detail.bookings.size() >= PeriodDetail::kBookingsMax)
    return fail(Errc::reject,
                "the period was adjusted too often: give the contract a longer "
                "adjust_after and find out what is late again and again");
  TRY(auto lines, differences(input.detail.lines, now));
  TRY(out.document, document_of(catalog, contract, input, std::move(lines)));
  out.outcome = "booked; no amount of the period changes";
  if (out.document) {
    out.outcome = "booked as adjustment " + out.document->id + ", " + out.document->total.text() +
                  " " + out.document->currency;
    if (out.document->state == DocumentState::approved)
      out.delivery = new_delivery(*out.document, input.now);
  }
  PeriodDetail detail = input.detail;
  detail.catalog = catalog.hash().hex();
  detail.zone_database = input.zone_database;
  detail.bookings.push_back({out.document ? out.document->id : std::string(), input.now});
  detail.lines = std::move(now);
  out.periods = divided(input, detail);
  return out;
}

}  // namespace ledgerline::collector
