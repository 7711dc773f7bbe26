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
  if (const auto rows = correction_rows_.find(device); rows != correction_rows_.end()) {
    for (const CorrectionRow& row : rows->second) {
      add(row.from);
      add(row.until);
    }
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
  std::set<SubjectTag> others;  // of subjects whose own links lead elsewhere all the time
  bool rest_is_own = false;     // every subject without a link of its own is billed here
  const auto spans = spans_of(grant.device);
  for (const Link& link : catalog_->links()) {
    if (link.device != grant.device) continue;
    const bool own = std::any_of(spans.begin(), spans.end(), [&](const Period& span) {
      return is_subscription(grant.device, link.subject, span.from, key.first);
    });
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
  // What stands before the run declares meters, no more.
  if (!batch.in_run) return {};
  const StreamGrant& grant = batch.stream->grant;
  const BatchContext context{.tenant = grant.tenant,
                             .device = grant.device,
                             .stream = grant.stream,
                             .number = batch.number,
                             .leaf = 0,
                             .received_at = batch.received_at};
  for (const Period& span : spans_of(grant.device)) {
    std::vector<SeriesUsage> implausible;
    TRY(const auto used, read_back(context, batch.disclosed.columns, batch.meters, batch.anchor,
                                   span.from, span.until, &implausible));
    TRY_VOID(add_series(used, span, key, meter, out));
    for (const SeriesUsage& one : implausible) {
      if (counts(one.key, span, key, meter)) implausible_ += one.value.count;
    }
  }
  return {};
}

bool Verification::counts(const SeriesKey& series, Period span, const LineKey& key,
                          const CatalogMeter& meter) const {
  const bool right_kind = series.kind == meter.kind || is_correction(series);
  if (series.meter != meter.name || series.unit != meter.unit || !right_kind) return false;
  if (!is_subscription(series.device, series.subject, span.from, key.first)) return false;
  const auto corrections = corrections_.find(series.device);
  if (corrections == corrections_.end()) return true;
  // A span lies wholly inside or outside every void.
  return !corrections->second.is_withdrawn(series) &&
         !corrections->second.kept(series, span).empty();
}

Status Verification::add_series(const std::vector<SeriesUsage>& used, Period span,
                                const LineKey& key, const CatalogMeter& meter, MeterUsage& out) {
  for (const SeriesUsage& one : used) {
    if (counts(one.key, span, key, meter)) TRY_VOID(out.add(one.value, one.key.scale));
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
                                                     const CloseStatement::Line& line) {
  TRY(BookedLine now, booked(key, line));
  if (!before_) return std::move(now.tiers);
  report_.not_proven.push_back("that the close statement of revision " +
                               std::to_string(before_->revision) + " says what was booked of " +
                               line_name(key) +
                               " before, and that no other document bills the period");
  const auto earlier = std::find_if(
      before_->lines.begin(), before_->lines.end(), [&](const CloseStatement::Line& one) {
        return one.subscription == key.first && one.meter == key.second;
      });
  if (earlier == before_->lines.end()) {
    proven("booked before of " + line_name(key) + ": nothing");
    return difference(nullptr, &now);
  }
  TRY(const BookedLine then, booked(key, *earlier));
  proven("booked before of " + line_name(key) + ": " + earlier->quantity.text() + " " +
         earlier->unit + ", " + earlier->amount.text() + " " + contract_->currency);
  return difference(&then, &now);
}

Status Verification::check_line(const LineKey& key) {
  const CatalogMeter* meter = catalog_->meter(key.second);
  if (meter == nullptr) return fail(refuse("meter " + key.second + " is not among the entries"));
  const auto is_asked = [&](const CloseStatement::Line& one) {
    return one.subscription == key.first && one.meter == key.second;
  };
  const auto& stated = close_.lines;
  if (std::count_if(stated.begin(), stated.end(), is_asked) > 1)
    return fail(refuse("the close statement has several lines for " + line_name(key)));
  const auto found = std::find_if(stated.begin(), stated.end(), is_asked);
  // Nothing is left where an adjustment takes all of it back.
  const bool taken_back = found == stated.end() && before_;
  if (found == stated.end() && !taken_back)
    return fail(refuse("the close statement has no line for " + line_name(key)));
  const CloseStatement::Line closed =
      taken_back ? CloseStatement::Line{key.first, key.second, meter->unit, {}, 0, {}} : *found;
  if (closed.unit != meter->unit)
    return fail(refuse("the close statement has another unit for " + line_name(key)));
  TRY(const MeterUsage used, usage_of(key, *meter));
  const Decimal quantity = used.quantity(meter->aggregation);
  if (quantity != closed.quantity || used.count() != closed.readings) {
    return fail(refuse("the readings shown for " + line_name(key) + " come to " +
                       quantity.trimmed().text() + " in " + std::to_string(used.count()) +
                       " readings, the close statement says " + closed.quantity.text() + " in " +
                       std::to_string(closed.readings)));
  }
  proven("quantity of " + line_name(key) + ": " + quantity.trimmed().text() + " " + meter->unit +
         " (" + std::string(to_string(meter->aggregation)) + " of " + std::to_string(used.count()) +
         " readings in the period, of the devices and subjects "
         "that the mapping gives to the subscription)");
  TRY(const auto lines, to_bill(key, closed));
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
  if (bundle_.question.line == 0 && !before_) {
    for (const CloseStatement::Line& line : close_.lines) {
      if (line.quantity.is_zero() || keys.contains({line.subscription, line.meter})) continue;
      return fail(refuse("the document leaves out " + line_name({line.subscription, line.meter}) +
                         ", which the close statement has"));
    }
  }
  for (const LineKey& key : keys) TRY_VOID(check_line(key));
  if (implausible_ > 0) {
    report_.not_proven.push_back(
        "why " + std::to_string(implausible_) +
        " readings of these lines do not count: they are dated more than a day after the time of "
        "receipt, which is the collector's word");
  }
  return {};
}

}  // namespace ledgerline::collector
