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
  for (const SeriesRow& series : page.rows) {
    TRY(SeriesNote note, look_at(series, now, changes.exceptions));
    notes.emplace_back(series.id, std::move(note));
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

Result<CommerceRunner::SeriesNote> CommerceRunner::look_at(const SeriesRow& series, Timestamp now,
                                                           std::vector<ExceptionUpsert>& upserts) {
  const SeriesKey& key = series.key;
  const CatalogMeter* meter = catalog_->meter(key.meter);
  if (meter != nullptr && meter->stream_class == StreamClass::diagnostic) return SeriesNote{};
  UncountedInput input{.kind = series_fault(*catalog_, key),
                       .series = series,
                       .usage = {},
                       .detail = {},
                       .now = now};
  std::vector<Period> spans;
  if (!input.kind.empty()) {
    input.detail = fault_text(*catalog_, key);
    spans.push_back(kAlways);
  } else {
    input.kind = exception_kind::kUnmappedSubject;
    input.detail = "no link names device \"" + key.device + "\", subject \"" + key.subject +
                   "\", or its contract has not begun or has ended";
    spans = unmapped_spans(*catalog_, *mapping_, key);
  }
  bool unread = false;
  for (const Period& span : spans) {
    const auto used = exact_usage(store_, std::array{series.id}, span.from, span.until);
    if (!used && is_for_all(used.error())) return fail(used.error());
    if (!used) {
      unread = true;
      input.usage = {};
      input.detail += "; how much it is cannot be read: " + used.error().text();
      break;
    }
    for (const auto& [id, value] : *used) input.usage.merge(value);
  }
  if (input.usage.count == 0 && !unread) input.kind = {};

  const SeriesNote note{std::string(input.kind), input.usage.count};
  const auto written = series_notes_.find(series.id);
  if (written == series_notes_.end() || written->second != note) {
    for (ExceptionUpsert& upsert : uncounted_exceptions(input))
      upserts.push_back(std::move(upsert));
  }
  return note;
}

}  // namespace ledgerline::collector
