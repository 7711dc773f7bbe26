// What came late is booked, by an adjustment of its closed period.
#include <algorithm>
#include <utility>

#include "collector/core/exceptions.h"
#include "collector/fold/commerce_runner.h"
#include "collector/fold/faults.h"
#include "common/check.h"

namespace ledgerline::collector {

namespace {

ExceptionUpsert settled(const std::string& contract, const std::string& id,
                        const std::string& outcome, Timestamp now) {
  ExceptionUpsert out;
  out.mode = UpsertMode::clear;
  out.row.id = id;
  out.row.contract = contract;
  out.row.last_seen = now;
  out.row.detail = outcome;
  return out;
}

}  // namespace

void CommerceRunner::note_adjustable(const Contract& contract, Period period,
                                     const std::string& late) {
  const AdjustableKey key{contract.name, period.from};
  if (adjustable_.size() >= options_.adjustments_max && !adjustable_.contains(key)) {
    // Looked for again by comparing all closed periods of the contract, from the first one on.
    hints_[contract.name].forgotten = late;
    return;
  }
  adjustable_[key].late.insert(late);
}

Status CommerceRunner::adjust_due(Timestamp now, CommerceReport& report) {
  size_t looked_up = 0;
  size_t adjusted = 0;
  for (auto at = adjustable_.begin(); at != adjustable_.end();) {
    Adjustable& late = at->second;
    const bool is_due = late.due && now >= *late.due;
    if ((!late.due && looked_up++ == options_.touches_max) ||
        (is_due && adjusted++ == options_.adjusted_max)) {
      report.more = true;
      break;
    }
    const auto& [name, from] = at->first;
    const auto done = adjust_if_due(*catalog_->contract(name), from, late, now, report);
    if (!done) {
      TRY_VOID(isolate(name, fail(done.error()), report));
      late.due = now + options_.rating_retry;
    }
    at = done && *done ? adjustable_.erase(at) : std::next(at);
  }
  return {};
}

Result<bool> CommerceRunner::adjust_if_due(const Contract& contract, Timestamp from,
                                           Adjustable& late, Timestamp now,
                                           CommerceReport& report) {
  if (!late.due) {
    TRY(late.due, adjustment_due(contract, late));
    report.more = report.more || (late.due && now >= *late.due);
    return !late.due;
  }
  return now >= *late.due ? adjust(contract, from, late, now, report) : Result<bool>(false);
}

Result<std::optional<Timestamp>> CommerceRunner::adjustment_due(const Contract& contract,
                                                                const Adjustable& period) {
  std::optional<Timestamp> first;
  for (const std::string& id : period.late) {
    const auto row = store_.exception(id);
    if (!row && row.error().code() == Errc::not_found) continue;
    if (!row) return fail(row.error());
    if (row->state != ExceptionState::open) continue;
    first = first ? std::min(*first, row->first_seen) : row->first_seen;
  }
  if (first) first = *first + contract.adjust_after;
  return first;
}

Result<bool> CommerceRunner::adjust(const Contract& contract, Timestamp from, Adjustable& late,
                                    Timestamp now, CommerceReport& report) {
  // Read before the usage: what is folded in between makes the write a conflict.
  TRY(const FoldCursor fold, store_.fold_cursor());
  TRY(const auto row, closed_at(contract, from));
  if (!row) return true;
  AdjustInput input{.tenant = tenant_,
                    .row = *row,
                    .detail = {},
                    .period = {},
                    .usage = {},
                    .evidence = {},
                    .zone_database = options_.zone_database,
                    .now = now};
  TRY(input.detail, PeriodDetail::parse(row->detail));
  input.period = named_period(contract, *row, input.detail, from);
  TRY(const auto needs, usage().needs(contract, input.period));
  input.evidence = evidence_of(needs, fold.cursor);
  auto used = usage().of(contract, input.period);
  if (!used && used.error().code() != Errc::reject) return fail(used.error());
  if (!used) {
    TRY_VOID(not_adjusted(contract, input, used.error(), late, report));
    return false;
  }
  input.usage = std::move(*used);
  return book(contract, input, needs, late, report);
}

Result<bool> CommerceRunner::book(const Contract& contract, const AdjustInput& input,
                                  const std::vector<DeviceNeed>& needs, Adjustable& late,
                                  CommerceReport& report) {
  const auto decision = adjust_period(*catalog_, contract, input);
  if (!decision) {
    if (decision.error().code() != Errc::reject) return fail(decision.error());
    TRY_VOID(not_adjusted(contract, input, decision.error(), late, report));
    return false;
  }
  CommercialChanges changes;
  changes.expected_cursor = input.evidence.log_leaves;
  for (const PeriodRow& row : decision->periods) changes.periods.push_back({row, row.revision - 1});
  if (decision->document) changes.documents.push_back({*decision->document, 0});
  if (decision->delivery) changes.deliveries.push_back(*decision->delivery);
  for (const PeriodRow& row : decision->periods) {
    if (Period{row.from, row.to} != input.period) continue;
    TRY(changes.statements.emplace_back(),
        close_leaf(contract, input.period, row, needs, input.evidence, decision->document,
                   input.now));
  }
  // Nothing is booked without its leaf.
  CHECK_INVARIANT(changes.statements.size() == (decision->periods.empty() ? 0 : 1));
  for (const std::string& id : late.late)
    changes.exceptions.push_back(settled(contract.name, id, decision->outcome, input.now));
  const auto unrated = unadjusted(contract, input, UpsertMode::clear, decision->outcome);
  std::set<std::string>& open = hints_[contract.name].unadjusted;
  if (open.contains(unrated.row.id)) changes.exceptions.push_back(unrated);
  TRY(const bool written, write(changes, report));
  if (!written) return false;
  open.erase(unrated.row.id);
  if (!decision->periods.empty()) ++report.periods_adjusted;
  if (decision->document) report.documents.push_back(*decision->document);
  return true;
}

Status CommerceRunner::not_adjusted(const Contract& contract, const AdjustInput& input,
                                    const Error& error, Adjustable& late, CommerceReport& report) {
  late.due = input.now + options_.rating_retry;
  const std::string detail = "late usage of the closed period " + to_rfc3339(input.period.from) +
                             " to " + to_rfc3339(input.period.until) + ": " + error.text();
  CommercialChanges changes;
  changes.exceptions.push_back(unadjusted(contract, input, UpsertMode::replace, detail));
  const std::string id = changes.exceptions.front().row.id;
  std::set<std::string>& open = hints_[contract.name].unadjusted;
  if (open.contains(id)) return {};
  TRY(const bool written, write(changes, report));
  if (written) open.insert(id);
  return {};
}

ExceptionUpsert CommerceRunner::unadjusted(const Contract& contract, const AdjustInput& input,
                                           UpsertMode mode, std::string detail) const {
  ExceptionUpsert out{mode, new_exception(exception_kind::kNotRated,
                                          {tenant_, contract.name, to_rfc3339(input.period.from),
                                           to_rfc3339(input.period.until)},
                                          tenant_, input.now)};
  out.row.contract = contract.name;
  out.row.document = input.detail.original();
  out.row.unit = contract.currency;  // load_open() knows it by this from one that cannot close
  out.row.count = 1;
  out.row.detail = std::move(detail);
  return out;
}

Status CommerceRunner::clear_unadjusted(Timestamp now, CommerceReport& report) {
  for (auto& [name, hints] : hints_) {
    if (!hints.audited || (hints.forgotten.empty() && hints.unadjusted.empty())) continue;
    const auto waiting = adjustable_.lower_bound({name, Timestamp(INT64_MIN)});
    if (waiting != adjustable_.end() && waiting->first.first == name) continue;
    if (!hints.forgotten.empty()) {
      hints.late.insert(std::exchange(hints.forgotten, {}));
      hints.audited = false;
      hints.audit_from.reset();
      report.more = true;
      continue;
    }
    CommercialChanges changes;
    for (const std::string& id : hints.unadjusted)
      changes.exceptions.push_back(
          settled(name, id, "nothing of the period is late any more", now));
    TRY(const bool written, write(changes, report));
    if (written) hints.unadjusted.clear();
  }
  return {};
}

}  // namespace ledgerline::collector
