#include "collector/fold/contract_usage.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "collector/fold/evidence.h"

namespace ledgerline::collector {

namespace {

const Subscription* subscription_of(const Contract& contract, const std::string& name) {
  for (const Subscription& subscription : contract.subscriptions) {
    if (subscription.name == name) return &subscription;
  }
  return nullptr;
}

std::pair<std::string, std::string> subject_name(const std::string& device,
                                                 const std::string& subject) {
  return {subject.empty() ? device : std::string(), subject};
}

bool is_of(const AccountFeature& feature, const SeriesKey& key) {
  return key.meter == feature.meter && std::includes(key.dimensions.begin(), key.dimensions.end(),
                                                     feature.where.begin(), feature.where.end());
}

bool is_priced(const RateCard* card, const std::string& meter) {
  return card != nullptr && std::any_of(card->prices.begin(), card->prices.end(),
                                        [&](const Price& price) { return price.meter == meter; });
}

}  // namespace

Status for_each_series(Store& store, const std::string& tenant, const std::string& device,
                       const std::function<Status(const SeriesRow&)>& visitor) {
  SeriesFilter filter{.tenant = tenant, .device = device};
  for (;;) {
    TRY(const auto rows, store.list_series(filter));
    for (const SeriesRow& row : rows) TRY_VOID(visitor(row));
    if (rows.size() < filter.limit) return {};
    filter.after = rows.back().id;
  }
}

EvidenceSummary evidence_of(const std::vector<DeviceNeed>& needs, LeafNumber log_leaves) {
  EvidenceSummary out{.log_leaves = log_leaves, .streams = {}};
  for (const DeviceNeed& need : needs)
    out.streams.insert(out.streams.end(), need.streams.begin(), need.streams.end());
  return out;
}

Status ContractUsage::visit(const Contract& contract, Period period, const Visit& visitor) {
  const auto visit_series = [&](const SeriesRow& series) -> Status {
    if (!series_fault(catalog_, series.key).empty()) return {};
    for (const MappedSpan& span : mapping_.spans(series.key.device, series.key.subject, period)) {
      if (span.link == nullptr || subscription_of(contract, span.link->subscription) == nullptr)
        continue;
      TRY_VOID(visitor(series, span));
    }
    return {};
  };
  for (const DeviceNeed& need : mapping_.devices_of(contract, period)) {
    TRY_VOID(for_each_series(store_, tenant_, need.device, visit_series));
  }
  return {};
}

Result<PeriodUsage> ContractUsage::of(const Contract& contract, Period period,
                                      const std::set<LineKey>* only) {
  // Series of one device that count in the same span share the batches to be read back.
  struct Group {
    std::vector<SeriesId> ids;
    std::vector<std::pair<LineKey, int>> lines;  // and the series' scale
  };
  std::map<std::tuple<std::string, Timestamp, Timestamp>, Group> groups;
  TRY_VOID(visit(contract, period, [&](const SeriesRow& series, const MappedSpan& span) -> Status {
    const LineKey key{span.link->subscription, series.key.meter};
    if (only != nullptr && !only->contains(key)) return {};
    const Subscription* subscription = subscription_of(contract, key.first);
    if (!is_priced(catalog_.rate_card(subscription->rate_card, period.from), key.second)) return {};
    Group& group = groups[{series.key.device, span.from, span.until}];
    group.ids.push_back(series.id);
    group.lines.emplace_back(key, series.key.scale);
    return {};
  }));

  PeriodUsage out;
  for (const auto& [where, group] : groups) {
    TRY(const auto used, exact_usage(store_, group.ids, std::get<1>(where), std::get<2>(where)));
    for (size_t i = 0; i < group.ids.size(); ++i) {
      const auto value = used.find(group.ids[i]);
      if (value == used.end() || value->second.count == 0) continue;
      TRY_VOID(out[group.lines[i].first].add(value->second, group.lines[i].second));
    }
  }
  return out;
}

Result<std::vector<DeviceNeed>> ContractUsage::needs(const Contract& contract, Period period) {
  auto needs = mapping_.devices_of(contract, period);
  for (DeviceNeed& need : needs) {
    TRY(need.streams, store_.progress(tenant_, need.device));
  }
  return needs;
}

std::set<ContractUsage::SubjectName> ContractUsage::linked_subjects(const Contract& contract,
                                                                    Period period) const {
  std::set<SubjectName> out;
  for (const Link& link : catalog_.links()) {
    const bool overlaps = link.from < period.until && (!link.until || *link.until > period.from);
    if (!overlaps || link.subject == kEverySubject ||
        subscription_of(contract, link.subscription) == nullptr)
      continue;
    out.insert(subject_name(link.device, link.subject));
  }
  return out;
}

Result<std::vector<FeatureUse>> ContractUsage::features(
    const Contract& contract, Period period, const std::vector<AccountFeature>& features) {
  std::vector<FeatureUse> out;
  if (features.empty()) return out;
  std::set<SubjectName> known = linked_subjects(contract, period);
  std::vector<std::set<SubjectName>> active(features.size());
  TRY_VOID(visit(contract, period, [&](const SeriesRow& series, const MappedSpan& span) -> Status {
    const SubjectName subject = subject_name(series.key.device, series.key.subject);
    known.insert(subject);
    std::optional<bool> is_active;  // read once, for the first feature that asks
    for (size_t i = 0; i < features.size(); ++i) {
      if (!is_of(features[i], series.key) || active[i].contains(subject)) continue;
      if (!is_active) {
        TRY(const auto used, exact_usage(store_, std::array{series.id}, span.from, span.until));
        const auto value = used.find(series.id);
        is_active = value != used.end() && (value->second.min != 0 || value->second.max != 0);
      }
      if (*is_active) active[i].insert(subject);
    }
    return {};
  }));
  for (size_t i = 0; i < features.size(); ++i)
    out.push_back({features[i].name, active[i].size(), known.size()});
  return out;
}

Result<std::optional<QuarterHour>> ContractUsage::first_in(const Contract& contract, Period span) {
  std::optional<QuarterHour> first;
  TRY_VOID(visit(contract, span, [&](const SeriesRow& series, const MappedSpan& mapped) -> Status {
    const QuarterHour from = QuarterHour::of(mapped.from);
    const QuarterHour end = QuarterHour::of(mapped.until).next();
    // Only what lies before the first one found so far is of interest.
    TRY(const auto rows, store_.usage(series.id, from, first ? std::min(end, *first) : end));
    if (!rows.empty()) first = rows.front().quarter;
    return {};
  }));
  return first;
}

}  // namespace ledgerline::collector
