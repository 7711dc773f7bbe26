#include "collector/fold/evidence.h"

#include <algorithm>
#include <array>
#include <set>

#include "collector/core/folding.h"

namespace ledgerline::collector {

namespace {

using UsageBySeries = std::map<SeriesId, UsageValue>;
using Wanted = std::map<SeriesKey, SeriesId>;

Status add_whole(Store& store, const Wanted& wanted, QuarterHour from, QuarterHour to,
                 UsageBySeries& out) {
  for (const auto& [key, id] : wanted) {
    TRY(const auto rows, store.usage(id, from, to));
    for (const UsageRow& row : rows) out[id].merge(row.value);
  }
  return {};
}

void add_correction(const CorrectionFold& folded, const Wanted& wanted, Timestamp from,
                    Timestamp to, UsageBySeries& out) {
  if (!folded.usage || folded.usage->earliest < from || folded.usage->earliest >= to) return;
  const auto found = wanted.find(folded.usage->key);
  if (found != wanted.end()) out[found->second].merge(folded.usage->value);
}

Status add_leaf(Store& store, LeafNumber leaf, const Wanted& wanted, Timestamp from, Timestamp to,
                UsageBySeries& out) {
  TRY(const auto entry, store.leaf(leaf));
  if (entry.kind == LeafKind::correction) {
    add_correction(fold_correction(entry), wanted, from, to, out);
    return {};
  }
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
Status add_cut(Store& store, const Wanted& wanted, Timestamp from, Timestamp to,
               UsageBySeries& out) {
  if (from >= to) return {};
  const QuarterHour quarter = QuarterHour::of(from);
  std::set<LeafNumber> leaves;  // series share them: each is decoded once
  for (const auto& [key, id] : wanted) {
    TRY(const auto of_series, store.evidence(id, quarter, quarter.next()));
    leaves.insert(of_series.begin(), of_series.end());
  }
  for (const LeafNumber leaf : leaves) TRY_VOID(add_leaf(store, leaf, wanted, from, to, out));
  return {};
}

Status add_span(Store& store, const Wanted& wanted, Period span, UsageBySeries& out) {
  const auto [from, to] = span;
  // The first whole quarter hour, and the one that is no longer whole.
  QuarterHour first = QuarterHour::of(from);
  if (first.start() < from) first = first.next();
  const QuarterHour end = QuarterHour::of(to);
  if (first > end) return add_cut(store, wanted, from, to, out);
  TRY_VOID(add_cut(store, wanted, from, first.start(), out));
  TRY_VOID(add_whole(store, wanted, first, end, out));
  return add_cut(store, wanted, end.start(), to, out);
}

}  // namespace

Result<UsageBySeries> exact_usage(Store& store, std::span<const SeriesId> series, Timestamp from,
                                  Timestamp to) {
  if (series.empty() || from >= to) return UsageBySeries();
  TRY(const auto first, store.series(series.front()));
  TRY(const auto rows, store.corrections(first.key.tenant, first.key.device));
  return exact_usage(store, series, from, to, Corrections(rows));
}

Result<UsageBySeries> exact_usage(Store& store, std::span<const SeriesId> series, Timestamp from,
                                  Timestamp to, const Corrections& corrections) {
  UsageBySeries out;
  if (from >= to) return out;
  std::map<std::vector<Period>, Wanted> by_spans;  // series that share their spans share leaves
  for (const SeriesId id : series) {
    TRY(auto row, store.series(id));
    if (corrections.is_withdrawn(row.key)) continue;
    by_spans[corrections.kept(row.key, {from, to})].emplace(std::move(row.key), id);
  }
  for (const auto& [spans, wanted] : by_spans) {
    for (const Period& span : spans) TRY_VOID(add_span(store, wanted, span, out));
  }
  return out;
}

Result<std::vector<UsageRow>> counted_rows(Store& store, const SeriesRow& series, QuarterHour from,
                                           QuarterHour to, const Corrections& corrections) {
  std::vector<UsageRow> out;
  if (corrections.is_withdrawn(series.key)) return out;
  TRY(auto rows, store.usage(series.id, from, to));
  for (UsageRow& row : rows) {
    const Period whole{row.quarter.start(), row.quarter.end()};
    if (corrections.kept(series.key, whole) != std::vector<Period>{whole}) {
      TRY(auto used,
          exact_usage(store, std::array{series.id}, whole.from, whole.until, corrections));
      row.value = used[series.id];
    }
    if (row.value.count != 0) out.push_back(std::move(row));
  }
  return out;
}

}  // namespace ledgerline::collector
