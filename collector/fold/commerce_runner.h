#pragma once
// The commercial step: closes periods that are complete, tells of usage that cannot be counted or
// came late, and books what came late. It decides nothing (collector/core/commerce.h does) and
// keeps nothing that the store does not hold, hints excepted. Owned by the storage thread; step()
// blocks. Every write is one transaction that names the fold cursor its figures were read at.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "collector/core/adjustment.h"
#include "collector/core/closing.h"
#include "collector/core/commerce.h"
#include "collector/fold/accepted_gaps.h"
#include "collector/fold/changed_series.h"
#include "collector/fold/contract_usage.h"
#include "collector/fold/series_sweep.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

/// One step is one job on the storage thread, and intake waits until it ends: the numbers bound it.
/// Each kind of work has its own, so that none waits for another; what is left over is the next
/// step's, which begins where this one stopped.
struct CommerceOptions {
  std::string zone_database;    // read_zone_database()
  size_t work_max = 8;          // periods decided or compared, after which no contract is begun
  size_t periods_max = 4;       // decided per contract and step
  size_t audits_max = 4;        // closed periods compared per contract and step after a change of
                                // the catalog
  size_t audit_rows_max = 100;  // read per contract and step for that
  size_t touches_max = 256;     // late changes looked at per step
  size_t adjusted_max = 4;      // closed periods adjusted per step
  size_t adjustments_max = 10'000;  // periods remembered that wait for their adjustment; the rest
                                    // is looked for again once these are booked
  size_t series_max = 500;          // looked at per step for usage that cannot be counted
  size_t open_max = 100'000;  // open exceptions remembered of all contracts, and as many of all
                              // series. Of contracts, later ones wait for the next start or
                              // change of the catalog; of series, each look also writes that
                              // nothing is open of those that are counted
  Duration sweep_interval = std::chrono::seconds(5);  // between two looks at the series
  Duration rating_retry =
      std::chrono::minutes(1);  // before a period that could not be rated is tried again
  Duration hold_retry = std::chrono::seconds(1);  // before a period that waits is looked at again
};

/// A booking that a close statement tells of.
struct ToldBooking {
  std::string tenant;
  std::string contract;
  Period period;
  uint32_t revision = 1;  // 1 closes the period; each later one adjusts it
};

/// What one step did, for the log and the counters.
struct CommerceReport {
  struct Held {
    std::string contract;
    Period period;
    std::string reason;
  };
  std::vector<DocumentRow> documents;
  size_t periods_closed = 0;
  size_t periods_adjusted = 0;
  size_t touches_settled = 0;
  size_t exceptions_written = 0;
  size_t conflicts = 0;  // somebody wrote meanwhile: the next step decides again
  bool more = false;     // there is work left: come again at once
  /// Contracts that could not be looked at; "*": what belongs to none of them alone.
  std::vector<std::pair<std::string, Error>> failed;
  std::vector<Held> held;  // periods past their end and grace that cannot close yet: of every
                           // contract as it was looked at last
};

class CommerceRunner {
 public:
  /// `signer`: the collector's, for what it closes. `changed` is what the fold on this thread
  /// tells; without it every look at the series that cannot be counted is one at all series.
  CommerceRunner(Store& store, Signer& signer, Catalog catalog, CommerceOptions options,
                 ChangedSeries* changed = nullptr);

  /// On the storage thread, as step() is.
  void set_catalog(Catalog catalog);

  /// An error is one to stop for (Store), or Errc::config where the catalog names no tenant and the
  /// store knows several.
  Result<CommerceReport> step(Timestamp now);

  /// For a replay: does again what the statement tells of, with the usage up to the fold's cursor.
  /// Whether it was due is not decided again; what it comes to is. Nothing is closed or adjusted
  /// where that cannot be done: report.held says why.
  Result<CommerceReport> book_again(const ToldBooking& told, Timestamp now);

