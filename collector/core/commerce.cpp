#include "collector/core/commerce.h"

#include <algorithm>

#include "collector/core/correction.h"
#include "collector/core/exceptions.h"

namespace ledgerline::collector {

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

Result<CloseDecision> close_period(const Catalog& catalog, const Contract& contract,
                                   const CloseInput& input) {
  PeriodDetail detail{.catalog = catalog.hash().hex(),
                      .zone_database = input.zone_database,
                      .bookings = {{.document = {}, .at = input.now}},
                      .lines = {}};
  TRY(detail.lines, book_usage(catalog, contract, input.period, input.usage));
  DocumentInput document{.tenant = input.tenant,
                         .period = input.period,
                         .lines = {},
                         .adjusts = {},
                         .evidence = input.evidence,
                         .zone_database = input.zone_database,
                         .now = input.now};
  for (const BookedLine& line : detail.lines)
    document.lines.insert(document.lines.end(), line.tiers.begin(), line.tiers.end());

  CloseDecision out;
  if (!document.lines.empty()) {
    TRY(out.document, make_document(catalog, contract, document));
    if (out.document->state == DocumentState::approved)
      out.delivery = new_delivery(*out.document, input.now);
    detail.bookings.front().document = out.document->id;
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
                           input.key.first, input.key.second, std::to_string(input.adjustments)},
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
