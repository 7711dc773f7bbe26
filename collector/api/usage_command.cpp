// usage: what the fold added up, by quarter hour, hour or day in UTC.

#include <map>
#include <set>
#include <tuple>

#include "collector/api/commands.h"
#include "collector/api/setup.h"
#include "collector/api/table.h"
#include "collector/fold/evidence.h"
#include "common/exit_code.h"
#include "common/json.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kSeriesPage = 1000;
constexpr size_t kLinesMax = 1'000'000;
constexpr int32_t kQuartersMax = 253'402'300'800'000 / QuarterHour::kLengthMs;  // year 10000

/// Dimensions are added up; what could not be added (another unit or kind) stays apart.
struct LineKey {
  int64_t start_ms = 0;
  std::string tenant, device, meter, subject, unit;
  int scale = 0;
  MeterKind kind = MeterKind::delta;
  bool corrections = false;  // what operators added; what they voided is in no line
  friend auto operator<=>(const LineKey&, const LineKey&) = default;
};
using Lines = std::map<LineKey, UsageValue>;

struct Span {
  QuarterHour from{0};
  QuarterHour until{kQuartersMax};
  int64_t step_ms = QuarterHour::kLengthMs;
};

/// A day such as 2026-11-20, or an RFC 3339 time.
Result<QuarterHour> quarter_of(const std::string& option, const std::string& text) {
  const auto time = parse_rfc3339(text.size() == 10 ? text + "T00:00:00Z" : text);
  if (!time || time->unix_ms() < 0 || time->unix_ms() % QuarterHour::kLengthMs != 0) {
    return fail(Error(Errc::reject, option + " is a day or the beginning of a quarter hour, such "
                                             "as 2026-11-20 or 2026-11-20T08:15:00Z")
                    .with("value", text));
  }
  return QuarterHour::of(*time);
}

Result<Span> span_of(const CommandLine& options) {
  Span out;
  if (options.by == "hour") out.step_ms = 3'600'000;
  if (options.by == "day") out.step_ms = 86'400'000;
  if (!options.from.empty()) {
    TRY(out.from, quarter_of("--from", options.from));
  }
  if (!options.until.empty()) {
    TRY(out.until, quarter_of("--until", options.until));
  }
  return out;
}

bool is_wanted(const SeriesKey& key, const CommandLine& options) {
  return (options.meter.empty() || options.meter == key.meter) &&
         (options.subject.empty() || options.subject == key.subject);
}

Status add_series(Store& store, const SeriesRow& series, const Span& span,
                  const Corrections& corrections, Lines& lines) {
  const SeriesKey& key = series.key;
  TRY(const auto rows, counted_rows(store, series, span.from, span.until, corrections));
  for (const UsageRow& row : rows) {
    const int64_t at = row.quarter.start().unix_ms();
    lines[{at - at % span.step_ms, key.tenant, key.device, key.meter, key.subject, key.unit,
           key.scale, key.kind, is_correction(key)}]
        .merge(row.value);
    if (lines.size() > kLinesMax)
      return fail(Errc::reject, "more than a million lines; ask for less with --from and --until");
  }
  return {};
}

Result<Lines> lines_of(Store& store, const CommandLine& options, const Span& span) {
  std::set<std::string> tenants;
  TRY(const auto devices, store.list_devices({}));
  for (const DeviceRow& device : devices) {
    if (options.tenant.empty() || options.tenant == device.tenant) tenants.insert(device.tenant);
  }
  Lines out;
  std::map<std::pair<std::string, std::string>, Corrections> corrections;  // by tenant and device
  for (const DeviceRow& device : devices) {
    if (!tenants.contains(device.tenant)) continue;
    TRY(const auto rows, store.corrections(device.tenant, device.device));
    if (!rows.empty()) corrections.emplace(std::pair(device.tenant, device.device), rows);
  }
  const Corrections none({});
  for (const std::string& tenant : tenants) {
    SeriesFilter filter{
        .tenant = tenant, .device = options.device, .after = 0, .limit = kSeriesPage};
    for (;;) {
      TRY(const auto page, store.list_series(filter));
      for (const SeriesRow& series : page) {
        const auto found = corrections.find({tenant, series.key.device});
        if (is_wanted(series.key, options)) {
          TRY_VOID(add_series(store, series, span,
                              found == corrections.end() ? none : found->second, out));
        }
      }
      if (page.size() < kSeriesPage) break;
      filter.after = page.back().id;
    }
  }
  return out;
}

std::string sum_of(const LineKey& key, const UsageValue& value) {
  return Decimal(value.sum, key.scale).text();
}

Json json_of(const LineKey& key, const UsageValue& value) {
  const auto level = [&key](int64_t at) { return Json::string(Decimal(at, key.scale).text()); };
  Json out = Json::object({{"from", Json::string(to_rfc3339(Timestamp(key.start_ms)))},
                           {"tenant", Json::string(key.tenant)},
                           {"device", Json::string(key.device)},
                           {"meter", Json::string(key.meter)},
                           {"unit", Json::string(key.unit)},
                           {"kind", Json::string(std::string(to_string(key.kind)))},
                           {"subject", Json::string(key.subject)},
                           {"corrections", Json::boolean(key.corrections)},
                           {"readings", Json::number(std::to_string(value.count))}});
  if (key.kind == MeterKind::gauge) {  // levels do not add up
    out.set("min", level(value.min));
    out.set("max", level(value.max));
    out.set("last", level(value.last));
  } else {
    out.set("sum", Json::string(sum_of(key, value)));
  }
  return out;
}

void print(const Lines& lines, std::ostream& out) {
  TextTable table({"FROM", "DEVICE", "METER", "SUBJECT", "READINGS", "SUM", "UNIT"});
  for (const auto& [key, value] : lines) {
    const std::string amount = key.kind == MeterKind::gauge
                                   ? "last " + Decimal(value.last, key.scale).text()
                                   : sum_of(key, value);
    table.add({to_rfc3339(Timestamp(key.start_ms)), printable(key.tenant + "/" + key.device),
               printable(key.meter) + (key.corrections ? " (corrections)" : ""),
               printable(key.subject), std::to_string(value.count), amount, printable(key.unit)});
  }
  table.print(out);
}

}  // namespace

Result<int> usage(const CollectorConfig& config, const CommandLine& options, std::ostream& out) {
  TRY(const Span span, span_of(options));
  TRY(const auto store, open_store(config));
  TRY(const Lines lines, lines_of(*store, options, span));
  if (!options.json) {
    print(lines, out);
    return kExitOk;
  }
  Json rows = Json::array();
  for (const auto& [key, value] : lines) rows.push(json_of(key, value));
  out << rows.dump() << "\n";
  return kExitOk;
}

}  // namespace ledgerline::collector
