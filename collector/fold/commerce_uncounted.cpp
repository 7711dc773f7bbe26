// Usage that the catalog or the mapping cannot count.
#include <algorithm>
#include <array>

#include "collector/fold/commerce_runner.h"
#include "collector/fold/evidence.h"
#include "common/toml.h"

namespace ledgerline::collector {

namespace {

/// Every instant that a reading can have: 1970 to 9999.
constexpr Period kAlways{Timestamp(0), Timestamp(253'402'300'800'000)};

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
    next_sweep_ = now + options_.sweep_interval;
    sweeping_ = true;
    sweep_after_ = 0;
    sweep_cursor_ = fold.cursor;
  }
  SeriesFilter filter{
      .tenant = tenant_, .device = {}, .after = sweep_after_, .limit = options_.series_max};
  TRY(const auto rows, store_.list_series(filter));
  CommercialChanges changes;
  std::vector<std::pair<SeriesId, SeriesNote>> notes;
  for (const SeriesRow& series : rows) {
    TRY(SeriesNote note, look_at(series, now, changes.exceptions));
    notes.emplace_back(series.id, std::move(note));
  }
  if (!changes.exceptions.empty()) {
    changes.expected_cursor = fold.cursor;
    TRY(const bool written, write(changes, report));
    if (!written) return {};
  }
  for (auto& [id, note] : notes) series_notes_[id] = std::move(note);
  if (rows.size() == options_.series_max) {
    sweep_after_ = rows.back().id;
    report.more = true;
    return {};
  }
  sweeping_ = false;
  swept_cursor_ = sweep_cursor_;
  return {};
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
