// What it comes to: usage of the period, rating, the document's lines.
#include <algorithm>
#include <set>

#include "collector/core/currency.h"
#include "collector/core/folding.h"
#include "collector/core/verification.h"

namespace ledgerline::collector {

namespace {

Error refuse(std::string what) { return Error(Errc::corrupt, std::move(what)); }

std::string member_text(const Json& json, std::string_view name) {
  const Json* value = json.find(name);
  return value == nullptr ? std::string() : value->text();
}

bool same_decimal(const Json& line, std::string_view name, const Decimal& value) {
  const auto stated = Decimal::parse(member_text(line, name));
  return stated && *stated == value;
}

std::string line_name(const LineKey& key) { return key.first + ", " + key.second; }

}  // namespace

bool Verification::is_subscription(const std::string& device, const std::string& subject,
                                   Timestamp t, const std::string& subscription) const {
  const Link* link = mapping_->resolve(device, subject, t);
  return link != nullptr && link->subscription == subscription;
}

std::vector<Period> Verification::spans_of(const std::string& device) const {
  std::set<Timestamp> cuts{close_.period.from, close_.period.until};
  const auto add = [&](Timestamp t) {
    if (close_.period.from < t && t < close_.period.until) cuts.insert(t);
  };
  for (const Link& link : catalog_->links()) {
    if (link.device != device) continue;
    add(link.from);
    if (link.until) add(*link.until);
  }
  for (const CorrectionRow& row : correction_rows_) {
    if (row.device != device) continue;
    add(row.from);
    add(row.until);
  }
  std::vector<Period> out;
  for (auto at = cuts.begin(); std::next(at) != cuts.end(); ++at)
    out.push_back({*at, *std::next(at)});
  return out;
}

/// A section that is left out must be of a subject that this line does not bill.
Status Verification::check_withheld(const Batch& batch, const LineKey& key) {
  if (batch.disclosed.withheld.empty() || !batch.in_run) return {};
  const StreamGrant& grant = batch.stream->grant;
  const auto refused = [&](const std::string& whose) {
    return fail(refuse("a section of batch " + std::to_string(batch.number) + " of device " +
                       grant.device + " is withheld, but " + whose));
  };
  std::set<SubjectTag> others;  // of subjects whose own links lead elsewhere
  bool rest_is_own = false;     // every subject without a link of its own is billed here
  for (const Link& link : catalog_->links()) {
    if (link.device != grant.device) continue;
    const bool own = link.subscription == key.first;
    if (link.subject == kEverySubject) {
      rest_is_own = rest_is_own || own;
      continue;
    }
    const SubjectTag tag = subject_tag(grant.stream, link.subject);
    const auto& withheld = batch.disclosed.withheld;
    if (own && std::find(withheld.begin(), withheld.end(), tag) != withheld.end())
      return refused("subject \"" + link.subject + "\" is billed in this line");
    if (!own) others.insert(tag);
  }
  for (const SubjectTag& tag : batch.disclosed.withheld) {
    if (rest_is_own && !others.contains(tag))
      return refused("the line bills every subject that no other link names");
  }
  return {};
}

Status Verification::add_batch(const Batch& batch, const LineKey& key, const CatalogMeter& meter,
                               MeterUsage& out) {
  const StreamGrant& grant = batch.stream->grant;
  const BatchContext context{.tenant = grant.tenant,
                             .device = grant.device,
                             .stream = grant.stream,
                             .number = batch.number,
                             .leaf = 0,
                             .received_at = batch.received_at};
  for (const Period& span : spans_of(grant.device)) {
    TRY(const auto used, read_back(context, batch.disclosed.columns, batch.meters, batch.anchor,
                                   span.from, span.until));
    TRY_VOID(add_series(used, span, key, meter, out));
  }
  return {};
}

Status Verification::add_series(const std::vector<SeriesUsage>& used, Period span,
                                const LineKey& key, const CatalogMeter& meter, MeterUsage& out) {
  for (const SeriesUsage& one : used) {
    const SeriesKey& series = one.key;
    // A span lies wholly inside or outside every void.
    const bool counts =
        series.meter == meter.name && series.unit == meter.unit && series.kind == meter.kind &&
        is_subscription(series.device, series.subject, span.from, key.first) &&
        !corrections_->is_withdrawn(series) && !corrections_->kept(series, span).empty();
    if (counts) TRY_VOID(out.add(one.value, series.scale));
  }
  return {};
}

Result<MeterUsage> Verification::usage_of(const LineKey& key, const CatalogMeter& meter) {
  MeterUsage out;
  for (const Batch& batch : batches_) {
    TRY_VOID(check_withheld(batch, key));
    TRY_VOID(add_batch(batch, key, meter, out));
  }
  for (const SeriesUsage& one : added_) {
    const Period instant{one.earliest, one.earliest + Duration(1)};
    const bool inside = close_.period.from <= one.earliest && one.earliest < close_.period.until;
    if (inside) TRY_VOID(add_series({one}, instant, key, meter, out));
  }
  return out;
}

Result<BookedLine> Verification::booked(const LineKey& key,
                                        const CloseStatement::Line& line) const {
  const auto subscription =
      std::find_if(contract_->subscriptions.begin(), contract_->subscriptions.end(),
                   [&](const Subscription& one) { return one.name == key.first; });
  if (subscription == contract_->subscriptions.end())
    return fail(refuse("subscription " + key.first + " is not the contract's"));
  const RateCard* card = catalog_->rate_card(subscription->rate_card, close_.period.from);
  if (card == nullptr) return fail(refuse("no price of " + line_name(key) + " was in force"));
  const auto price = std::find_if(card->prices.begin(), card->prices.end(),
                                  [&](const Price& one) { return one.meter == key.second; });
  if (price == card->prices.end())
    return fail(refuse("no price of " + line_name(key) + " was in force"));
  const auto exponent = currency_exponent(contract_->currency);
  if (!exponent) return fail(refuse("the contract's currency is unknown"));
  BookedLine out{.subscription = key.first,
                 .meter = key.second,
                 .unit = line.unit,
                 .quantity = line.quantity,
                 .count = line.readings,
                 .rate_card = card->name,
                 .rate_card_version = card->version,
                 .tiers = {}};
  TRY(out.tiers, rate({.subscription = key.first,
                       .meter = key.second,
                       .unit = line.unit,
                       .quantity = line.quantity,
                       .count = line.readings},
                      *card, *price, *exponent));
  TRY(const Decimal amount, out.amount());
  if (amount != line.amount) {
    return fail(refuse("the price of " + line_name(key) + " gives " + amount.text() +
                       ", the close statement says " + line.amount.text()));
  }
  return out;
}

Result<std::vector<RatedLine>> Verification::to_bill(const LineKey& key,
                                                     const CloseStatement::Line& line) const {
  TRY(BookedLine now, booked(key, line));
  if (!before_) return std::move(now.tiers);
  const auto earlier = std::find_if(
      before_->lines.begin(), before_->lines.end(), [&](const CloseStatement::Line& one) {
        return one.subscription == key.first && one.meter == key.second;
      });
  if (earlier == before_->lines.end()) return difference(nullptr, &now);
  TRY(const BookedLine then, booked(key, *earlier));
  return difference(&then, &now);
}

Status Verification::compare_lines(const LineKey& key, const std::vector<RatedLine>& lines) {
  std::vector<const Json*> stated;
  const Json* all = document_.find("lines");
  if (all == nullptr) return fail(refuse("the document has no lines"));
  for (const Json& line : all->items()) {
    if (member_text(line, "subscription") == key.first && member_text(line, "meter") == key.second)
      stated.push_back(&line);
  }
  if (stated.size() != lines.size())
    return fail(refuse("the document has another number of lines for " + line_name(key) +
                       " than its price has tiers in use"));
  for (size_t i = 0; i < lines.size(); ++i) {
    const RatedLine& line = lines[i];
    const bool same = same_decimal(*stated[i], "billable_quantity", line.billable_quantity) &&
                      same_decimal(*stated[i], "unit_price", line.unit_price) &&
                      same_decimal(*stated[i], "amount", line.amount) &&
                      member_text(*stated[i], "product") == line.product;
    if (!same) {
      return fail(refuse("line " + member_text(*stated[i], "number") + " of the document is " +
                         member_text(*stated[i], "billable_quantity") + " x " +
                         member_text(*stated[i], "unit_price") + " = " +
                         member_text(*stated[i], "amount") + ", but the evidence comes to " +
                         line.billable_quantity.text() + " x " + line.unit_price.text() + " = " +
                         line.amount.text()));
    }
    proven("line " + member_text(*stated[i], "number") + ": " + line.billable_quantity.text() +
           " " + line.unit + " x " + line.unit_price.text() + " " + contract_->currency + " = " +
           line.amount.text() + " " + contract_->currency + " (rate card " + line.rate_card +
           ", version " + std::to_string(line.rate_card_version) + ", tier from " +
           line.tier_from.text() + ")");
  }
  return {};
}

Status Verification::check_line(const LineKey& key) {
  const auto closed =
      std::find_if(close_.lines.begin(), close_.lines.end(), [&](const CloseStatement::Line& one) {
        return one.subscription == key.first && one.meter == key.second;
      });
  if (closed == close_.lines.end())
    return fail(refuse("the close statement has no line for " + line_name(key)));
  const CatalogMeter* meter = catalog_->meter(key.second);
  if (meter == nullptr) return fail(refuse("meter " + key.second + " is not among the entries"));
  TRY(const MeterUsage used, usage_of(key, *meter));
  const Decimal quantity = used.quantity(meter->aggregation);
  if (quantity != closed->quantity || used.count() != closed->readings) {
    return fail(refuse("the readings shown for " + line_name(key) + " come to " +
                       quantity.trimmed().text() + " in " + std::to_string(used.count()) +
                       " readings, the close statement says " + closed->quantity.text() + " in " +
                       std::to_string(closed->readings)));
  }
  proven("quantity of " + line_name(key) + ": " + quantity.trimmed().text() + " " + meter->unit +
         " (" + std::string(to_string(meter->aggregation)) + " of " + std::to_string(used.count()) +
         " readings in the period, of the devices and subjects "
         "that the mapping gives to the subscription)");
  TRY(const auto lines, to_bill(key, *closed));
  return compare_lines(key, lines);
}

Status Verification::check_lines() {
  const Json* lines = document_.find("lines");
  if (lines == nullptr) return fail(refuse("the document has no lines"));
  std::set<LineKey> keys;
  for (const Json& line : lines->items()) {
    const bool asked = bundle_.question.line == 0 ||
                       member_text(line, "number") == std::to_string(bundle_.question.line);
    if (asked) keys.insert({member_text(line, "subscription"), member_text(line, "meter")});
  }
  if (keys.empty()) return fail(refuse("the document has no such line"));
  for (const LineKey& key : keys) TRY_VOID(check_line(key));
  return {};
}

}  // namespace ledgerline::collector
