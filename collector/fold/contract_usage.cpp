#include "collector/fold/contract_usage.h"

#include <algorithm>

namespace ledgerline::collector {

namespace {

const Subscription* subscription_of(const Contract& contract, const std::string& name) {
  for (const Subscription& subscription : contract.subscriptions) {
    if (subscription.name == name) return &subscription;
  }
  return nullptr;
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

Status ContractUsage::visit(const Contract& contract, Period period, const Visit& visitor) {
  for (const DeviceNeed& need : mapping_.devices_of(contract, period)) {
    TRY_VOID(for_each_series(store_, tenant_, need.device, [&](const SeriesRow& series) -> Status {
      if (!series_fault(catalog_, series.key).empty()) return {};
      for (const MappedSpan& span : mapping_.spans(need.device, series.key.subject, period)) {
        if (span.link == nullptr) continue;
        const Subscription* subscription = subscription_of(contract, span.link->subscription);
        if (subscription == nullptr) continue;
        if (!is_priced(catalog_.rate_card(subscription->rate_card, period.from), series.key.meter))
          continue;
        TRY_VOID(visitor(series, span));
      }
      return {};
    }));
  }
  return {};
}

Result<PeriodUsage> ContractUsage::of(const Contract& contract, Period period,
                                      const std::optional<LineKey>& only) {
  UsageReader reader(store_, evidence_);
  struct Asked {
    LineKey key;
    int scale;
  };
  std::vector<Asked> asked;
  TRY_VOID(visit(contract, period, [&](const SeriesRow& series, const MappedSpan& span) -> Status {
    const LineKey key{span.link->subscription, series.key.meter};
    if (only && key != *only) return {};
    const Subscription* subscription = subscription_of(contract, key.first);
    if (!is_priced(catalog_.rate_card(subscription->rate_card, period.from), key.second)) return {};
    reader.ask(series, span.from, span.until);
    asked.push_back({key, series.key.scale});
    return {};
  }));
  TRY(const auto answers, reader.read());
  PeriodUsage out;
  for (size_t i = 0; i < asked.size(); ++i) {
    if (answers[i].count == 0) continue;
    TRY_VOID(out[asked[i].key].add(answers[i], asked[i].scale));
  }
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
