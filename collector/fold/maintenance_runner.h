#pragma once
// The maintenance step: looks at the steps of each rule and asset that are complete and writes the
// orders that they make. It decides nothing (collector/core/maintenance.h does). Owned by the
// storage thread; step() blocks. An order and the state that made it are one transaction, which
// names the fold cursor its usage was read at, so that a crash repeats the decision and nothing
// twice. Readings that come after their step was looked at make no order.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "collector/core/field_work.h"
#include "collector/core/maintenance_order.h"
#include "collector/fold/asset_usage.h"
#include "collector/fold/rounds.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

/// One step is one job on the storage thread, and intake waits until it ends: the numbers bound it.
struct MaintenanceOptions {
  size_t pairs_max = 50;                               // of rule and asset, looked at per step
  int64_t rule_steps_max = 5000;                       // looked at of one pair at once
  Duration round_interval = std::chrono::seconds(15);  // between two looks at all pairs
};

struct MaintenanceReport {
  std::vector<DocumentRow> orders;
  size_t conflicts = 0;  // somebody wrote meanwhile: the next round decides again
  bool more = false;     // there is work left: come again at once
  std::vector<std::pair<std::string, Error>> failed;  // rule and asset, and why
};

class MaintenanceRunner final : public WorkBook {
 public:
  MaintenanceRunner(Store& store, Catalog catalog, MaintenanceOptions options = {});

  /// On the storage thread, as step() is.
  void set_catalog(Catalog catalog);

  /// An error is one to stop for (Store), or Errc::config as of tenant_of().
  Result<MaintenanceReport> step(Timestamp now);

  Result<std::vector<OpenWork>> open_work(const std::string& connector) override;
  /// Service was done in the field: the order is closed, counters and calendar begin again.
  Status close_work(const OpenWork& work, const WorkProgress& progress, Timestamp now) override;

 private:
  struct Pair {
    const MaintenanceRule* rule = nullptr;
    const Asset* asset = nullptr;
  };

  Result<std::optional<RuleRow>> stored_state(const std::string& rule, const std::string& asset);
  Status look(const Pair& pair, Timestamp now, MaintenanceReport& report);
  /// Everything of the asset before it is folded, late readings excepted; nothing: not known.
  Result<std::optional<Timestamp>> complete_through(const Asset& asset);
  Result<std::vector<BatchName>> batches_of(const Pair& pair, const OrderDecision& decision);
  Result<DocumentRow> order(const Pair& pair, const RuleState& state, const OrderDecision& decision,
                            const std::vector<Samples>& samples, LeafNumber cursor, Timestamp now);

  Store& store_;
  MaintenanceOptions options_;
  std::string tenant_;
  std::unique_ptr<const Catalog> catalog_;  // at a fixed address: the others point into it
  std::unique_ptr<const Mapping> mapping_;
  std::unique_ptr<AssetUsage> usage_;
  std::vector<Pair> pairs_;
  Rounds rounds_;
};

}  // namespace ledgerline::collector
