#include "collector/core/booking.h"

#include <algorithm>

#include "collector/core/currency.h"
#include "common/check.h"
#include "common/json.h"

namespace ledgerline::collector {

namespace {

constexpr int64_t kFormat = 2;

Json text(std::string value) { return Json::string(std::move(value)); }
Json text(const Decimal& value) { return Json::string(value.text()); }

Json tier_json(const RatedLine& tier) {
  return Json::object({{"product", text(tier.product)},
                       {"description", text(tier.description)},
                       {"included", text(tier.included)},
                       {"from", text(tier.tier_from)},
                       {"to", tier.tier_to ? text(*tier.tier_to) : Json::null()},
                       {"billable_quantity", text(tier.billable_quantity)},
                       {"unit_price", text(tier.unit_price)},
                       {"amount", text(tier.amount)}});
}

Json line_json(const BookedLine& line) {
  Json tiers = Json::array();
  for (const RatedLine& tier : line.tiers) tiers.push(tier_json(tier));
  return Json::object(
      {{"subscription", text(line.subscription)},
       {"meter", text(line.meter)},
       {"unit", text(line.unit)},
       {"quantity", text(line.quantity)},
       {"readings", Json::number(std::to_string(line.count))},
       {"rate_card", Json::object({{"name", text(line.rate_card)},
                                   {"version", Json::number(line.rate_card_version)}})},
       {"tiers", std::move(tiers)}});
}

tl::unexpected<Error> not_a_detail() {
  return fail(Errc::corrupt, "a period's detail does not parse");
}

Result<std::string> member(const Json& object, std::string_view name) {
  const Json* found = object.find(name);
  if (found == nullptr || (!found->is(Json::Kind::string) && !found->is(Json::Kind::number)))
    return not_a_detail();
  return found->text();
}

Result<Decimal> decimal(const Json& object, std::string_view name) {
  TRY(const std::string digits, member(object, name));
  auto value = Decimal::parse(digits);
  if (!value) return not_a_detail();
  return *value;
}

Result<uint64_t> natural(const Json& object, std::string_view name) {
  TRY(const std::string digits, member(object, name));
  if (digits.empty() || digits.size() > 18 ||
      digits.find_first_not_of("0123456789") != std::string::npos)
    return not_a_detail();
  return std::stoull(digits);
}

/// Empty for null.
Result<std::string> optional_member(const Json& object, std::string_view name) {
  const Json* found = object.find(name);
  if (found != nullptr && found->is(Json::Kind::null)) return std::string();
  return member(object, name);
}

Result<std::vector<Json>> items(const Json& object, std::string_view name) {
  const Json* found = object.find(name);
  if (found == nullptr || !found->is(Json::Kind::array)) return not_a_detail();
  return found->items();
}

Result<RatedLine> parse_tier(const BookedLine& line, const Json& json) {
  RatedLine out;
  out.subscription = line.subscription;
  out.meter = line.meter;
  out.unit = line.unit;
  out.quantity = line.quantity;
  out.count = line.count;
  out.rate_card = line.rate_card;
  out.rate_card_version = line.rate_card_version;
  TRY(out.product, member(json, "product"));
  TRY(out.description, member(json, "description"));
  TRY(out.included, decimal(json, "included"));
  TRY(out.tier_from, decimal(json, "from"));
  TRY(const std::string to, optional_member(json, "to"));
  if (!to.empty()) {
    TRY(out.tier_to, decimal(json, "to"));
  }
  TRY(out.billable_quantity, decimal(json, "billable_quantity"));
  TRY(out.unit_price, decimal(json, "unit_price"));
  TRY(out.amount, decimal(json, "amount"));
  return out;
}

Result<BookedLine> parse_line(const Json& json) {
  BookedLine line;
  TRY(line.subscription, member(json, "subscription"));
  TRY(line.meter, member(json, "meter"));
  TRY(line.unit, member(json, "unit"));
  TRY(line.quantity, decimal(json, "quantity"));
  TRY(line.count, natural(json, "readings"));
  const Json* card = json.find("rate_card");
  if (card == nullptr) return not_a_detail();
  TRY(line.rate_card, member(*card, "name"));
  TRY(const uint64_t version, natural(*card, "version"));
  line.rate_card_version = static_cast<int64_t>(version);
  TRY(const auto tiers, items(json, "tiers"));
  for (const Json& tier : tiers) {
    TRY(RatedLine parsed, parse_tier(line, tier));
    line.tiers.push_back(std::move(parsed));
  }
  return line;
}

Result<Booking> parse_booking(const Json& json) {
  Booking out;
  TRY(out.document, optional_member(json, "document"));
  TRY(const std::string at, member(json, "at"));
  const auto parsed = parse_rfc3339(at);
  if (!parsed) return not_a_detail();
  out.at = *parsed;
  return out;
}

Status book_subscription(const Catalog& catalog, const Subscription& subscription, Period period,
                         const PeriodUsage& usage, int exponent, std::vector<BookedLine>& out) {
  const RateCard* card = catalog.rate_card(subscription.rate_card, period.from);
  if (card == nullptr) return {};  // nothing of it is priced, so usage holds none of it
  for (const Price& price : card->prices) {
    const auto used = usage.find({subscription.name, price.meter});
    if (used == usage.end() || used->second.count() == 0) continue;
    const CatalogMeter* meter = catalog.meter(price.meter);
    CHECK_INVARIANT(meter != nullptr);
    const RatingInput rating{.subscription = subscription.name,
                             .meter = price.meter,
                             .unit = meter->unit,
                             .quantity = used->second.quantity(meter->aggregation),
                             .count = used->second.count()};
    TRY(auto tiers, rate(rating, *card, price, exponent));
    out.push_back({.subscription = rating.subscription,
                   .meter = rating.meter,
                   .unit = rating.unit,
                   .quantity = rating.quantity.trimmed(),
                   .count = rating.count,
                   .rate_card = card->name,
                   .rate_card_version = card->version,
                   .tiers = std::move(tiers)});
  }
  return {};
}

}  // namespace

Result<Decimal> BookedLine::amount() const {
  Decimal out;
  for (const RatedLine& tier : tiers) {
    TRY(out, add(out, tier.amount));
  }
  return out;
}

std::string PeriodDetail::json() const {
  Json booked = Json::array();
  for (const BookedLine& line : lines) booked.push(line_json(line));
  Json when = Json::array();
  for (const Booking& booking : bookings) {
    when.push(Json::object(
        {{"document", booking.document.empty() ? Json::null() : text(booking.document)},
         {"at", text(to_rfc3339(booking.at))}}));
  }
  return Json::object({{"format", Json::number(kFormat)},
                       {"catalog", text(catalog)},
                       {"zone_database", text(zone_database)},
                       {"bookings", std::move(when)},
                       {"lines", std::move(booked)}})
      .dump();
}

Result<PeriodDetail> PeriodDetail::parse(std::string_view json) {
  const auto parsed = parse_json(json);
  if (!parsed || !parsed->is(Json::Kind::object)) return not_a_detail();
  TRY(const uint64_t format, natural(*parsed, "format"));
  if (format != kFormat) return not_a_detail();
  PeriodDetail out;
  TRY(out.catalog, member(*parsed, "catalog"));
  TRY(out.zone_database, member(*parsed, "zone_database"));
  TRY(const auto bookings, items(*parsed, "bookings"));
  for (const Json& booking : bookings) {
    TRY(Booking one, parse_booking(booking));
    out.bookings.push_back(std::move(one));
  }
  if (out.bookings.empty()) return not_a_detail();
  TRY(const auto lines, items(*parsed, "lines"));
  for (const Json& line : lines) {
    TRY(BookedLine booked, parse_line(line));
    out.lines.push_back(std::move(booked));
  }
  return out;
}

const BookedLine* PeriodDetail::find(const LineKey& key) const {
  const auto found = std::find_if(lines.begin(), lines.end(),
                                  [&](const BookedLine& line) { return line.key() == key; });
  return found == lines.end() ? nullptr : &*found;
}

size_t PeriodDetail::adjustment_documents() const {
  return static_cast<size_t>(
      std::count_if(bookings.begin() + 1, bookings.end(),
                    [](const Booking& booking) { return !booking.document.empty(); }));
}

Result<std::vector<BookedLine>> book_usage(const Catalog& catalog, const Contract& contract,
                                           Period period, const PeriodUsage& usage) {
  const auto exponent = currency_exponent(contract.currency);
  CHECK_INVARIANT(exponent);
  std::vector<BookedLine> out;
  for (const Subscription& subscription : contract.subscriptions) {
    auto status = book_subscription(catalog, subscription, period, usage, *exponent, out);
    if (!status) return fail(std::move(status.error()).with("subscription", subscription.name));
  }
  return out;
}

Period named_period(const Contract& contract, const PeriodRow& row, const PeriodDetail& detail,
                    Timestamp t) {
  const Period whole{row.from, row.to};
  if (!detail.lines.empty()) return whole;
  const auto regular = contract.rule.containing(t);
  if (!regular) return whole;
  return {std::max(regular->from, whole.from), std::min(regular->until, whole.until)};
}

}  // namespace ledgerline::collector
