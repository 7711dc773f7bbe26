#pragma once
// The account step: tells of each contract's periods as they run and as they close, and opens
// opportunities. It decides nothing (collector/core/account_update.h and opportunity.h do). Owned
// by the storage thread; step() blocks. What is told and the state that tells it are one
// transaction with the outbox, which names the fold cursor its usage was read at, so that a crash
// repeats the decision and nothing twice. A rule that is new tells of the newest closed period and
// of what comes after it.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collector/core/account_update.h"
#include "collector/core/opportunity.h"
#include "collector/fold/contract_usage.h"
#include "collector/fold/rounds.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

/// One step is one job on the storage thread, and intake waits until it ends: the numbers bound it.
struct AccountOptions {
  std::string zone_database;  // read_zone_database()
  size_t pairs_max = 8;       // of rule and contract, looked at per step
  size_t closed_max = 2;      // closed periods told of per pair and step
  size_t open_max = 4;        // periods that have begun and not closed, looked at per pair: the
                              // oldest ones. Those behind wait until a silent device is back
  Duration round_interval = std::chrono::seconds(15);  // between two looks at all pairs
};

struct AccountReport {
  std::vector<DocumentRow> documents;
  size_t summed = 0;     // open periods whose usage was read
  size_t conflicts = 0;  // somebody wrote meanwhile: the next round decides again
  bool more = false;     // there is work left: come again at once
  std::vector<std::pair<std::string, Error>> failed;  // rule and contract, and why
};

class AccountRunner {
 public:
  AccountRunner(Store& store, Catalog catalog, AccountOptions options);

  /// On the storage thread, as step() is.
  void set_catalog(Catalog catalog);

  /// An error is one to stop for (Store), or Errc::config as of tenant_of().
  Result<AccountReport> step(Timestamp now);

 private:
  struct Pair {
    const AccountRule* rule = nullptr;
    const Contract* contract = nullptr;
  };
  /// Where nothing of this moved, the open periods have no news.
  struct Seen {
    LeafNumber cursor = 0;
    std::vector<Period> open;
    std::vector<std::pair<StreamId, Seq>> folded;  // of the devices they need;
                                                   // no stream: how many corrections
  };
  /// One look at a pair, with what is stored of it.
  struct Look {
    size_t pair = 0;
    const AccountRule& rule;
    const Contract& contract;
    Timestamp now;
    LeafNumber cursor = 0;
    std::optional<PeriodRow> newest;  // closed
    AccountState state;
    uint32_t revision = 0;  // of the stored state
    bool stale = false;     // somebody wrote meanwhile
  };
  struct News {
    Period period;
    bool closed = false;
    ToldPeriod told;  // with the new revision
    std::vector<MeterUse> meters;
  };

  Status look(size_t pair, Timestamp now, AccountReport& report);
  Status tell_closed(Look& look, AccountReport& report);
  Status tell_renewal(Look& look, AccountReport& report);
  Status tell_open(Look& look, AccountReport& report);
  Status tell_limits(Look& look, Period period, AccountReport& report);

  /// Nothing where neither this period nor the one before was used.
  Result<std::optional<DocumentRow>> closing_update(Look& look, const PeriodRow& row);
  Result<std::optional<DocumentRow>> overage(Look& look, const PeriodRow& row);
  Result<DocumentRow> update(const Look& look, News news, const std::vector<DeviceNeed>& needs);
  Status add_previous(const Contract& contract, Period period, bool closed, Timestamp as_of,
                      std::vector<MeterUse>& meters);
  /// From the row backwards, without a gap, newest first.
  Result<std::vector<ClosedPeriod>> history(const Contract& contract, PeriodRow row, size_t max);
  [[nodiscard]] std::vector<Period> open_periods(const Look& look) const;
  /// False where nothing was folded for the periods since they were looked at.
  Result<bool> has_moved(const Look& look, const std::vector<Period>& periods, Seen& seen);
  Status write(Look& look, std::vector<DocumentRow> documents, AccountReport& report);

  ContractUsage usage() { return {store_, tenant_, *catalog_, *mapping_}; }

  Store& store_;
  AccountOptions options_;
  std::string tenant_;
  std::unique_ptr<const Catalog> catalog_;  // at a fixed address: the others point into it
  std::unique_ptr<const Mapping> mapping_;
  std::vector<Pair> pairs_;
  std::map<size_t, Seen> seen_;  // by pair
  Rounds rounds_;
};

}  // namespace ledgerline::collector
