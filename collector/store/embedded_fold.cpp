// The fold's transaction and what is read back of it.

#include <algorithm>
#include <map>
#include <set>

#include "collector/core/correction.h"
#include "collector/store/embedded_store.h"
#include "common/check.h"
#include "common/crypto.h"

namespace ledgerline::collector {

namespace {

Key fold_key() { return Key(Table::meta).text("fold"); }
Key usage_key(SeriesId series, QuarterHour quarter) {
  return Key(Table::usage).u64(series).quarter(quarter);
}
Key series_by_key(const SeriesKey& key) {
  return Key(Table::series_by_key)
      .text(key.tenant)
      .text(key.device)
      .id(sha256(encode_record(key)).view());
}
Key series_count_key(const SeriesKey& key) {
  return Key(Table::series_count).text(key.tenant).text(key.device);
}

Result<FoldRow> read_fold(Rows& rows) {
  TRY(const auto row, rows.find<FoldRow>(fold_key()));
  return row.value_or(FoldRow{});
}

Result<uint64_t> log_size(Rows& rows) {
  TRY(const auto row, rows.find<LogRow>(Key(Table::meta).text("log")));
  return row ? row->size : 0;
}

Status put_series(Rows& rows, const SeriesRow& row) {
  TRY_VOID(rows.put(Key(Table::series).u64(row.id), row.key));
  TRY_VOID(rows.put_u64(series_by_key(row.key), row.id));
  TRY_VOID(rows.put_nothing(
      Key(Table::series_by_device).text(row.key.tenant).text(row.key.device).u64(row.id)));
  if (is_correction(row.key)) return {};
  TRY(const auto count, rows.find_u64(series_count_key(row.key)));
  return rows.put_u64(series_count_key(row.key), count.value_or(0) + 1);
}

/// Which usage changes at or before the end of a closed period. Nearly all of it is newer than any,
/// so the tenant is only looked up where it is not.
class ClosedPeriods {
 public:
  static Result<ClosedPeriods> of(Rows& rows) {
    TRY(const auto any, rows.find_u64(Key(Table::closed_until).text("")));
    return ClosedPeriods(rows, any);
  }

  Result<bool> touched_by(const UsageDelta& delta) {
    if (!latest_ || delta.earliest >= unbiased(*latest_)) return false;
    TRY(const auto key, rows_.get<SeriesKey>(Key(Table::series).u64(delta.series), "series"));
    TRY(const auto until, rows_.find_u64(Key(Table::closed_until).text(key.tenant)));
    return until && delta.earliest < unbiased(*until);
  }

 private:
  ClosedPeriods(Rows& rows, std::optional<uint64_t> latest) : rows_(rows), latest_(latest) {}
  static Timestamp unbiased(uint64_t ms) { return Timestamp(static_cast<int64_t>(ms)); }

