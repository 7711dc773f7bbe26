#include "collector/core/commerce.h"

#include <algorithm>

#include "collector/core/correction.h"
#include "collector/core/currency.h"
#include "collector/core/exceptions.h"
#include "common/check.h"
#include "common/json.h"

namespace ledgerline::collector {

namespace {

Json text(std::string value) { return Json::string(std::move(value)); }

struct Rated {
  std::vector<RatedLine> lines;
  std::vector<BookedLine> booked;
};

Result<Rated> rate_subscription(const Catalog& catalog, const Subscription& subscription,
                                const CloseInput& input, int exponent) {
  Rated out;
  const RateCard* card = catalog.rate_card(subscription.rate_card, input.period.from);
  CHECK_INVARIANT(card != nullptr);  // the catalog refuses a card that begins after the contract
  for (const Price& price : card->prices) {
    const auto used = input.usage.find({subscription.name, price.meter});
    if (used == input.usage.end()) continue;
    const CatalogMeter* meter = catalog.meter(price.meter);
    CHECK_INVARIANT(meter != nullptr);
    const RatingInput rating{.subscription = subscription.name,
                             .meter = price.meter,
                             .unit = meter->unit,
                             .quantity = used->second.quantity(meter->aggregation),
                             .count = used->second.count()};
    TRY(const auto lines, rate(rating, *card, price, exponent));
    out.lines.insert(out.lines.end(), lines.begin(), lines.end());
    if (rating.count != 0) {
      out.booked.push_back({rating.subscription, rating.meter, rating.unit,
                            rating.quantity.trimmed(), rating.count});
    }
  }
  return out;
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

Result<BookedLine> parse_line(const Json& json) {
  BookedLine line;
  TRY(line.subscription, member(json, "subscription"));
  TRY(line.meter, member(json, "meter"));
  TRY(line.unit, member(json, "unit"));
  TRY(const std::string quantity, member(json, "quantity"));
  TRY(line.quantity, Decimal::parse(quantity));
  TRY(const std::string readings, member(json, "readings"));
  if (readings.empty() || readings.size() > 19 ||
      readings.find_first_not_of("0123456789") != std::string::npos) {
    return not_a_detail();
  }
  line.count = std::stoull(readings);
  return line;
}

}  // namespace

std::string_view series_fault(const Catalog& catalog, const SeriesKey& key) {
  const CatalogMeter* meter = catalog.meter(key.meter);
  if (meter == nullptr) return exception_kind::kUnknownMeter;
  // A correction is of a meter, however the meter's readings are taken.
  const bool right_kind = meter->kind == key.kind || is_correction(key);
  if (meter->unit != key.unit || !right_kind) return exception_kind::kWrongUnit;
  return {};
}

std::optional<Period> period_from(const Contract& contract, Timestamp from) {
  if (contract.until && from >= *contract.until) return std::nullopt;
  const auto regular = contract.rule.containing(from);
  if (!regular) return std::nullopt;
  return Period{from, contract.until ? std::min(regular->until, *contract.until) : regular->until};
}

std::string PeriodDetail::json() const {
  Json booked = Json::array();
  for (const BookedLine& line : lines) {
    booked.push(Json::object({{"subscription", text(line.subscription)},
                              {"meter", text(line.meter)},
                              {"unit", text(line.unit)},
                              {"quantity", text(line.quantity.text())},
                              {"readings", Json::number(std::to_string(line.count))}}));
  }
  return Json::object({{"format", Json::number(1)},
                       {"catalog", text(catalog)},
                       {"zone_database", text(zone_database)},
                       {"document", document.empty() ? Json::null() : text(document)},
                       {"lines", std::move(booked)}})
      .dump();
}

Result<PeriodDetail> PeriodDetail::parse(std::string_view json) {
  const auto parsed = parse_json(json);
  if (!parsed || !parsed->is(Json::Kind::object)) return not_a_detail();
  PeriodDetail out;
  TRY(out.catalog, member(*parsed, "catalog"));
  TRY(out.zone_database, member(*parsed, "zone_database"));
  const Json* document = parsed->find("document");
  if (document == nullptr) return not_a_detail();
  if (document->is(Json::Kind::string)) out.document = document->text();
  const Json* lines = parsed->find("lines");
  if (lines == nullptr || !lines->is(Json::Kind::array)) return not_a_detail();
  for (const Json& line : lines->items()) {
    TRY(BookedLine booked, parse_line(line));
    out.lines.push_back(std::move(booked));
  }
  return out;
}

const BookedLine* PeriodDetail::find(const LineKey& key) const {
  const auto found = std::find_if(lines.begin(), lines.end(), [&](const BookedLine& line) {
    return line.subscription == key.first && line.meter == key.second;
  });
  return found == lines.end() ? nullptr : &*found;
}

Result<CloseDecision> close_period(const Catalog& catalog, const Contract& contract,
                                   const CloseInput& input) {
  const auto exponent = currency_exponent(contract.currency);
  CHECK_INVARIANT(exponent);
  DocumentInput document{.tenant = input.tenant,
                         .period = input.period,
                         .lines = {},
                         .evidence = input.evidence,
                         .zone_database = input.zone_database,
                         .now = input.now};
  PeriodDetail detail{.catalog = catalog.hash().hex(),
                      .zone_database = input.zone_database,
                      .document = {},
                      .lines = {}};
  for (const Subscription& subscription : contract.subscriptions) {
    auto rated = rate_subscription(catalog, subscription, input, *exponent);
    if (!rated) return fail(std::move(rated.error()).with("subscription", subscription.name));
    document.lines.insert(document.lines.end(), rated->lines.begin(), rated->lines.end());
    detail.lines.insert(detail.lines.end(), rated->booked.begin(), rated->booked.end());
  }

  CloseDecision out;
  if (!document.lines.empty()) {
    TRY(out.document, make_document(catalog, contract, document));
    if (out.document->state == DocumentState::approved)
      out.delivery = new_delivery(*out.document, input.now);
    detail.document = out.document->id;
  }
  out.period.tenant = input.tenant;
  out.period.contract = contract.name;
  out.period.from = input.period.from;
  out.period.to = input.period.until;
  out.period.revision = 1;
  out.period.closed = true;
  out.period.closed_at = input.now;
  out.period.cursor = input.evidence.log_leaves;
  out.period.detail = detail.json();
  return out;
}

Result<ExceptionUpsert> late_exception(const LateInput& input) {
  const Decimal booked = input.booked != nullptr ? input.booked->quantity : Decimal();
  const uint64_t booked_count = input.booked != nullptr ? input.booked->count : 0;
  ExceptionUpsert out;
  out.row = new_exception(exception_kind::kLate,
                          {input.tenant, input.contract, to_rfc3339(input.period.from),
                           input.key.first, input.key.second},
                          input.tenant, input.now);
  out.row.meter = input.key.second;
  out.row.contract = input.contract;
  out.row.document = input.document;
  out.row.unit = input.unit;
  TRY(const Decimal difference, subtract(input.quantity, booked));
  out.row.value = difference.trimmed();
  out.row.count =
      input.count > booked_count ? input.count - booked_count : booked_count - input.count;
  const std::string period =
      to_rfc3339(input.period.from) + " to " + to_rfc3339(input.period.until);
  if (out.row.value.is_zero() && out.row.count == 0) {
    out.mode = UpsertMode::clear;
    out.row.detail = "booked and present quantity agree again";
    return out;
  }
  out.mode = UpsertMode::replace;
  out.row.detail = "subscription " + input.key.first + ", period " + period + ": booked " +
                   booked.trimmed().text() + " of " + std::to_string(booked_count) +
                   " readings, now " + input.quantity.trimmed().text() + " of " +
                   std::to_string(input.count);
  return out;
}

ExceptionUpsert uncompared_exception(const std::string& tenant, const std::string& contract,
                                     Period period, const std::optional<std::string>& fault,
                                     Timestamp now) {
  ExceptionUpsert out{UpsertMode::clear,
                      new_exception(exception_kind::kLate,
                                    {tenant, contract, to_rfc3339(period.from)}, tenant, now)};
  out.row.detail = "booked and present quantities can be compared again";
  if (!fault) return out;
  out.mode = UpsertMode::replace;
  out.row.contract = contract;
  out.row.count = 1;
  out.row.detail = "period " + to_rfc3339(period.from) + " to " + to_rfc3339(period.until) +
                   ": what is booked cannot be compared with what is there: " + *fault;
  return out;
}

std::vector<ExceptionUpsert> uncounted_exceptions(const UncountedInput& input) {
  std::vector<ExceptionUpsert> out;
  const SeriesKey& key = input.series.key;
  for (const std::string_view kind : {exception_kind::kUnknownMeter, exception_kind::kWrongUnit,
                                      exception_kind::kUnmappedSubject}) {
    ExceptionUpsert upsert;
    upsert.row =
        new_exception(kind, {key.tenant, std::to_string(input.series.id)}, key.tenant, input.now);
    upsert.row.device = key.device;
    upsert.row.subject = key.subject;
    upsert.row.meter = key.meter;
    upsert.row.series = input.series.id;
    upsert.row.unit = key.unit;
    if (kind == input.kind) {
      upsert.mode = UpsertMode::replace;
      upsert.row.count = input.usage.count;
      upsert.row.value = Decimal(input.usage.sum, key.scale);
      upsert.row.detail = input.detail;
    } else {
      upsert.mode = UpsertMode::clear;
      upsert.row.detail = "all usage of the series is counted, or is in another exception";
    }
    out.push_back(std::move(upsert));
  }
  return out;
}

std::vector<ExceptionUpsert> silence_exceptions(const std::string& tenant, const Contract& contract,
                                                Period period, const std::vector<DeviceNeed>& needs,
                                                const std::vector<Waiting>& waiting,
                                                Timestamp now) {
  std::vector<ExceptionUpsert> out;
  const bool overdue = now >= period.until + contract.grace + contract.silence;
  for (const DeviceNeed& need : needs) {
    ExceptionUpsert upsert;
    upsert.row =
        new_exception(exception_kind::kSilentDevice,
                      {tenant, contract.name, need.device, to_rfc3339(period.from)}, tenant, now);
    upsert.row.device = need.device;
    upsert.row.contract = contract.name;
    const auto cause = std::find_if(waiting.begin(), waiting.end(),
                                    [&](const Waiting& one) { return one.device == need.device; });
    if (cause == waiting.end()) {
      upsert.mode = UpsertMode::clear;
      upsert.row.detail = "the contract's periods do not wait for the device any more";
    } else if (overdue) {
      upsert.mode = UpsertMode::replace;
      upsert.row.count = 1;
      upsert.row.detail = "the period " + to_rfc3339(period.from) + " to " +
                          to_rfc3339(period.until) + " cannot close: " + cause->text() +
                          ". To close it without: ledgerline-collector gaps accept " + need.device +
                          " --from " + to_rfc3339(missing_from(need, *cause)) + " --until " +
                          to_rfc3339(need.required);
    } else {
      continue;
    }
    out.push_back(std::move(upsert));
  }
  return out;
}

}  // namespace ledgerline::collector
