#pragma once
// Account updates: what customer success is told of a contract's period, when, and in which words.
// Pure.
//
// One document per rule, contract and period. While the period is open, each limit that is crossed
// writes the next revision; its close writes the last one, with the quantities of the bill. A
// period without usage that follows one without usage writes nothing.
//
// The body is compact JSON with exactly these members in this order; decimals are text, absent
// values null:
//   format (1), kind, id, revision, tenant, account {name, legal_name, external}, contract,
//   connector, rule, reason ("limit", "period"), as_of,
//   period {from, until, local_from, local_until, time_zone, zone_database},
//   meters [{subscription, meter, product, unit, quantity, included, share, previous_quantity,
//   trend, days_to_limit, limits_crossed []}], features [{name, active, known, adoption}],
//   signals [{kind ("expansion", "churn"), because}],
//   health {score, parts [{name, score, weight, because}]},
//   catalog (hash), evidence {log_leaves, streams [{stream, device, batches, readings}]}
//
// as_of      every reading before it is counted; the period's end where it is closed. A silent
//            device holds it back, so that its silence does not look like a fall in use.
// quantity   all that is counted: of an open period it may hold readings behind as_of, so that a
//            limit is told at once. Of a closed one: what was billed.
// included   the period's whole allowance; 0: there is none, and no share and no limit either.
// share      quantity / included, 4 places, cut off: 0.7999 has not crossed 0.8.
// previous_quantity, trend  the period before, up to the same share of it as as_of is of this one;
//            trend is (quantity before as_of - previous) / previous, 4 places. Null where there is
//            no period before, or nothing was used in it.
// days_to_limit  whole days from as_of until the next limit, at the mean pace of this period up to
//            as_of; 0 is today. Null where all are crossed, where the period ends first (the
//            allowance then begins anew), and for meters that are not summed or counted.
// active     subjects with a reading other than 0 of the feature in the period.
// known      subjects of the contract in the period: those that a link names, and those that were
//            ever seen on a link for every subject. adoption is active / known, 4 places.
// health     the mean of its parts by weight, 0 to 100. Parts that say nothing (no feature, no
//            period before, no device) are left out; health is null where none is left. All
//            integers are cut off, but the mean, which is rounded half up:
//   adoption   the mean over the features of 100 x active / known
//   trend      the mean over the meters with a trend of 100 x quantity / previous quantity, at most
//              100: use that holds or grows is healthy, whatever its size
//   data       100 x devices whose readings are there / devices that the period needs. A device is
//              late as it is for a bill: later than the contract's grace and silence.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collector/core/account_state.h"
#include "collector/core/documents.h"
#include "common/fraction.h"

namespace ledgerline::collector {

inline constexpr std::string_view kAccountUpdate = "account-update";

/// document_id_of() "au" and kind, tenant, rule, contract, start of the period. All revisions have
/// one id.
std::string account_update_id(std::string_view tenant, std::string_view rule,
                              std::string_view contract, Timestamp period_from);

/// A meter that a subscription's rate card prices.
struct MeterUse {
  LineKey key;
  std::string product;
  std::string unit;
  Aggregation aggregation = Aggregation::sum;
  Decimal included;
  Decimal quantity;
  Decimal complete_quantity;                 // of what is before as_of
  std::optional<Decimal> previous_quantity;  // nothing: there is no period before
};

struct FeatureUse {
  std::string name;
  uint64_t active = 0;
  uint64_t known = 0;
};

/// Every priced meter of the contract in the period, used or not; complete_quantity is quantity,
/// previous_quantity is for the caller.
std::vector<MeterUse> meters_of(const Catalog& catalog, const Contract& contract, Period period,
                                const PeriodUsage& usage);
/// The same with what was booked, and what was booked for meters that the catalog prices no more.
std::vector<MeterUse> meters_of(const Catalog& catalog, const Contract& contract, Period period,
                                const PeriodDetail& booked);

/// Adds the rule's limits that the meters have reached; true where there was a new one.
bool add_crossed(const AccountRule& rule, const std::vector<MeterUse>& meters,
                 CrossedLimits& crossed);

/// From where on something may be missing; of a period's devices and the present.
Timestamp complete_as_of(Period period, const std::vector<DeviceNeed>& needs, Timestamp now);
/// The period before, nothing for the first. Cut to the same share that [period.from, as_of) is.
std::optional<Period> same_share_before(const Contract& contract, Period period, Timestamp as_of);
/// How many of the devices are not late.
uint64_t devices_heard(const Contract& contract, const std::vector<DeviceNeed>& needs,
                       Timestamp now);

struct AccountUpdateInput {
  std::string tenant;
  Period period;
  bool closed = false;
  Timestamp as_of;
  uint32_t revision = 1;
  std::vector<MeterUse> meters;
  CrossedLimits crossed;
  std::vector<FeatureUse> features;
  uint64_t devices = 0;
  uint64_t devices_heard = 0;
  EvidenceSummary evidence;
  std::string zone_database;
  Timestamp now;
};

/// Approved: an update waits for nobody here. Errc::reject where a value needs more than 126 bits.
Result<DocumentRow> make_account_update(const Catalog& catalog, const Contract& contract,
                                        const AccountRule& rule, const AccountUpdateInput& input);

}  // namespace ledgerline::collector
