#include "collector/fold/asset_usage.h"

#include <algorithm>
#include <limits>
#include <set>

#include "collector/core/commerce.h"
#include "collector/core/correction.h"
#include "collector/fold/contract_usage.h"

namespace ledgerline::collector {

namespace {

bool has_all(const DimensionSet& dimensions, const DimensionSet& wanted) {
  return std::includes(dimensions.begin(), dimensions.end(), wanted.begin(), wanted.end());
}

bool in_any(const std::vector<MappedSpan>& spans, Timestamp t) {
  return std::any_of(spans.begin(), spans.end(),
                     [t](const MappedSpan& span) { return span.from <= t && t < span.until; });
}

/// The value at `places` more decimal places.
Result<UsageValue> rescaled(UsageValue value, int places) {
  for (; places > 0; --places) {
    constexpr int64_t kMax = std::numeric_limits<int64_t>::max() / 10;
    for (int64_t* const one : {&value.min, &value.max, &value.last}) {
      if (*one > kMax || *one < -kMax)
        return fail(Errc::reject, "series of one condition have scales too far apart");
      *one *= 10;
    }
    value.sum *= 10;  // fits: each of the values in it still fits 64 bits
  }
  return value;
}

}  // namespace

Status AssetUsage::load() {
  parts_.clear();
  std::set<std::string> metered;
  for (const auto& [name, rule] : catalog_.rules()) {
    for (const Condition& condition : rule.conditions) metered.insert(condition.meter);
  }
  return for_each_series(store_, tenant_, "", [&](const SeriesRow& series) -> Status {
    // What a machine measured stays what it measured: corrections are about bills.
    if (!metered.contains(series.key.meter) || is_correction(series.key) ||
        !series_fault(catalog_, series.key).empty())
      return {};
    std::map<std::string, std::vector<MappedSpan>> by_asset;
    for (MappedSpan& span : mapping_.spans(series.key.device, series.key.subject, kAlways)) {
      if (span.link != nullptr && !span.link->asset.empty())
        by_asset[span.link->asset].push_back(span);
    }
    for (auto& [asset, spans] : by_asset) parts_[asset].push_back({series, std::move(spans)});
    return {};
  });
}

std::vector<const AssetUsage::Part*> AssetUsage::parts_of(const Condition& condition,
                                                          const std::string& asset) const {
  std::vector<const Part*> out;
  const auto found = parts_.find(asset);
  if (found == parts_.end() || condition.meter.empty()) return out;
  for (const Part& part : found->second) {
    const SeriesKey& key = part.series.key;
    if (key.meter == condition.meter && has_all(key.dimensions, condition.where))
      out.push_back(&part);
  }
  return out;
}

Result<Samples> AssetUsage::samples_of(const MaintenanceRule& rule,
                                       const std::vector<const Part*>& parts, QuarterHour from,
                                       QuarterHour until) {
  Samples out;
  for (const Part* part : parts) out.scale = std::max(out.scale, part->series.key.scale);
  std::map<int64_t, UsageValue> by_step;
  for (const Part* part : parts) {
    TRY(const auto rows, store_.usage(part->series.id, from, until));
    for (const UsageRow& row : rows) {
      if (!in_any(part->spans, row.quarter.start())) continue;
      TRY(const UsageValue value, rescaled(row.value, out.scale - part->series.key.scale));
      by_step[step_of(rule, row.quarter)].merge(value);
    }
  }
  for (auto& [step, value] : by_step) out.samples.push_back({step, std::move(value)});
  return out;
}

Result<std::vector<Samples>> AssetUsage::samples(const MaintenanceRule& rule,
                                                 const std::string& asset, QuarterHour from,
                                                 QuarterHour until) {
  std::vector<Samples> out;
  for (const Condition& condition : rule.conditions) {
    TRY(Samples one, samples_of(rule, parts_of(condition, asset), from, until));
    out.push_back(std::move(one));
  }
  return out;
}

Result<std::optional<QuarterHour>> AssetUsage::first(const MaintenanceRule& rule,
                                                     const std::string& asset, QuarterHour until) {
  std::optional<QuarterHour> out;
  for (const Condition& condition : rule.conditions) {
    for (const Part* part : parts_of(condition, asset)) {
      TRY(const auto rows, store_.usage(part->series.id, {0}, out ? *out : until));
      const auto row = std::find_if(rows.begin(), rows.end(), [&](const UsageRow& one) {
        return in_any(part->spans, one.quarter.start());
      });
      if (row != rows.end()) out = row->quarter;
    }
  }
  return out;
}

Result<std::vector<LeafNumber>> AssetUsage::leaves(const MaintenanceRule& rule,
                                                   const std::string& asset, QuarterHour from,
                                                   QuarterHour until) {
  std::set<LeafNumber> out;
  for (const Condition& condition : rule.conditions) {
    for (const Part* part : parts_of(condition, asset)) {
      TRY(const auto leaves, store_.evidence(part->series.id, from, until));
      out.insert(leaves.begin(), leaves.end());
    }
  }
  return std::vector<LeafNumber>(out.begin(), out.end());
}

}  // namespace ledgerline::collector
