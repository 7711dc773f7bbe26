#include "collector/fold/replay_compare.h"

#include <limits>
#include <map>
#include <set>

#include "collector/fold/contract_usage.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kPage = 1000;
constexpr QuarterHour kFirst{std::numeric_limits<int32_t>::min()};
constexpr QuarterHour kLast{std::numeric_limits<int32_t>::max()};

/// What is damaged or gone is a finding, whatever else is not.
bool is_finding(const Error& error) {
  return error.code() == Errc::corrupt || error.code() == Errc::not_found;
}

Status compare_document(Store& there, const DocumentRow& here, const Finding& find) {
  const std::string name = here.kind + " " + here.id + " revision " + std::to_string(here.revision);
  const auto row = there.document(here.id, here.revision);
  if (!row && !is_finding(row.error())) return fail(row.error());
  if (!row) {
    find(name + ": " + row.error().text());
  } else if (row->body != here.body) {
    find(name + " is not the one that its evidence gives: total there " + row->total.text() +
         ", here " + here.total.text() + "; SHA-256 there " + sha256(bytes_of(row->body)).hex() +
         ", here " + sha256(bytes_of(here.body)).hex());
  } else if (row->total != here.total || row->currency != here.currency) {
    find(name + ": total there " + row->total.text() + " " + row->currency + ", here " +
         here.total.text() + " " + here.currency);
  }
  return {};
}

std::string series_name(const SeriesKey& key) {
  return "usage of device " + key.device +
         (key.subject.empty() ? std::string() : ", subject " + key.subject) + ", meter " +
         key.meter;
}

std::string text(const SeriesKey& key, const UsageValue& value) {
  if (value.count == 0) return "nothing";
  return Decimal(value.sum, key.scale).text() + " of " + std::to_string(value.count) + " readings";
}

Status compare_series(Store& there, Store& here, const SeriesRow& series, const Finding& find) {
  const auto stored = there.series(series.id);
  const auto rows = there.usage(series.id, kFirst, kLast);
  for (const Error* error : {stored ? nullptr : &stored.error(), rows ? nullptr : &rows.error()}) {
    if (error == nullptr) continue;
    if (!is_finding(*error)) return fail(*error);
    find(series_name(series.key) + ": " + error->text());
    return {};
  }
  if (stored->key != series.key) {
    find(series_name(series.key) + " is there that of " + series_name(stored->key));
    return {};
  }
  TRY(const auto again, here.usage(series.id, kFirst, kLast));
  std::map<QuarterHour, std::pair<UsageValue, UsageValue>> values;
  for (const UsageRow& row : *rows) values[row.quarter].first = row.value;
  for (const UsageRow& row : again) values[row.quarter].second = row.value;
  for (const auto& [quarter, both] : values) {
    if (both.first == both.second) continue;
    const std::string name = series_name(series.key) + ", " + to_rfc3339(quarter.start());
    if (both.first.sum == both.second.sum && both.first.count == both.second.count) {
      find(name + ": " + text(series.key, both.second) +
           " in both, but another lowest, highest, first or last one");
      continue;
    }
    find(name + ": there " + text(series.key, both.first) + ", here " +
         text(series.key, both.second));
  }
  return {};
}

Result<std::set<std::string>> tenants_of(Store& store) {
  std::set<std::string> out;
  std::string tenant;
  std::string device;
  for (;;) {
    TRY(const auto page, store.list_devices({}, tenant, device, kPage));
    for (const DeviceRow& row : page) out.insert(row.tenant);
    if (page.size() < kPage) return out;
    tenant = page.back().tenant;
    device = page.back().device;
  }
}

}  // namespace

Status compare_documents(Store& there, Store& here, const Finding& find) {
  DocumentFilter filter;
  for (;;) {
    TRY(const auto page, here.list_documents(filter));
    for (const DocumentRow& row : page) TRY_VOID(compare_document(there, row, find));
    if (page.size() < filter.limit) return {};
    filter.after = page.back().id;
  }
}

Status compare_usage(Store& there, Store& here, const Finding& find) {
  TRY(const std::set<std::string> tenants, tenants_of(here));
  for (const std::string& tenant : tenants) {
    TRY_VOID(for_each_series(here, tenant, {}, [&](const SeriesRow& series) {
      return compare_series(there, here, series, find);
    }));
  }
  TRY(const FoldCursor a, there.fold_cursor());
  TRY(const FoldCursor b, here.fold_cursor());
  if (a.next_series_id != b.next_series_id)
    find("the store has " + std::to_string(a.next_series_id - 1) +
         " series of usage, the replay comes to " + std::to_string(b.next_series_id - 1));
  return {};
}

}  // namespace ledgerline::collector