 private:
  struct ContractHints {
    Timestamp due;  // nothing can close before it
    std::optional<Timestamp>
        audit_from;             // where the look at closed periods goes on; nothing: not begun
    bool audit_all = false;     // also periods that this very catalog closed
    bool audited = false;       // every closed period was compared with this catalog
    bool audit_passed = false;  // a closed period could not be compared
    std::optional<CommerceReport::Held> held;
    /// Ids of open exceptions. Those that a look at their cause does not write again are closed.
    std::set<std::string> late;        // from before this catalog, that the audit has not met
    std::set<std::string> held_open;   // kSilentDevice and kNotRated of the period at hand
    std::set<std::string> unadjusted;  // kNotRated of closed periods
    std::string forgotten;             // late, of a period that adjustable_ had no room for
  };
  /// A closed period with late usage that is not booked yet.
  struct Adjustable {
    std::set<std::string> late;    // ids of its exceptions, written or about to be
    std::optional<Timestamp> due;  // nothing: not looked up yet
  };
  using AdjustableKey = std::pair<std::string, Timestamp>;  // contract and start of the period
  struct AuditStep {
    Timestamp now;
    Timestamp reached;  // everything before it is compared
    size_t compared = 0;
    CommercialChanges changes;
  };
  /// A closed period with usage that came late, and the series that changed last of each line.
  struct LatePeriod {
    const Contract* contract = nullptr;
    PeriodDetail detail;
    std::optional<Error> unread;  // the detail cannot be read
    Period whole;                 // the row's
    Period named;
    std::map<LineKey, SeriesKey> lines;
  };
  /// What the late changes of one step are about: each closed period once, however many of its
  /// series changed.
  struct LateSlice {
    Timestamp now;
    std::map<std::pair<std::string, Timestamp>, LatePeriod> periods;  // by contract and start
    std::vector<ExceptionUpsert> exceptions;
  };
  struct SweepRows {
    std::map<SeriesId, SeriesKey> series;
    std::optional<SeriesId> last;  // of those listed, where there may be more behind it
  };
  /// What is, or may be, open of one series.
  struct OpenSeries {
    std::set<std::string, std::less<>> kinds;
    std::optional<uint64_t> count;  // written under this catalog, then of the only kind
  };

  /// What is wrong with one contract keeps no other from closing. An error is one to stop for.
  static Status isolate(const std::string& contract, const Status& status, CommerceReport& report);
  Status settle_touches(Timestamp now, CommerceReport& report);
  Status late_lines(const TouchedUsage& touch, LateSlice& slice);
  Status late_in_span(const SeriesRow& series, const MappedSpan& span, LateSlice& slice);
  /// Nullptr where no closed period holds t.
  Result<LatePeriod*> late_period(const Contract& contract, Timestamp t, LateSlice& slice);
  Status compare_late(const LatePeriod& period, LateSlice& slice);
  /// What cannot be compared becomes an exception; an error is one to stop for.
  Status note_uncompared(const Contract& contract, Period period, const Error& error, Timestamp now,
                         std::vector<ExceptionUpsert>& out) const;
  /// Remembers the late line of the period, whether or not the write that follows goes well.
  void note_adjustable(const Contract& contract, Period period, const std::string& late);
  Status adjust_due(Timestamp now, CommerceReport& report);
  /// When the late exceptions that are open say; nothing where none is.
  Result<std::optional<Timestamp>> adjustment_due(const Contract& contract,
                                                  const Adjustable& period);
  /// These three: true where the period needs no adjustment any more.
  Result<bool> adjust_if_due(const Contract& contract, Timestamp from, Adjustable& late,
                             Timestamp now, CommerceReport& report);
  Result<bool> adjust(const Contract& contract, Timestamp from, Adjustable& late, Timestamp now,
                      CommerceReport& report);
  Result<bool> book(const Contract& contract, const AdjustInput& input,
                    const std::vector<DeviceNeed>& needs, Adjustable& late, CommerceReport& report);
  Status not_adjusted(const Contract& contract, const AdjustInput& input, const Error& error,
                      Adjustable& late, CommerceReport& report);
  ExceptionUpsert unadjusted(const Contract& contract, const AdjustInput& input, UpsertMode mode,
                             std::string detail) const;
  /// commerce_close.cpp
  Result<BatchId> chain_value(const StreamProgress& progress);
  /// `row`: with the booking.
  Result<StatementPut> close_leaf(const Contract& contract, Period period, const PeriodRow& row,
                                  const std::vector<DeviceNeed>& needs,
                                  const EvidenceSummary& evidence,
                                  const std::optional<DocumentRow>& document, Timestamp now);
  /// Where every closed period is compared and none waits: closes what could not be booked.
  Status clear_unadjusted(Timestamp now, CommerceReport& report);

  /// The closed period that holds t.
  Result<std::optional<PeriodRow>> closed_at(const Contract& contract, Timestamp t);
  /// The given lines of a closed period with what is there now; without any, all of them.
  Result<std::vector<ExceptionUpsert>> compare(const Contract& contract, const PeriodDetail& detail,
                                               Period period, const std::set<LineKey>* only,
                                               Timestamp now);

