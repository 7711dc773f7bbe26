#include "collector/core/correction.h"

#include <algorithm>
#include <limits>

#include "collector/core/exceptions.h"
#include "common/check.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kMeterNameSizeMax = 128;
constexpr size_t kUnitSizeMax = 32;

Json text(const std::string& value) { return Json::string(value); }
Json time_or_null(const std::optional<Timestamp>& value) {
  return value ? text(to_rfc3339(*value)) : Json::null();
}

std::optional<CorrectionAction> action_of(std::string_view word) {
  for (const auto action :
       {CorrectionAction::add, CorrectionAction::void_usage, CorrectionAction::withdraw}) {
    if (word == to_string(action)) return action;
  }
  return std::nullopt;
}

bool fits_reading(const Decimal& value) {
  const Decimal trimmed = value.trimmed();
  return !trimmed.is_zero() && trimmed.coefficient() <= std::numeric_limits<int64_t>::max() &&
         trimmed.coefficient() >= std::numeric_limits<int64_t>::min();
}

/// Which members each action has.
void check_shape(const Correction& correction, StatementReader& in) {
  const bool adds = correction.action == CorrectionAction::add;
  const bool withdraws = correction.action == CorrectionAction::withdraw;
  if (adds != correction.value.has_value() || (adds && !fits_reading(*correction.value)))
    in.fault("value", adds ? "a value other than 0 that fits a reading" : "null");
  if (withdraws != correction.withdraws.has_value())
    in.fault("withdraws", withdraws ? "the id of a correction" : "null");
  if (adds && correction.until) in.fault("until", "null");
  if (correction.action == CorrectionAction::void_usage && !correction.until)
    in.fault("until", "a time");
  if (correction.until && *correction.until <= correction.from)
    in.fault("until", "a time after from");
}

void check_sizes(const Correction& correction, StatementReader& in) {
  const auto check = [&](std::string_view name, const std::string& value, size_t size_max,
                         bool may_be_empty = false) {
    if (value.size() > size_max || (value.empty() && !may_be_empty))
      in.fault(name, "1 to " + std::to_string(size_max) + " bytes");
  };
  check("tenant", correction.tenant, kNameSizeMax);
  check("device", correction.device, kNameSizeMax);
  check("subject", correction.subject, Correction::kTextSizeMax, true);
  check("meter", correction.meter, kMeterNameSizeMax);
  check("unit", correction.unit, kUnitSizeMax);
  check("by", correction.by, kNameSizeMax);
  check("reason", correction.reason, Correction::kTextSizeMax);
  if (correction.references.size() > Correction::kReferencesMax)
    in.fault("references", "at most " + std::to_string(Correction::kReferencesMax));
  for (const std::string& reference : correction.references)
    check("references", reference, Correction::kTextSizeMax);
}

std::optional<Timestamp> optional_time(StatementReader& in, std::string_view name) {
  const auto value = in.optional_text(name);
  if (!value) return std::nullopt;
  const auto time = parse_rfc3339(*value);
  if (time) return *time;
  in.fault(name, "a time in RFC 3339 or null");
  return std::nullopt;
}

std::optional<Decimal> optional_decimal(StatementReader& in, std::string_view name) {
  const auto value = in.optional_text(name);
  if (!value) return std::nullopt;
  const auto decimal = Decimal::parse(*value);
  if (decimal) return *decimal;
  in.fault(name, "a decimal as text or null");
  return std::nullopt;
}

bool is_plausible(Timestamp time, Timestamp at) {
  return time >= kEarliestPlausible && time <= at + kAheadMax;
}

/// The reading of an add, at the scale that its value needs. Its place among all readings is its
/// own, so that the last of several is the same in any order.
SeriesUsage reading_of(const Correction& correction, const Digest& id) {
  const Decimal value = correction.value->trimmed();
  SeriesUsage out;
  out.key = {.tenant = correction.tenant,
             .device = correction.device,
             .subject = correction.subject,
             .meter = correction.meter,
             .unit = correction.unit,
             .scale = value.scale(),
             .kind = MeterKind::delta,
             .definition_version = 0,
             .dimensions = {{std::string(kCorrectionDimension), id.hex()}}};
  out.quarter = QuarterHour::of(correction.from);
  out.earliest = correction.from;
  const auto stream = StreamId::from(id.view().first(StreamId::kSize));
  out.value.add(static_cast<int64_t>(value.coefficient()),
                {.time_ms = correction.from.unix_ms(), .stream = *stream, .seq = 0});
  return out;
}

ExceptionUpsert bad_correction(const LogEntry& leaf, const std::string& tenant,
                               std::string detail) {
  ExceptionUpsert out{.mode = UpsertMode::replace,
                      .row = new_exception(exception_kind::kBadCorrection, {leaf.data.hex()},
                                           tenant, leaf.received_at)};
  out.row.count = 1;
  out.row.first_leaf = leaf.leaf;
  out.row.last_leaf = leaf.leaf;
  out.row.detail = "correction " + leaf.data.hex() + " changes no usage: " + std::move(detail);
  return out;
}

}  // namespace

std::string_view to_string(CorrectionAction action) {
  switch (action) {
    case CorrectionAction::add:
      return "add";
    case CorrectionAction::void_usage:
      return "void";
    case CorrectionAction::withdraw:
      return "withdraw";
  }
  return "unknown";
}

std::string Correction::json() const {
  Json all_references = Json::array();
  for (const std::string& reference : references) all_references.push(text(reference));
  return Json::object({{"format", Json::number(1)},
                       {"tenant", text(tenant)},
                       {"action", text(std::string(to_string(action)))},
                       {"device", text(device)},
                       {"subject", text(subject)},
                       {"meter", text(meter)},
                       {"unit", text(unit)},
                       {"from", text(to_rfc3339(from))},
                       {"until", time_or_null(until)},
                       {"value", value ? text(value->trimmed().text()) : Json::null()},
                       {"withdraws", withdraws ? text(withdraws->hex()) : Json::null()},
                       {"references", std::move(all_references)},
                       {"by", text(by)},
                       {"at", text(to_rfc3339(at))},
                       {"reason", text(reason)}})
      .dump();
}