  Rows& rows_;
  std::optional<uint64_t> latest_;
};

Status put_touched(Rows& rows, const UsageDelta& delta) {
  const Key key = Key(Table::touched).u64(delta.series).quarter(delta.quarter);
  TRY(auto row, rows.find<TouchedUsage>(key));
  if (!row) {
    row = TouchedUsage{.series = delta.series,
                       .quarter = delta.quarter,
                       .earliest = delta.earliest,
                       .first_leaf = delta.leaves.front(),
                       .last_leaf = delta.leaves.back(),
                       .added = {}};
  }
  row->earliest = std::min(row->earliest, delta.earliest);
  row->last_leaf = std::max(row->last_leaf, delta.leaves.back());
  row->added.merge(delta.value);
  return rows.put(key, *row);
}

Status add_usage(Rows& rows, ClosedPeriods& closed, const UsageDelta& delta) {
  CHECK_INVARIANT(!delta.leaves.empty());
  const Key key = usage_key(delta.series, delta.quarter);
  TRY(const auto stored, rows.find<UsageValue>(key));
  UsageValue value = stored.value_or(UsageValue{});
  value.merge(delta.value);
  TRY_VOID(rows.put(key, value));
  for (const LeafNumber leaf : delta.leaves) {
    TRY_VOID(
        rows.put_nothing(Key(Table::evidence).u64(delta.series).quarter(delta.quarter).u64(leaf)));
  }
  TRY(const bool touched, closed.touched_by(delta));
  if (touched) TRY_VOID(put_touched(rows, delta));
  return {};
}

Key correction_key(const std::string& tenant, const std::string& device, const Digest& id) {
  return Key(Table::correction).text(tenant).text(device).id(id.view());
}

/// The quarter hours of the span with usage of the series, up to `end`.
Status touch_series(Rows& rows, SeriesId series, const CorrectionRow& span, Timestamp end,
                    LeafNumber leaf, std::set<QuarterHour>& touched) {
  const QuarterHour last = QuarterHour::of(std::min(span.until, end) - Duration(1));
  std::vector<UsageDelta> found;
  const auto visit = [&](ByteView key, UsageValue) -> Result<bool> {
    KeyReader reader(key);
    TRY_VOID(reader.u64());
    TRY(const QuarterHour quarter, reader.quarter());
    if (touched.insert(quarter).second) {
      found.push_back({.series = series,
                       .quarter = quarter,
                       .value = {},
                       .earliest = std::max(span.from, quarter.start()),
                       .leaves = {leaf}});
    }
    return true;
  };
  TRY_VOID(rows.scan<UsageValue>(usage_key(series, QuarterHour::of(span.from)),
                                 usage_key(series, last.next()), visit));
  for (const UsageDelta& delta : found) TRY_VOID(put_touched(rows, delta));
  return {};
}

/// What a void or withdraw changes of usage before the end of a closed period. Series that count
/// alike belong to the same lines, so one of them stands for all in a quarter hour.
Status touch_corrected(Rows& rows, const CorrectionRow& span, LeafNumber leaf) {
  TRY(const auto closed_until, rows.find_u64(Key(Table::closed_until).text(span.tenant)));
  if (!closed_until) return {};
  const Timestamp end(static_cast<int64_t>(*closed_until));
  if (span.from >= end) return {};
  const Key prefix = Key(Table::series_by_device).text(span.tenant).text(span.device);
  std::vector<SeriesId> ids;
  TRY_VOID(rows.scan_keys(prefix, prefix.end(), [&](ByteView key) -> Result<bool> {
    ids.push_back(big_endian64(key.subspan(key.size() - 8)));
    return true;
  }));
  std::map<std::pair<std::string, MeterKind>, std::set<QuarterHour>> touched;  // by unit and kind
  for (const SeriesId id : ids) {
    TRY(const auto key, rows.get<SeriesKey>(Key(Table::series).u64(id), "series"));
    if (key.subject != span.subject || key.meter != span.meter) continue;
    TRY_VOID(touch_series(rows, id, span, end, leaf, touched[{key.unit, key.kind}]));
  }
  return {};
}

Status put_correction(Rows& rows, const CorrectionRow& row) {
  TRY_VOID(rows.put(correction_key(row.tenant, row.device, row.id), row));
  switch (row.action) {
    case CorrectionAction::add:
      return {};  // its usage is touched like any other
    case CorrectionAction::void_usage:
      return touch_corrected(rows, row, row.leaf);
    case CorrectionAction::withdraw:
      break;
  }
  CHECK_INVARIANT(row.withdraws.has_value());
  TRY(const auto ended,
      rows.find<CorrectionRow>(correction_key(row.tenant, row.device, *row.withdraws)));
  if (!ended) return {};  // has changed nothing yet, and will not
  return touch_corrected(rows, *ended, row.leaf);
}

}  // namespace

Result<FoldCursor> EmbeddedStore::fold_cursor() {
  return read([&](Rows& rows) -> Result<FoldCursor> {
    TRY(const auto row, read_fold(rows));
    TRY(const auto size, log_size(rows));
    return FoldCursor{.cursor = row.cursor, .log_size = size, .next_series_id = row.next_series_id};
  });
}

Result<std::optional<StreamFoldState>> EmbeddedStore::fold_state(const StreamId& stream) {
  return read([&](Rows& rows) {
    return rows.find<StreamFoldState>(Key(Table::fold_state).id(stream.view()));
  });
}

Status EmbeddedStore::fold(const FoldChanges& changes) {
  return write([&](Rows& rows) -> Status {
    TRY(auto row, read_fold(rows));
    if (row.cursor != changes.cursor_before)
      return fail(Errc::conflict, "another fold has moved the cursor");
    TRY(const auto size, log_size(rows));
    CHECK_INVARIANT(changes.cursor_after >= changes.cursor_before && changes.cursor_after <= size);

    for (const SeriesRow& series : changes.new_series) {
      CHECK_INVARIANT(series.id == row.next_series_id);
      TRY_VOID(put_series(rows, series));
      ++row.next_series_id;
    }
    TRY(auto closed, ClosedPeriods::of(rows));
    for (const UsageDelta& delta : changes.usage) TRY_VOID(add_usage(rows, closed, delta));
    for (const CorrectionRow& one : changes.corrections) TRY_VOID(put_correction(rows, one));
    for (const auto& [stream, state] : changes.streams) {
      TRY_VOID(rows.put(Key(Table::fold_state).id(stream.view()), state));
    }
    TRY_VOID(write_exceptions(rows, changes.exceptions));
    for (const ClockNote& note : changes.clock_notes) {
      TRY_VOID(rows.put(Key(Table::clock_note).u64(note.leaf), note.anchor));
    }
    row.cursor = changes.cursor_after;
    return rows.put(fold_key(), row);
  });
}

Result<SeriesId> EmbeddedStore::find_series(const SeriesKey& key) {
  return read([&](Rows& rows) -> Result<SeriesId> {
    TRY(const auto id, rows.find_u64(series_by_key(key)));
    return id.value_or(0);
  });
}

Result<uint64_t> EmbeddedStore::series_count(const std::string& tenant, const std::string& device) {
  return read([&](Rows& rows) -> Result<uint64_t> {
    TRY(const auto count, rows.find_u64(Key(Table::series_count).text(tenant).text(device)));
    return count.value_or(0);
  });
}

Result<SeriesRow> EmbeddedStore::series(SeriesId id) {
  return read([&](Rows& rows) -> Result<SeriesRow> {
    TRY(auto key, rows.get<SeriesKey>(Key(Table::series).u64(id), "series"));
    return SeriesRow{.id = id, .key = std::move(key)};
  });
}

namespace {

/// From filter.after on, so that reading all pages costs as much as reading all series.
Result<std::vector<SeriesRow>> series_of_device(Rows& rows, const SeriesFilter& filter) {
  const Key prefix = Key(Table::series_by_device).text(filter.tenant).text(filter.device);
  const Key from = Key(prefix).u64(filter.after + 1);
  std::vector<SeriesRow> out;
  TRY_VOID(rows.scan_keys(from, prefix.end(), [&](ByteView key) -> Result<bool> {
    if (out.size() == filter.limit) return false;
    out.push_back({.id = big_endian64(key.subspan(key.size() - 8)), .key = {}});
    return true;
  }));
  for (SeriesRow& row : out) {
    TRY(row.key, rows.get<SeriesKey>(Key(Table::series).u64(row.id), "series"));
  }
  return out;
}

Result<std::vector<SeriesRow>> series_of_tenant(Rows& rows, const SeriesFilter& filter) {
  const Key from = Key(Table::series).u64(filter.after + 1);
  std::vector<SeriesRow> out;
  const auto visit = [&](ByteView key, SeriesKey series) -> Result<bool> {
    if (out.size() == filter.limit) return false;
    if (series.tenant == filter.tenant) {
      out.push_back({.id = big_endian64(key.subspan(key.size() - 8)), .key = std::move(series)});
    }
    return true;
  };
  TRY_VOID(rows.scan<SeriesKey>(from, Key(Table::series).end(), visit));
  return out;
}

}  // namespace

Result<std::vector<SeriesRow>> EmbeddedStore::list_series(const SeriesFilter& filter) {
  return read([&](Rows& rows) {
    return filter.device.empty() ? series_of_tenant(rows, filter) : series_of_device(rows, filter);
  });
}

Result<std::vector<UsageRow>> EmbeddedStore::usage(SeriesId series, QuarterHour from,
                                                   QuarterHour to) {
  return read([&](Rows& rows) -> Result<std::vector<UsageRow>> {
    std::vector<UsageRow> out;
    const auto visit = [&](ByteView key, UsageValue value) -> Result<bool> {
      KeyReader reader(key);
      TRY(const SeriesId id, reader.u64());
      TRY(const QuarterHour quarter, reader.quarter());
      out.push_back({.series = id, .quarter = quarter, .value = std::move(value)});
      return true;
    };
    TRY_VOID(rows.scan<UsageValue>(usage_key(series, from), usage_key(series, to), visit));
    return out;
  });
}

Result<std::vector<LeafNumber>> EmbeddedStore::evidence(SeriesId series, QuarterHour from,
                                                        QuarterHour to) {
  return read([&](Rows& rows) -> Result<std::vector<LeafNumber>> {
    std::vector<LeafNumber> out;
    const Key first = Key(Table::evidence).u64(series).quarter(from);
    const Key end = Key(Table::evidence).u64(series).quarter(to);
    TRY_VOID(rows.scan_keys(first, end, [&](ByteView key) -> Result<bool> {
      out.push_back(big_endian64(key.subspan(key.size() - 8)));
      return true;
    }));
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  });
}

Result<std::optional<ClockAnchor>> EmbeddedStore::clock_note(LeafNumber leaf) {
  return read([&](Rows& rows) { return rows.find<ClockAnchor>(Key(Table::clock_note).u64(leaf)); });
}

Result<std::vector<CorrectionRow>> EmbeddedStore::corrections(const std::string& tenant,
                                                              const std::string& device) {
  return read([&](Rows& rows) -> Result<std::vector<CorrectionRow>> {
    const Key prefix = Key(Table::correction).text(tenant).text(device);
    std::vector<CorrectionRow> out;
    TRY_VOID(rows.scan<CorrectionRow>(prefix, prefix.end(),
                                      [&](ByteView, CorrectionRow row) -> Result<bool> {
                                        out.push_back(std::move(row));
                                        return true;
                                      }));
    return out;
  });
}

Result<std::optional<CorrectionRow>> EmbeddedStore::correction(const std::string& tenant,
                                                               const std::string& device,
                                                               const Digest& id) {
  return read(
      [&](Rows& rows) { return rows.find<CorrectionRow>(correction_key(tenant, device, id)); });
}

Result<std::vector<TouchedUsage>> EmbeddedStore::touched_usage(size_t limit) {
  return read([&](Rows& rows) -> Result<std::vector<TouchedUsage>> {
    const Key prefix(Table::touched);
    std::vector<TouchedUsage> out;
    TRY_VOID(rows.scan<TouchedUsage>(prefix, prefix.end(),
                                     [&](ByteView, TouchedUsage row) -> Result<bool> {
                                       if (out.size() == limit) return false;
                                       out.push_back(std::move(row));
                                       return true;
                                     }));
    return out;
  });
}

}  // namespace ledgerline::collector