  /// Contracts in the order of their names until the step's work is done.
  Status visit_contracts(Timestamp now, CommerceReport& report);
  Status close_due(const Contract& contract, Timestamp now, CommerceReport& report);
  Result<bool> close_next(const Contract& contract, Timestamp now, CommerceReport& report);
  Result<std::optional<Period>> next_period(const Contract& contract);
  /// What is read before the usage: a fold in between makes the write a conflict.
  struct Closable {
    Period next;
    LeafNumber cursor = 0;
    std::vector<DeviceNeed> needs;
    std::optional<Timestamp> told_until;  // of a replay: how many empty periods close with it
  };
  /// True where it was booked.
  Result<bool> close_one(const Contract& contract, const Closable& closable, Timestamp now,
                         CommerceReport& report);
  Result<bool> close_again(const Contract& contract, Period told, Timestamp now,
                           CommerceReport& report);
  /// The periods up to there in one, where the first is empty: as far as there is no usage.
  Result<Period> widened_as_told(const Contract& contract, Period period, Timestamp until);
  Result<Period> widened_while_empty(const Contract& contract, Period period, Timestamp now);
  Status hold(const Contract& contract, Period period, const std::vector<DeviceNeed>& needs,
              const std::vector<Waiting>& waiting, Timestamp now, CommerceReport& report);
  Status not_rated(const Contract& contract, Period period, const Error& error, Timestamp now,
                   CommerceReport& report);
  ExceptionUpsert unrated(const Contract& contract, Period period, UpsertMode mode,
                          std::string detail, Timestamp now) const;

  Status audit(const Contract& contract, Timestamp now, CommerceReport& report);
  /// From the row that holds t, or the first after it.
  Result<std::vector<PeriodRow>> rows_above(const Contract& contract, Timestamp t);
  /// Compares from where the step is; step.reached says how far it came.
  Status audit_row(const Contract& contract, const PeriodRow& row, AuditStep& step);
  /// The same; where it cannot, says so in an exception and passes the row.
  Status audit_or_pass(const Contract& contract, const PeriodRow& row, AuditStep& step);
  Status audit_period(const Contract& contract, const PeriodDetail& detail, Period period,
                      Timestamp now, CommercialChanges& changes);
  Status tell_uncounted(Timestamp now, CommerceReport& report);
  void begin_sweep(LeafNumber cursor, Timestamp now);
  Result<SweepRows> sweep_rows(const SeriesSweep::Page& page, CommerceReport& report);
  /// What is wrong with each, and how much usage that is.
  Result<std::vector<UncountedInput>> look_at(const SweepRows& rows, Timestamp now);
  /// What the look changes of the exceptions that are open.
  std::vector<ExceptionUpsert> uncounted_changes(const UncountedInput& look) const;
  void remember(const UncountedInput& look);

  ContractUsage usage() { return {store_, tenant_, *catalog_, *mapping_}; }
  /// What is open when a catalog comes into force.
  Status load_open();
  /// `look` is what a look at the period at hand says, all of it: what it writes that is not open
  /// yet, and a clear one for all that is open and that it does not write.
  std::vector<ExceptionUpsert> held_changes(const Contract& contract,
                                            const std::vector<ExceptionUpsert>& look,
                                            Timestamp now);
  Status write_held(const Contract& contract, const std::vector<ExceptionUpsert>& look,
                    Timestamp now, CommerceReport& report);
  /// Once every closed period is compared: closes the late exceptions that were not written again.
  Status clear_late(const Contract& contract, Timestamp now, CommerceReport& report);

  /// False where the store had moved on: nothing was written.
  Result<bool> write(const CommercialChanges& changes, CommerceReport& report);

  Store& store_;
  Signer& signer_;
  CommerceOptions options_;
  ChangedSeries* changed_;
  std::string tenant_;
  std::unique_ptr<const Catalog> catalog_;  // at a fixed address: mapping_ points into it
  std::unique_ptr<const Mapping> mapping_;
  std::map<std::string, ContractHints> hints_;
  std::map<AdjustableKey, Adjustable> adjustable_;
  AcceptedGaps gaps_;
  bool open_loaded_ = false;
  std::string turn_;         // the contract that was visited last in this round; empty: none
  bool round_more_ = false;  // a contract of this round has more to do
  size_t work_ = 0;          // of this step
  std::map<SeriesId, OpenSeries> open_series_;
  bool open_series_complete_ = false;       // nothing is open of any other
  std::optional<LeafNumber> swept_cursor_;  // everything before it was looked at
  SeriesSweep sweep_;
  LeafNumber sweep_cursor_ = 0;
  bool sweeping_ = false;
  Timestamp next_sweep_;
};

/// The version of the zone data that periods are cut by, e.g. "2025b"; "unknown" where the system
/// does not say.
std::string read_zone_database();

}  // namespace ledgerline::collector
