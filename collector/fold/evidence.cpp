#include "collector/fold/evidence.h"

#include <algorithm>
#include <set>

#include "collector/core/folding.h"

namespace ledgerline::collector {

namespace {

using UsageBySeries = std::map<SeriesId, UsageValue>;

Status add_whole(Store& store, std::span<const SeriesId> series, QuarterHour from, QuarterHour to,
                 UsageBySeries& out) {
  for (const SeriesId id : series) {
    TRY(const auto rows, store.usage(id, from, to));
    for (const UsageRow& row : rows) out[id].merge(row.value);
  }
  return {};
}

Status add_leaf(Store& store, LeafNumber leaf, const std::map<SeriesKey, SeriesId>& wanted,
                Timestamp from, Timestamp to, UsageBySeries& out) {
  TRY(const auto entry, store.leaf(leaf));
  TRY(const auto stream, store.stream(entry.stream));
  TRY(const auto state, store.fold_state(entry.stream));
  TRY(const auto note, store.clock_note(leaf));
  const BatchContext context{.tenant = stream.grant.tenant,
                             .device = stream.grant.device,
                             .stream = entry.stream,
                             .number = entry.number,
                             .leaf = leaf,
                             .received_at = entry.received_at};
  TRY(const auto usage,
      read_back(context, entry.sealed, state ? state->meters : MeterRows{}, note, from, to));
  for (const SeriesUsage& one : usage) {
    const auto found = wanted.find(one.key);
    if (found != wanted.end()) out[found->second].merge(one.value);
  }
  return {};
}

/// [from, to) lies inside one quarter hour.
Status add_cut(Store& store, const std::map<SeriesKey, SeriesId>& wanted, Timestamp from,
               Timestamp to, UsageBySeries& out) {
  if (from >= to) return {};
  const QuarterHour quarter = QuarterHour::of(from);
  std::set<LeafNumber> leaves;  // series share batches: each is decoded once
  for (const auto& [key, id] : wanted) {
    TRY(const auto of_series, store.evidence(id, quarter, quarter.next()));
    leaves.insert(of_series.begin(), of_series.end());
  }
  for (const LeafNumber leaf : leaves) TRY_VOID(add_leaf(store, leaf, wanted, from, to, out));
  return {};
}

}  // namespace

Result<UsageBySeries> exact_usage(Store& store, std::span<const SeriesId> series, Timestamp from,
                                  Timestamp to) {
  std::map<SeriesKey, SeriesId> wanted;
  for (const SeriesId id : series) {
    TRY(auto row, store.series(id));
    wanted.emplace(std::move(row.key), id);
  }
  UsageBySeries out;
  if (from >= to) return out;
  // The first whole quarter hour, and the one that is no longer whole.
  QuarterHour first = QuarterHour::of(from);
  if (first.start() < from) first = first.next();
  const QuarterHour end = QuarterHour::of(to);
  if (first > end) {
    TRY_VOID(add_cut(store, wanted, from, to, out));
    return out;
  }
  TRY_VOID(add_cut(store, wanted, from, first.start(), out));
  TRY_VOID(add_whole(store, series, first, end, out));
  TRY_VOID(add_cut(store, wanted, end.start(), to, out));
  return out;
}

}  // namespace ledgerline::collector