Result<Correction> Correction::parse(std::string_view json) {
  TRY(const Json parsed, parse_json(json));
  StatementReader in(parsed);
  Correction out;
  if (in.number("format") != 1) in.fault("format", "1");
  out.tenant = in.text("tenant");
  const auto action = action_of(in.text("action"));
  if (!action) in.fault("action", "add, void or withdraw");
  out.action = action.value_or(CorrectionAction::add);
  out.device = in.text("device");
  out.subject = in.text("subject");
  out.meter = in.text("meter");
  out.unit = in.text("unit");
  out.from = in.time("from");
  out.until = optional_time(in, "until");
  out.value = optional_decimal(in, "value");
  out.withdraws = in.optional_digest("withdraws");
  for (const Json& reference : in.array("references")) {
    if (!reference.is(Json::Kind::string)) {
      in.fault("references", "texts");
      break;
    }
    out.references.push_back(reference.text());
  }
  out.by = in.text("by");
  out.at = in.time("at");
  out.reason = in.text("reason");
  check_shape(out, in);
  check_sizes(out, in);
  TRY_VOID(in.end());
  TRY_VOID(check_canonical(json, out.json()));
  return out;
}

Status check_correction(const Correction& correction, const Catalog& catalog) {
  const CatalogMeter* meter = catalog.meter(correction.meter);
  if (meter == nullptr)
    return fail(
        Error(Errc::reject, "the catalog has no such meter").with("meter", correction.meter));
  if (meter->unit != correction.unit) {
    return fail(Error(Errc::reject, "the catalog has the meter in another unit")
                    .with("unit", correction.unit)
                    .with("expected", meter->unit));
  }
  const Timestamp last = correction.until.value_or(correction.from);
  if (!is_plausible(correction.from, correction.at) || !is_plausible(last, correction.at)) {
    return fail(Errc::reject,
                "a correction is about times from the year 2000 to a day from now; what comes "
                "later is corrected when it has come");
  }
  // What was parsed is what will be signed.
  TRY_VOID(Correction::parse(correction.json()));
  return {};
}

bool is_reserved(const DimensionSet& dimensions) {
  return std::any_of(dimensions.begin(), dimensions.end(), [](const auto& dimension) {
    return dimension.first.starts_with(kReservedDimensions);
  });
}

bool is_correction(const SeriesKey& key) {
  return key.dimensions.size() == 1 && key.dimensions.front().first == kCorrectionDimension;
}

CorrectionRow row_of(const Correction& correction, const Digest& id, LeafNumber leaf) {
  return {.id = id,
          .tenant = correction.tenant,
          .device = correction.device,
          .subject = correction.subject,
          .meter = correction.meter,
          .action = correction.action,
          .from = correction.from,
          .until = correction.until.value_or(correction.from + Duration(1)),
          .withdraws = correction.withdraws,
          .leaf = leaf};
}

CorrectionFold fold_correction(const LogEntry& leaf) {
  CHECK_INVARIANT(leaf.kind == LeafKind::correction);
  CorrectionFold out;
  const auto read = [&]() -> Result<Correction> {
    TRY(const auto statement, open_statement(leaf.kind, leaf.sealed));
    return Correction::parse(statement.json);
  };
  const auto correction = read();
  if (!correction) {
    out.exceptions.push_back(bad_correction(leaf, "", correction.error().text()));
    return out;
  }
  const bool adds = correction->action == CorrectionAction::add;
  if (adds && !is_plausible(correction->from, correction->at)) {
    out.exceptions.push_back(bad_correction(
        leaf, correction->tenant, "its time is before 2000 or more than a day after it was made"));
    return out;
  }
  out.row = row_of(*correction, leaf.data, leaf.leaf);
  if (adds) out.usage = reading_of(*correction, leaf.data);
  return out;
}

Corrections::Corrections(const std::vector<CorrectionRow>& rows) {
  for (const CorrectionRow& row : rows) {
    if (row.withdraws) about_[{row.subject, row.meter}].withdrawn.insert(row.withdraws->hex());
  }
  for (const CorrectionRow& row : rows) {
    if (row.action != CorrectionAction::void_usage) continue;
    About& about = about_[{row.subject, row.meter}];
    if (!about.withdrawn.contains(row.id.hex())) about.voided.push_back({row.from, row.until});
  }
  for (auto& [key, about] : about_) std::sort(about.voided.begin(), about.voided.end());
}

const Corrections::About* Corrections::about(const SeriesKey& key) const {
  const auto found = about_.find({key.subject, key.meter});
  return found == about_.end() ? nullptr : &found->second;
}

bool Corrections::is_withdrawn(const SeriesKey& key) const {
  if (!is_correction(key)) return false;
  const About* const found = about(key);
  return found != nullptr && found->withdrawn.contains(key.dimensions.front().second);
}

std::vector<Period> Corrections::kept(const SeriesKey& key, Period period) const {
  const About* const found = is_correction(key) ? nullptr : about(key);
  if (found == nullptr) return {period};
  std::vector<Period> out;
  Timestamp from = period.from;
  for (const Period& voided : found->voided) {
    if (from < std::min(voided.from, period.until))
      out.push_back({from, std::min(voided.from, period.until)});
    from = std::max(from, voided.until);
  }
  if (from < period.until) out.push_back({from, period.until});
  return out;
}

}  // namespace ledgerline::collector
