// Usage that the catalog or the mapping cannot count.
#include <algorithm>
#include <array>

#include "collector/fold/commerce_runner.h"
#include "collector/fold/evidence.h"
#include "collector/fold/faults.h"
#include "common/toml.h"

namespace ledgerline::collector {

namespace {

std::string fault_text(const Catalog& catalog, const SeriesKey& key) {
  const CatalogMeter* meter = catalog.meter(key.meter);
  const std::string declared =
      "declared as " + std::string(to_string(key.kind)) + " in \"" + key.unit + "\"";
  if (meter != nullptr) {
    return declared + ", the catalog says " + std::string(to_string(meter->kind)) + " in \"" +
           meter->unit + "\"";
  }
  std::vector<std::string> names;
  for (const auto& [name, known] : catalog.meters()) names.push_back(name);
  const auto near = nearest_name(key.meter, names);
  return declared + ", the catalog has no such meter" +
         (near ? "; did you mean \"" + *near + "\"?" : "");
}

/// When a series belongs to no contract: no link decides, or the contract has not begun or has
/// ended.
std::vector<Period> unmapped_spans(const Catalog& catalog, const Mapping& mapping,
                                   const SeriesKey& key) {
  std::vector<Period> out;
  const auto add = [&](Timestamp from, Timestamp until) {
    if (from < until) out.push_back({from, until});
  };
  for (const MappedSpan& span : mapping.spans(key.device, key.subject, kAlways)) {
    if (span.link != nullptr && span.link->subscription.empty()) continue;  // an asset's alone
    const Contract* contract =
        span.link != nullptr ? catalog.contract_of(span.link->subscription) : nullptr;
    if (contract == nullptr) {
      add(span.from, span.until);
      continue;
    }
    add(span.from, std::min(span.until, contract->rule.anchor()));
    if (contract->until) add(std::max(span.from, *contract->until), span.until);
  }
  return out;
}

/// Says in `look` what is wrong with the series; returns when that is so, whether it was used then
/// or not.
std::vector<Period> uncounted_spans(const Catalog& catalog, const Mapping& mapping,
                                    UncountedInput& look) {
  const SeriesKey& key = look.series.key;
  const CatalogMeter* meter = catalog.meter(key.meter);
  if (meter != nullptr && meter->stream_class == StreamClass::diagnostic) return {};
  look.kind = series_fault(catalog, key);
  if (!look.kind.empty()) {
    look.detail = fault_text(catalog, key);
    return {kAlways};
  }
  look.kind = exception_kind::kUnmappedSubject;
  look.detail = "no link names device \"" + key.device + "\", subject \"" + key.subject +
                "\", or its contract has not begun or has ended";
  return unmapped_spans(catalog, mapping, key);
}

/// By device and time, the series (places in the list of looks) that are not counted then. They are
/// read together: a time that begins inside a quarter hour is read back from the batches, which
/// the series of a device share.
using UncountedSpans = std::map<std::pair<std::string, Period>, std::vector<size_t>>;

/// What cannot be read is noted; an error is one to stop for.
Status add_usage(Store& store, Period span, const std::vector<size_t>& of,
                 std::vector<UncountedInput>& looks, std::vector<std::optional<Error>>& unread) {
  std::vector<SeriesId> ids;
  for (const size_t i : of) ids.push_back(looks[i].series.id);
  const auto used = exact_usage(store, ids, span.from, span.until);
  if (used) {
    for (const size_t i : of) {
      const auto found = used->find(looks[i].series.id);
      if (found != used->end()) looks[i].usage.merge(found->second);
    }
    return {};
  }
  if (is_for_all(used.error())) return fail(used.error());
  if (of.size() == 1) {
    unread[of.front()] = used.error();
    return {};
  }
  // One that cannot be read hides no other.
  for (const size_t i : of) TRY_VOID(add_usage(store, span, {i}, looks, unread));
  return {};
}

}  // namespace

Status CommerceRunner::tell_uncounted(Timestamp now, CommerceReport& report) {
  TRY(const FoldCursor fold, store_.fold_cursor());
  if (!sweeping_) {
    if (swept_cursor_ == fold.cursor || now < next_sweep_) return {};
    begin_sweep(fold.cursor, now);
  }
  const SeriesSweep::Page page = sweep_.page(options_.series_max);
  TRY(const SweepRows rows, sweep_rows(page, report));
  TRY(const auto looks, look_at(rows, now));
  CommercialChanges changes;
  for (const UncountedInput& look : looks) {
    for (ExceptionUpsert& upsert : uncounted_changes(look))
      changes.exceptions.push_back(std::move(upsert));
  }
  if (!changes.exceptions.empty()) {
    changes.expected_cursor = fold.cursor;
    TRY(const bool written, write(changes, report));
    if (!written) return {};
  }
  for (const UncountedInput& look : looks) remember(look);
  sweep_.passed(page, rows.last);
  if (sweep_.more()) {
    report.more = true;
    return {};
  }
  sweeping_ = false;
  swept_cursor_ = sweep_cursor_;
  return {};
}

void CommerceRunner::begin_sweep(LeafNumber cursor, Timestamp now) {
  next_sweep_ = now + options_.sweep_interval;
  sweeping_ = true;
  sweep_cursor_ = cursor;
  // Taken also where all are looked at: what it tells then begins at this cursor.
  auto changed = changed_ != nullptr ? changed_->take(swept_cursor_.value_or(cursor), cursor)
                                     : std::optional<std::set<SeriesId>>();
  if (swept_cursor_ && changed) {
    sweep_.look_at(std::move(*changed));
    return;
  }
  std::set<SeriesId> open;
  for (const auto& [id, one] : open_series_) open.insert(open.end(), id);
  sweep_.look_at_all(std::move(open));
}

Result<CommerceRunner::SweepRows> CommerceRunner::sweep_rows(const SeriesSweep::Page& page,
                                                             CommerceReport& report) {
  SweepRows out;
  for (const SeriesId id : page.named) {
    auto series = store_.series(id);
    if (!series && is_for_all(series.error())) return fail(series.error());
    if (!series) {
      report.failed.emplace_back("*", series.error());
    } else if (series->key.tenant == tenant_) {
      out.series.emplace(id, std::move(series->key));
    }
  }
  if (page.listed_max == 0) return out;
  TRY(auto listed,
      store_.list_series(
          {.tenant = tenant_, .device = {}, .after = page.after, .limit = page.listed_max}));
  if (listed.size() == page.listed_max) out.last = listed.back().id;
  for (SeriesRow& row : listed) {
    if (page.through && row.id > *page.through) {
      out.last.reset();
      break;
    }
    out.series.emplace(row.id, std::move(row.key));
  }
  return out;
}

Result<std::vector<UncountedInput>> CommerceRunner::look_at(const SweepRows& rows, Timestamp now) {
  std::vector<UncountedInput> looks;
  UncountedSpans spans;
  for (const auto& [id, key] : rows.series) {
    UncountedInput look{
        .kind = {}, .series = {.id = id, .key = key}, .usage = {}, .detail = {}, .now = now};
    for (const Period& span : uncounted_spans(*catalog_, *mapping_, look))
      spans[{key.device, span}].push_back(looks.size());
    looks.push_back(std::move(look));
  }
  std::vector<std::optional<Error>> unread(looks.size());
  for (const auto& [where, of] : spans)
    TRY_VOID(add_usage(store_, where.second, of, looks, unread));
  for (size_t i = 0; i < looks.size(); ++i) {
    UncountedInput& look = looks[i];
    if (unread[i]) {
      look.usage = {};
      look.detail += "; how much it is cannot be read: " + unread[i]->text();
    } else if (look.usage.count == 0) {
      look.kind = {};
    }
  }
  return looks;
}

std::vector<ExceptionUpsert> CommerceRunner::uncounted_changes(const UncountedInput& look) const {
  const auto open = open_series_.find(look.series.id);
  const bool known = open != open_series_.end();
  if (look.kind.empty() && !known && open_series_complete_) return {};
  if (known && open->second.kinds.contains(look.kind) && open->second.count == look.usage.count)
    return {};
  auto upserts = uncounted_exceptions(look);
  std::erase_if(upserts, [&](const ExceptionUpsert& upsert) {
    return upsert.mode == UpsertMode::clear && open_series_complete_ &&
           !(known && open->second.kinds.contains(upsert.row.kind));
  });
  return upserts;
}

void CommerceRunner::remember(const UncountedInput& look) {
  if (look.kind.empty()) {
    open_series_.erase(look.series.id);
  } else {
    open_series_[look.series.id] = {.kinds = {std::string(look.kind)}, .count = look.usage.count};
  }
}

}  // namespace ledgerline::collector
