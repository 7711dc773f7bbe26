#include "collector/fold/commerce_runner.h"
#include "collector/fold/faults.h"
#include "collector/fold/tenant.h"

#include <algorithm>

#include "collector/core/exceptions.h"
#include "collector/store/log_standing.h"
#include "common/check.h"
#include "common/io/system.h"

namespace ledgerline::collector {

namespace {

constexpr Timestamp kNever{INT64_MAX};

}  // namespace

CommerceRunner::CommerceRunner(Store& store, Signer& signer, Catalog catalog,
                               CommerceOptions options, ChangedSeries* changed)
    : store_(store), signer_(signer), options_(std::move(options)), changed_(changed) {
  set_catalog(std::move(catalog));
}

void CommerceRunner::set_catalog(Catalog catalog) {
  mapping_.reset();
  catalog_ = std::make_unique<const Catalog>(std::move(catalog));
  mapping_ = std::make_unique<const Mapping>(*catalog_);
  hints_.clear();
  adjustable_.clear();  // the look at closed periods finds what is open again
  open_loaded_ = false;
  turn_.clear();
  round_more_ = false;
  open_series_.clear();
  open_series_complete_ = false;
  swept_cursor_.reset();
  sweeping_ = false;
  next_sweep_ = Timestamp();
}

Result<CommerceReport> CommerceRunner::step(Timestamp now) {
  CommerceReport report;
  TRY(const bool halted, rating_halted(store_));
  if (halted) return report;
  TRY(const auto tenant, tenant_of(*catalog_, store_));
  if (!tenant) return report;
  tenant_ = *tenant;
  TRY_VOID(isolate("*", load_open(), report));
  // Late usage first: a period that closes in this step has seen everything before its end.
  TRY_VOID(isolate("*", settle_touches(now, report), report));
  TRY_VOID(adjust_due(now, report));
  TRY_VOID(visit_contracts(now, report));
  TRY_VOID(clear_unadjusted(now, report));
  TRY_VOID(isolate("*", tell_uncounted(now, report), report));
  for (const auto& [name, hints] : hints_) {
    if (hints.held) report.held.push_back(*hints.held);
  }
  return report;
}

Status CommerceRunner::visit_contracts(Timestamp now, CommerceReport& report) {
  work_ = 0;
  const auto& contracts = catalog_->contracts();
  for (auto at = contracts.upper_bound(turn_); at != contracts.end(); ++at) {
    if (work_ >= options_.work_max) {
      report.more = true;
      return {};
    }
    turn_ = at->first;
    TRY_VOID(isolate(at->first, close_due(at->second, now, report), report));
    TRY_VOID(isolate(at->first, audit(at->second, now, report), report));
  }
  report.more = report.more || round_more_;
  turn_.clear();
  round_more_ = false;
  return {};
}

Status CommerceRunner::isolate(const std::string& contract, const Status& status,
                               CommerceReport& report) {
  if (status || is_for_all(status.error())) return status;
  report.failed.emplace_back(contract, status.error());
  return {};
}

Result<bool> CommerceRunner::write(const CommercialChanges& changes, CommerceReport& report) {
  const auto written = store_.put_documents(changes);
  if (!written && written.error().code() == Errc::conflict) {
    ++report.conflicts;
    return false;
  }
  if (!written) return fail(written.error());
  report.exceptions_written += changes.exceptions.size();
  for (const ExceptionUpsert& one : changes.exceptions) {
    const auto hints = hints_.find(one.row.contract);
    if (hints != hints_.end()) hints->second.late.erase(one.row.id);
  }
  return true;
}

Status CommerceRunner::close_due(const Contract& contract, Timestamp now, CommerceReport& report) {
  for (size_t i = 0; i < options_.periods_max; ++i) {
    if (now < hints_[contract.name].due) return {};
    ++work_;
    TRY(const bool closed, close_next(contract, now, report));
    if (!closed) return {};
  }
  round_more_ = true;
  return {};
}

Result<std::optional<Period>> CommerceRunner::next_period(const Contract& contract) {
  TRY(const auto newest, store_.newest_period(tenant_, contract.name));
  const Timestamp anchor = contract.rule.anchor();
  return period_from(contract, newest ? std::max(newest->to, anchor) : anchor);
}

Result<bool> CommerceRunner::close_next(const Contract& contract, Timestamp now,
                                        CommerceReport& report) {
  ContractHints& hints = hints_[contract.name];
  TRY(const auto next, next_period(contract));
  hints.held.reset();
  hints.due = next ? next->until + contract.grace : kNever;
  if (now < hints.due) {
    TRY_VOID(write_held(contract, {}, now, report));
    return false;
  }

  // Read before the usage: what is folded in between makes the write a conflict.
  TRY(const FoldCursor fold, store_.fold_cursor());
  TRY(const auto needs, usage().needs(contract, *next));
  TRY(const auto gaps, gaps_.read(store_, tenant_));
  const auto waiting = waiting_for(needs, gaps);
  if (!waiting.empty()) {
    TRY_VOID(hold(contract, *next, needs, waiting, now, report));
    return false;
  }
  return close_one(
      contract, {.next = *next, .cursor = fold.cursor, .needs = needs, .told_until = std::nullopt},
      now, report);
}

Result<bool> CommerceRunner::close_one(const Contract& contract, const Closable& closable,
                                       Timestamp now, CommerceReport& report) {
  const Period next = closable.next;
  const std::vector<DeviceNeed>& needs = closable.needs;
  CloseInput input{.tenant = tenant_,
                   .period = next,
                   .usage = {},
                   .evidence = evidence_of(needs, closable.cursor),
                   .zone_database = options_.zone_database,
                   .now = now};
  auto used = usage().of(contract, next);
  if (!used && used.error().code() != Errc::reject) return fail(used.error());
  if (used && used->empty()) {
    TRY(input.period, closable.told_until ? widened_as_told(contract, next, *closable.told_until)
                                          : widened_while_empty(contract, next, now));
  }
  if (used) input.usage = std::move(*used);
  const auto decision = used ? close_period(*catalog_, contract, input) : fail(used.error());
  if (!decision) {
    TRY_VOID(not_rated(contract, next, decision.error(), now, report));
    return false;
  }

  CommercialChanges changes;
  changes.expected_cursor = closable.cursor;
  changes.periods.push_back({decision->period, 0});
  if (decision->document) changes.documents.push_back({*decision->document, 0});
  if (decision->delivery) changes.deliveries.push_back(*decision->delivery);
  TRY(changes.statements.emplace_back(), close_leaf(contract, input.period, decision->period, needs,
                                                    input.evidence, decision->document, now));
  auto look = silence_exceptions(tenant_, contract, next, needs, {}, now);
  look.push_back(unrated(contract, next, UpsertMode::clear, "the period could be rated", now));
  changes.exceptions = held_changes(contract, look, now);
  TRY(const bool written, write(changes, report));
  if (!written) return false;
  hints_[contract.name].held_open.clear();
  ++report.periods_closed;
  if (decision->document) report.documents.push_back(*decision->document);
  return true;
}

Result<Period> CommerceRunner::widened_while_empty(const Contract& contract, Period period,
                                                   Timestamp now) {
  Timestamp horizon = now - contract.grace;
  if (contract.until) horizon = std::min(horizon, *contract.until);
  if (horizon <= period.until) return period;
  TRY(const auto needs, usage().needs(contract, {period.from, horizon}));
  TRY(const auto gaps, gaps_.read(store_, tenant_));
  for (const Waiting& one : waiting_for(needs, gaps)) {
    if (!one.complete_through) return period;
    horizon = std::min(horizon, *one.complete_through);
  }
  if (horizon <= period.until) return period;
  TRY(const auto first, usage().first_in(contract, {period.until, horizon}));
  if (first) horizon = std::min(horizon, first->start());
  if (horizon <= period.until) return period;
  TRY(const Period last, contract.rule.containing(horizon));
  return Period{period.from, std::max(period.until, last.from)};
}

Status CommerceRunner::hold(const Contract& contract, Period period,
                            const std::vector<DeviceNeed>& needs,
                            const std::vector<Waiting>& waiting, Timestamp now,
                            CommerceReport& report) {
  ContractHints& hints = hints_[contract.name];
  hints.held = {contract.name, period, waiting.front().text()};
  hints.due = now + options_.hold_retry;
  const auto look = silence_exceptions(tenant_, contract, period, needs, waiting, now);
  return write_held(contract, look, now, report);
}

Status CommerceRunner::not_rated(const Contract& contract, Period period, const Error& error,
                                 Timestamp now, CommerceReport& report) {
  ContractHints& hints = hints_[contract.name];
  hints.due = now + options_.rating_retry;
  hints.held = {contract.name, period, error.text()};
  const std::string detail = "the period " + to_rfc3339(period.from) + " to " +
                             to_rfc3339(period.until) + ": " + error.text();
  return write_held(contract, {unrated(contract, period, UpsertMode::replace, detail, now)}, now,
                    report);
}

ExceptionUpsert CommerceRunner::unrated(const Contract& contract, Period period, UpsertMode mode,
                                        std::string detail, Timestamp now) const {
  ExceptionUpsert out{
      mode, new_exception(exception_kind::kNotRated,
                          {tenant_, contract.name, to_rfc3339(period.from)}, tenant_, now)};
  out.row.contract = contract.name;
  out.row.count = 1;
  out.row.detail = std::move(detail);
  return out;
}

std::string read_zone_database() {
  // The library that cuts periods reads compiled zone files, which carry no version; Debian's
  // tzdata names it in this one.
  const auto text = io::read_file("/usr/share/zoneinfo/tzdata.zi");
  const std::string_view prefix = "# version ";
  if (!text || !text->starts_with(prefix)) return "unknown";
  return text->substr(prefix.size(), text->find('\n') - prefix.size());
}

}  // namespace ledgerline::collector
