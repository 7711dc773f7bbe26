// Usage that came, or was mapped, after its period was closed.
#include <algorithm>

#include "collector/core/exceptions.h"
#include "collector/fold/commerce_runner.h"
#include "collector/fold/faults.h"
#include "common/check.h"

namespace ledgerline::collector {

namespace {

/// For late usage of a series of which not even the key can be read.
ExceptionUpsert unread_series(const std::string& tenant, const TouchedUsage& touch,
                              const Error& error, Timestamp now) {
  ExceptionUpsert out{
      UpsertMode::replace,
      new_exception(exception_kind::kLate, {tenant, std::to_string(touch.series)}, tenant, now)};
  out.row.series = touch.series;
  out.row.count = 1;
  out.row.detail =
      "usage came after a period was closed, but its series cannot be read: " + error.text();
  return out;
}

}  // namespace

Status CommerceRunner::settle_touches(Timestamp now, CommerceReport& report) {
  TRY(const FoldCursor fold, store_.fold_cursor());
  TRY(auto touches, store_.touched_usage(options_.touches_max));
  if (touches.empty()) return {};
  report.more = report.more || touches.size() == options_.touches_max;
  LateSlice slice{.now = now, .periods = {}, .exceptions = {}};
  for (const TouchedUsage& touch : touches) TRY_VOID(late_lines(touch, slice));
  for (const auto& [where, period] : slice.periods) TRY_VOID(compare_late(period, slice));
  CommercialChanges changes;
  changes.expected_cursor = fold.cursor;
  changes.exceptions = std::move(slice.exceptions);
  const size_t count = touches.size();
  changes.settled_touches = std::move(touches);
  TRY(const bool written, write(changes, report));
  if (written) report.touches_settled += count;
  return {};
}

Status CommerceRunner::late_lines(const TouchedUsage& touch, LateSlice& slice) {
  const auto found = store_.series(touch.series);
  if (!found) {
    if (is_for_all(found.error())) return fail(found.error());
    slice.exceptions.push_back(unread_series(tenant_, touch, found.error(), slice.now));
    return {};
  }
  const SeriesRow& series = *found;
  // What cannot be counted has an exception of its own, and is compared with closed periods once it
  // can.
  if (series.key.tenant != tenant_ || !series_fault(*catalog_, series.key).empty()) return {};
  const Period changed{std::max(touch.earliest, touch.quarter.start()), touch.quarter.end()};
  for (const MappedSpan& span : mapping_->spans(series.key.device, series.key.subject, changed)) {
    const bool billed = span.link != nullptr && !span.link->subscription.empty();
    if (billed) TRY_VOID(late_in_span(series, span, slice));
  }
  return {};
}

Status CommerceRunner::late_in_span(const SeriesRow& series, const MappedSpan& span,
                                    LateSlice& slice) {
  const Contract* contract = catalog_->contract_of(span.link->subscription);
  CHECK_INVARIANT(contract != nullptr);
  for (Timestamp t = std::max(span.from, contract->rule.anchor()); t < span.until;) {
    const auto found = late_period(*contract, t, slice);
    if (!found) {
      const Period regular = contract->rule.containing(t).value_or(Period{t, span.until});
      TRY_VOID(note_uncompared(*contract, regular, found.error(), slice.now, slice.exceptions));
      t = regular.until;
      continue;
    }
    LatePeriod* const period = *found;
    if (period == nullptr) return {};  // from here on its periods are open, or it has none
    period->lines.insert_or_assign({span.link->subscription, series.key.meter}, series.key);
    CHECK_INVARIANT(period->named.until > t);
    t = period->named.until;
  }
  return {};
}

Result<CommerceRunner::LatePeriod*> CommerceRunner::late_period(const Contract& contract,
                                                                Timestamp t, LateSlice& slice) {
  const auto after = slice.periods.upper_bound({contract.name, t});
  if (after != slice.periods.begin()) {
    LatePeriod& before = std::prev(after)->second;
    if (before.contract == &contract && t < before.named.until) return &before;
  }
  TRY(const auto row, closed_at(contract, t));
  if (!row) return nullptr;
  const Period whole{row->from, row->to};
  LatePeriod period{.contract = &contract,
                    .detail = {},
                    .unread = std::nullopt,
                    .whole = whole,
                    .named = whole,
                    .lines = {}};
  auto detail = PeriodDetail::parse(row->detail);
  if (detail) {
    period.detail = std::move(*detail);
    period.named = named_period(contract, *row, period.detail, t);
  } else {
    period.unread = detail.error();
  }
  const auto where = std::pair(contract.name, period.named.from);
  return &slice.periods.insert_or_assign(where, std::move(period)).first->second;
}

Status CommerceRunner::note_uncompared(const Contract& contract, Period period, const Error& error,
                                       Timestamp now, std::vector<ExceptionUpsert>& out) const {
  if (is_for_all(error)) return fail(error);
  out.push_back(uncompared_exception(tenant_, contract.name, period, error.text(), now));
  return {};
}

Status CommerceRunner::compare_late(const LatePeriod& period, LateSlice& slice) {
  // Named as the audit names it, which will find that it can be compared again.
  const auto uncompared = [&](const Error& error) {
    return note_uncompared(*period.contract, period.whole, error, slice.now, slice.exceptions);
  };
  if (period.unread) return uncompared(*period.unread);
  std::set<LineKey> keys;
  for (const auto& [key, series] : period.lines) keys.insert(key);
  auto upserts = compare(*period.contract, period.detail, period.named, &keys, slice.now);
  if (!upserts) return uncompared(upserts.error());
  CHECK_INVARIANT(upserts->size() == period.lines.size());
  auto upsert = upserts->begin();  // in the order of the keys, as the lines are
  for (const auto& [key, series] : period.lines) {
    if (upsert->mode != UpsertMode::clear) {
      upsert->row.device = series.device;
      upsert->row.subject = series.subject;
    }
    slice.exceptions.push_back(std::move(*upsert++));
  }
  return {};
}

Result<std::optional<PeriodRow>> CommerceRunner::closed_at(const Contract& contract, Timestamp t) {
  const auto regular = contract.rule.containing(t);
  if (regular) {
    TRY(auto row, store_.period(tenant_, contract.name, regular->from));
    if (row && t < row->to) return row;
  }
  // A row that spans several periods, or one from before the rule was changed: look back in
  // doubling strides.
  constexpr size_t kPage = 1000;
  Duration stride = regular ? regular->until - regular->from : std::chrono::hours(24);
  for (Timestamp from = t - stride;; stride *= 2, from = std::max(Timestamp(0), t - stride)) {
    std::optional<PeriodRow> latest;
    Timestamp page = from;
    for (;;) {
      TRY(auto rows, store_.list_periods(tenant_, contract.name, page, kPage));
      for (PeriodRow& row : rows) {
        if (row.from <= t) latest = std::move(row);
      }
      if (rows.size() < kPage || rows.back().from > t) break;
      page = rows.back().from + Duration(1);
    }
    if (latest) return t < latest->to ? latest : std::nullopt;
    if (from <= Timestamp(0)) return std::optional<PeriodRow>();
  }
}

Result<std::vector<ExceptionUpsert>> CommerceRunner::compare(const Contract& contract,
                                                             const PeriodDetail& detail,
                                                             Period period,
                                                             const std::set<LineKey>* only,
                                                             Timestamp now) {
  TRY(const PeriodUsage used, usage().of(contract, period, only));
  std::set<LineKey> keys;
  if (only != nullptr) {
    keys = *only;
  } else {
    for (const BookedLine& line : detail.lines) keys.insert({line.subscription, line.meter});
    for (const auto& [key, value] : used) keys.insert(key);
  }
  std::vector<ExceptionUpsert> out;
  for (const LineKey& key : keys) {
    const CatalogMeter* meter = catalog_->meter(key.second);
    const auto found = used.find(key);
    LateInput input{.tenant = tenant_,
                    .contract = contract.name,
                    .period = period,
                    .key = key,
                    .unit = meter != nullptr ? meter->unit : "",
                    .booked = detail.find(key),
                    .adjustments = detail.adjustments(),
                    .quantity = {},
                    .count = 0,
                    .document = detail.original(),
                    .now = now};
    if (found != used.end() && meter != nullptr) {
      input.quantity = found->second.quantity(meter->aggregation);
      input.count = found->second.count();
    }
    TRY(ExceptionUpsert upsert, late_exception(input));
    if (upsert.mode != UpsertMode::clear) note_adjustable(contract, period, upsert.row.id);
    out.push_back(std::move(upsert));
  }
  return out;
}

Status CommerceRunner::audit(const Contract& contract, Timestamp now, CommerceReport& report) {
  ContractHints& hints = hints_[contract.name];
  if (hints.audited) return {};
  if (!hints.audit_from) {
    // From the very first: what was mapped by now is in no other exception, however long ago it was
    // used.
    TRY(const auto oldest, store_.list_periods(tenant_, contract.name, Timestamp(0), 1));
    hints.audit_from = oldest.empty() ? Timestamp(0) : oldest.front().from;
    // A catalog that comes back can also undo what another one made late.
    hints.audit_all = !hints.late.empty();
  }
  ++work_;
  TRY(const FoldCursor fold, store_.fold_cursor());
  TRY(const auto rows, rows_above(contract, *hints.audit_from));
  AuditStep step{.now = now, .reached = *hints.audit_from, .compared = 0, .changes = {}};
  step.changes.expected_cursor = fold.cursor;
  for (const PeriodRow& row : rows) {
    if (step.compared >= options_.audits_max) break;
    TRY_VOID(audit_or_pass(contract, row, step));
  }
  work_ += step.compared;
  const bool at_end =
      rows.size() < options_.audit_rows_max && (rows.empty() || step.reached >= rows.back().to);
  if (!step.changes.exceptions.empty()) {
    TRY(const bool written, write(step.changes, report));
    if (!written) return {};
  }
  hints.audit_from = step.reached;
  if (at_end) TRY_VOID(clear_late(contract, now, report));
  hints.audited = at_end && (hints.late.empty() || hints.audit_passed);
  round_more_ = round_more_ || !hints.audited;
  return {};
}

Result<std::vector<PeriodRow>> CommerceRunner::rows_above(const Contract& contract, Timestamp t) {
  TRY(const auto first, closed_at(contract, t));
  return store_.list_periods(tenant_, contract.name, first ? first->from : t,
                             options_.audit_rows_max);
}

Status CommerceRunner::audit_or_pass(const Contract& contract, const PeriodRow& row,
                                     AuditStep& step) {
  const size_t before = step.compared;
  const Status status = audit_row(contract, row, step);
  const Period whole{row.from, row.to};
  if (!status) {
    TRY_VOID(note_uncompared(contract, whole, status.error(), step.now, step.changes.exceptions));
    hints_[contract.name].audit_passed = true;
    ++step.compared;
    step.reached = row.to;
  } else if (step.reached == row.to && step.compared != before) {
    step.changes.exceptions.push_back(
        uncompared_exception(tenant_, contract.name, whole, std::nullopt, step.now));
  }
  return {};
}

Status CommerceRunner::audit_row(const Contract& contract, const PeriodRow& row, AuditStep& step) {
  TRY(const PeriodDetail detail, PeriodDetail::parse(row.detail));
  const bool same_catalog = detail.catalog == catalog_->hash().hex();
  // Where nothing was booked, perhaps for many periods, only those that have usage by now are of
  // interest; a step may end between two of them.
  Timestamp t = std::max(row.from, step.reached);
  while (row.closed && (!same_catalog || hints_[contract.name].audit_all) && t < row.to) {
    if (detail.lines.empty()) {
      TRY(const auto first, usage().first_in(contract, {t, row.to}));
      if (!first || first->start() >= row.to) break;
      t = std::max(t, first->start());
    }
    if (step.compared >= options_.audits_max) {
      step.reached = t;
      return {};
    }
    const Period named = named_period(contract, row, detail, t);
    TRY_VOID(audit_period(contract, detail, named, step.now, step.changes));
    ++step.compared;
    t = named.until;
  }
  step.reached = row.to;
  return {};
}

Status CommerceRunner::audit_period(const Contract& contract, const PeriodDetail& detail,
                                    Period period, Timestamp now, CommercialChanges& changes) {
  TRY(auto upserts, compare(contract, detail, period, nullptr, now));
  for (ExceptionUpsert& upsert : upserts) changes.exceptions.push_back(std::move(upsert));
  return {};
}

}  // namespace ledgerline::collector
