// Usage that the catalog or the mapping cannot count.
#include <algorithm>

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
  TRY(const SweepPage page, sweep_page(report));
  CommercialChanges changes;
  std::vector<std::pair<SeriesId, SeriesNote>> notes;
  TRY(const auto looks, look_at(page.rows, now));
  for (const UncountedInput& look : looks) {
    SeriesNote note{std::string(look.kind), look.usage.count};
    const auto before = series_notes_.find(look.series.id);
    if (before != series_notes_.end() && before->second == note) continue;
    for (ExceptionUpsert& upsert : uncounted_exceptions(look))
      changes.exceptions.push_back(std::move(upsert));
    notes.emplace_back(look.series.id, std::move(note));
  }
  if (!changes.exceptions.empty()) {
    changes.expected_cursor = fold.cursor;
    TRY(const bool written, write(changes, report));
    if (!written) return {};
  }
  for (auto& [id, note] : notes) series_notes_[id] = std::move(note);
  if (page.more) {
    sweep_after_ = page.last;
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
  sweep_after_ = 0;
  sweep_cursor_ = cursor;
  sweep_series_.reset();
  if (changed_ == nullptr) return;
  // Taken also where all are looked at: what it tells then begins at this cursor.
  auto changed = changed_->take(swept_cursor_.value_or(cursor), cursor);
  if (swept_cursor_) sweep_series_ = std::move(changed);
}

Result<CommerceRunner::SweepPage> CommerceRunner::sweep_page(CommerceReport& report) {
  SweepPage page;
  if (!sweep_series_) {
    const SeriesFilter filter{
        .tenant = tenant_, .device = {}, .after = sweep_after_, .limit = options_.series_max};
    TRY(page.rows, store_.list_series(filter));
    if (!page.rows.empty()) page.last = page.rows.back().id;
    page.more = page.rows.size() == options_.series_max;
    return page;
  }
  size_t taken = 0;
  for (auto id = sweep_series_->upper_bound(sweep_after_); id != sweep_series_->end(); ++id) {
    if (taken++ == options_.series_max) {
      page.more = true;
      break;
    }
    page.last = *id;
    auto series = store_.series(*id);
    if (!series && is_for_all(series.error())) return fail(series.error());
    if (!series) {
      report.failed.emplace_back("*", series.error());
    } else if (series->key.tenant == tenant_) {
      page.rows.push_back(std::move(*series));
    }
  }
  return page;
}

Result<std::vector<UncountedInput>> CommerceRunner::look_at(const std::vector<SeriesRow>& rows,
                                                            Timestamp now) {
  std::vector<UncountedInput> looks;
  UncountedSpans spans;
  for (const SeriesRow& row : rows) {
    UncountedInput look{.kind = {}, .series = row, .usage = {}, .detail = {}, .now = now};
    for (const Period& span : uncounted_spans(*catalog_, *mapping_, look))
      spans[{row.key.device, span}].push_back(looks.size());
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

}  // namespace ledgerline::collector
