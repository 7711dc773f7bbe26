#pragma once
// What the readings that links tie to an asset gave in each step of a maintenance rule; corrections
// are about bills and are left out. Blocking: runs on the storage thread, or in a command.

#include <map>
#include <string>
#include <vector>

#include "collector/core/maintenance.h"
#include "collector/core/mapping.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

class AssetUsage {
 public:
  /// `catalog` and `mapping` outlive it.
  AssetUsage(Store& store, const std::string& tenant, const Catalog& catalog,
             const Mapping& mapping)
      : store_(store), tenant_(tenant), catalog_(catalog), mapping_(mapping) {}

  /// Finds the series of every asset; again where the fold has met new ones. Series that cannot be
  /// counted (unknown meter, wrong unit) belong to no asset.
  Status load();

  /// One per condition of the rule, with the steps that begin in [from, until). A quarter hour
  /// belongs to the asset that its start is linked to. Errc::reject where series of one condition
  /// have scales so far apart that values need more than 64 bits.
  Result<std::vector<Samples>> samples(const MaintenanceRule& rule, const std::string& asset,
                                       QuarterHour from, QuarterHour until);

  /// The quarter hour of the oldest usage before `until` that counts for the rule.
  Result<std::optional<QuarterHour>> first(const MaintenanceRule& rule, const std::string& asset,
                                           QuarterHour until);

  /// Leaves of the evidence log with readings of the rule's meters in [from, until), ascending.
  Result<std::vector<LeafNumber>> leaves(const MaintenanceRule& rule, const std::string& asset,
                                         QuarterHour from, QuarterHour until);

 private:
  struct Part {
    SeriesRow series;
    std::vector<MappedSpan> spans;  // those of the asset
  };
  /// The parts of the asset that fit the condition.
  std::vector<const Part*> parts_of(const Condition& condition, const std::string& asset) const;
  Result<Samples> samples_of(const MaintenanceRule& rule, const std::vector<const Part*>& parts,
                             QuarterHour from, QuarterHour until);

  Store& store_;
  const std::string& tenant_;
  const Catalog& catalog_;
  const Mapping& mapping_;
  std::map<std::string, std::vector<Part>> parts_;  // by asset
};

}  // namespace ledgerline::collector
