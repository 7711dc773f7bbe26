#pragma once
// What a contract's subscriptions used in a period: series x mapping x catalog. Blocking: runs on
// the storage thread.

#include <functional>
#include <optional>
#include <set>

#include "collector/core/account_update.h"
#include "collector/core/commerce.h"
#include "collector/core/mapping.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

class ContractUsage {
 public:
  ContractUsage(Store& store, const std::string& tenant, const Catalog& catalog,
                const Mapping& mapping)
      : store_(store), tenant_(tenant), catalog_(catalog), mapping_(mapping) {}

  /// Usage of the meters that the subscriptions' rate cards price at the period's start; only of
  /// the lines in `only` where it is given. Lines without a reading are absent.
  Result<PeriodUsage> of(const Contract& contract, Period period,
                         const std::set<LineKey>* only = nullptr);

  /// The devices whose readings the period needs, with how far they are.
  Result<std::vector<DeviceNeed>> needs(const Contract& contract, Period period);

  /// How many of the contract's subjects used each feature in the period (core/account_update.h).
  Result<std::vector<FeatureUse>> features(const Contract& contract, Period period,
                                           const std::vector<AccountFeature>& features);

  /// The quarter hour of the first usage that is linked to the contract in the span, priced or not.
  Result<std::optional<QuarterHour>> first_in(const Contract& contract, Period span);

 private:
  /// A subject by name; the device itself by its own.
  using SubjectName = std::pair<std::string, std::string>;
  std::set<SubjectName> linked_subjects(const Contract& contract, Period period) const;
  using Visit = std::function<Status(const SeriesRow&, const MappedSpan&)>;
  /// Every span of every countable series that is linked to the contract within the period.
  Status visit(const Contract& contract, Period period, const Visit& visitor);

  Store& store_;
  const std::string& tenant_;
  const Catalog& catalog_;
  const Mapping& mapping_;
};

EvidenceSummary evidence_of(const std::vector<DeviceNeed>& needs, LeafNumber log_leaves);

/// Every series of the device (an empty name: of the tenant), read in pages.
Status for_each_series(Store& store, const std::string& tenant, const std::string& device,
                       const std::function<Status(const SeriesRow&)>& visitor);

}  // namespace ledgerline::collector
