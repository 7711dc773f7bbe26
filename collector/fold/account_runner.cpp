#include "collector/fold/account_runner.h"

#include <algorithm>

#include "collector/fold/faults.h"
#include "collector/fold/tenant.h"
#include "collector/store/log_standing.h"

namespace ledgerline::collector {

namespace {

void set_previous(std::vector<MeterUse>& meters, const std::vector<MeterUse>& before) {
  for (MeterUse& meter : meters) {
    const auto found = std::find_if(before.begin(), before.end(),
                                    [&](const MeterUse& one) { return one.key == meter.key; });
    meter.previous_quantity = found == before.end() ? Decimal() : found->quantity;
  }
}

bool is_used(const MeterUse& meter) {
  return !meter.quantity.is_zero() ||
         (meter.previous_quantity && !meter.previous_quantity->is_zero());
}

/// Lines with a limit that is not crossed yet: the only ones that can make news.
std::set<LineKey> undecided(const AccountRule& rule, const std::vector<MeterUse>& meters,
                            const CrossedLimits& crossed) {
  std::set<LineKey> out;
  for (const MeterUse& meter : meters) {
    if (meter.included.is_zero()) continue;
    const auto found = crossed.find(meter.key);
    const bool all =
        found != crossed.end() && std::includes(found->second.begin(), found->second.end(),
                                                rule.limits.begin(), rule.limits.end());
    if (!all) out.insert(meter.key);
  }
  return out;
}

}  // namespace

AccountRunner::AccountRunner(Store& store, Catalog catalog, AccountOptions options)
    : store_(store), options_(std::move(options)) {
  set_catalog(std::move(catalog));
}

void AccountRunner::set_catalog(Catalog catalog) {
  mapping_.reset();
  catalog_ = std::make_unique<const Catalog>(std::move(catalog));
  mapping_ = std::make_unique<const Mapping>(*catalog_);
  pairs_.clear();
  seen_.clear();
  for (const auto& [rule_name, rule] : catalog_->account_rules()) {
    for (const auto& [contract_name, contract] : catalog_->contracts()) {
      if (rule.is_for(contract.account)) pairs_.push_back({&rule, &contract});
    }
  }
  rounds_.reset(pairs_.size());
}

Result<AccountReport> AccountRunner::step(Timestamp now) {
  AccountReport report;
  TRY(const bool halted, rating_halted(store_));
  if (halted) return report;
  if (rounds_.is_over()) {
    if (!rounds_.is_due(now)) return report;
    TRY(const auto tenant, tenant_of(*catalog_, store_));
    if (!tenant) return report;
    tenant_ = *tenant;
    rounds_.begin(now, options_.round_interval);
  }
  for (size_t i = 0; i < options_.pairs_max && !rounds_.is_over(); ++i) {
    const size_t pair = rounds_.take();
    const auto status = look(pair, now, report);
    if (status) continue;
    if (is_for_all(status.error())) return fail(status.error());
    report.failed.emplace_back(pairs_[pair].rule->name + " of " + pairs_[pair].contract->name,
                               status.error());
  }
  if (report.more) rounds_.hurry(now);
  report.more = report.more || !rounds_.is_over();
  return report;
}

Status AccountRunner::look(size_t pair, Timestamp now, AccountReport& report) {
  Look look{
      .pair = pair, .rule = *pairs_[pair].rule, .contract = *pairs_[pair].contract, .now = now};
  TRY(const FoldCursor fold, store_.fold_cursor());
  look.cursor = fold.cursor;
  TRY(look.newest, store_.newest_period(tenant_, look.contract.name));
  TRY(const auto stored,
      store_.rule_state(RuleKind::account_update, tenant_, look.rule.name, look.contract.name));
  look.state.next_closed = look.newest ? look.newest->from : look.contract.rule.anchor();
  if (stored) {
    TRY(look.state, parse_account_state(stored->state));
    look.revision = stored->revision;
  } else {
    // Where the rule begins is kept: what closes before the next look is not its past.
    TRY_VOID(write(look, {}, report));
    if (look.stale) return {};
  }
  TRY_VOID(tell_closed(look, report));
  TRY_VOID(tell_renewal(look, report));
  return tell_open(look, report);
}

Status AccountRunner::tell_closed(Look& look, AccountReport& report) {
  if (!look.newest || look.newest->from < look.state.next_closed) return {};
  TRY(const auto rows, store_.list_periods(tenant_, look.contract.name, look.state.next_closed,
                                           options_.closed_max));
  for (const PeriodRow& row : rows) {
    if (!row.closed || look.stale) return {};
    std::vector<DocumentRow> documents;
    TRY(auto update, closing_update(look, row));
    if (update) documents.push_back(std::move(*update));
    TRY(auto opportunity, overage(look, row));
    if (opportunity) documents.push_back(std::move(*opportunity));
    look.state.open.erase(look.state.open.begin(), look.state.open.upper_bound(row.from));
    look.state.next_closed = row.to;
    TRY_VOID(write(look, std::move(documents), report));
  }
  if (!look.stale && rows.size() == options_.closed_max) report.more = true;
  return {};
}

Result<std::optional<DocumentRow>> AccountRunner::closing_update(Look& look, const PeriodRow& row) {
  TRY(const PeriodDetail booked, PeriodDetail::parse(row.detail));
  News news{.period = {row.from, row.to}, .closed = true, .told = {}, .meters = {}};
  news.meters = meters_of(*catalog_, look.contract, news.period, booked);
  TRY_VOID(add_previous(look.contract, news.period, true, row.to, news.meters));
  const auto told = look.state.open.find(row.from);
  if (told != look.state.open.end()) news.told = told->second;
  const bool is_news =
      news.told.revision != 0 || std::any_of(news.meters.begin(), news.meters.end(), is_used);
  if (!is_news) return std::optional<DocumentRow>();
  add_crossed(look.rule, news.meters, news.told.crossed);
  ++news.told.revision;
  TRY(const auto needs, usage().needs(look.contract, news.period));
  TRY(auto document, update(look, std::move(news), needs));
  return std::optional(std::move(document));
}

Result<std::optional<DocumentRow>> AccountRunner::overage(Look& look, const PeriodRow& row) {
  if (look.rule.overage_periods == 0) return std::optional<DocumentRow>();
  TRY(const auto periods,
      history(look.contract, row, static_cast<size_t>(look.rule.overage_periods)));
  auto lines = repeated_overage(*catalog_, look.contract, look.rule, periods, look.state.overage);
  if (lines.empty()) return std::optional<DocumentRow>();
  const auto running = period_from(look.contract, row.to);
  OpportunityInput input{.tenant = tenant_,
                         .reason = OpportunityInput::Reason::overage,
                         .opened_at = row.to,
                         .due_at = running ? running->until : row.to + (row.to - row.from),
                         .about = row.from,
                         .periods = periods,
                         .only = std::move(lines),
                         .log_leaves = look.cursor,
                         .now = look.now};
  TRY(auto document, make_opportunity(*catalog_, look.contract, look.rule, input));
  return std::optional(std::move(document));
}

Status AccountRunner::tell_renewal(Look& look, AccountReport& report) {
  const auto& until = look.contract.until;
  if (look.stale || look.state.renewal_until == until) return {};
  TRY(const auto window, renewal_window(look.contract, look.rule));
  if (!window || look.now < window->from || look.now >= window->until) return {};
  std::vector<ClosedPeriod> periods;
  if (look.newest) {
    TRY(periods, history(look.contract, *look.newest, kPeriodsShown));
  }
  TRY(auto document, make_opportunity(*catalog_, look.contract, look.rule,
                                      {.tenant = tenant_,
                                       .reason = OpportunityInput::Reason::renewal,
                                       .opened_at = window->from,
                                       .due_at = *until,
                                       .about = *until,
                                       .periods = periods,
                                       .only = {},
                                       .log_leaves = look.cursor,
                                       .now = look.now}));
  look.state.renewal_until = until;
  // An end that was moved away and back again is told already.
  const auto before = store_.document(document.id);
  if (!before && before.error().code() != Errc::not_found) return fail(before.error());
  std::vector<DocumentRow> documents;
  if (!before) documents.push_back(std::move(document));
  return write(look, std::move(documents), report);
}

std::vector<Period> AccountRunner::open_periods(const Look& look) const {
  std::vector<Period> out;
  const Timestamp anchor = look.contract.rule.anchor();
  Timestamp from = look.newest ? std::max(look.newest->to, anchor) : anchor;
  while (out.size() < options_.open_max && from <= look.now) {
    const auto period = period_from(look.contract, from);
    if (!period) break;
    out.push_back(*period);
    from = period->until;
  }
  return out;
}

Result<bool> AccountRunner::has_moved(const Look& look, const std::vector<Period>& periods,
                                      Seen& seen) {
  seen = {look.cursor, periods, {}};
  const auto before = seen_.find(look.pair);
  const bool known = before != seen_.end() && before->second.open == periods;
  if (known && before->second.cursor == look.cursor) {
    seen.folded = before->second.folded;
    return false;
  }
  for (const Period& period : periods) {
    TRY(const auto needs, usage().needs(look.contract, period));
    for (const DeviceNeed& need : needs) {
      for (const StreamProgress& stream : need.streams)
        seen.folded.emplace_back(stream.stream, stream.folded_seq);
      TRY(const auto corrections, store_.corrections(tenant_, need.device));
      seen.folded.emplace_back(StreamId(), corrections.size());
    }
  }
  return !known || before->second.folded != seen.folded;
}

Status AccountRunner::tell_open(Look& look, AccountReport& report) {
  if (look.rule.limits.empty() || look.stale) return {};
  const std::vector<Period> periods = open_periods(look);
  Seen seen;
  TRY(const bool moved, has_moved(look, periods, seen));
  for (size_t i = 0; moved && i < periods.size() && !look.stale; ++i)
    TRY_VOID(tell_limits(look, periods[i], report));
  if (!look.stale) seen_[look.pair] = std::move(seen);
  return {};
}

Status AccountRunner::tell_limits(Look& look, Period period, AccountReport& report) {
  const auto found = look.state.open.find(period.from);
  ToldPeriod told = found == look.state.open.end() ? ToldPeriod{} : found->second;
  const auto lines = undecided(
      look.rule, meters_of(*catalog_, look.contract, period, PeriodUsage{}), told.crossed);
  if (lines.empty()) return {};
  ++report.summed;
  TRY(const PeriodUsage used, usage().of(look.contract, period, &lines));
  const bool is_news =
      add_crossed(look.rule, meters_of(*catalog_, look.contract, period, used), told.crossed);
  if (!is_news) return {};
  ++told.revision;
  TRY(const PeriodUsage all, usage().of(look.contract, period));
  TRY(const auto needs, usage().needs(look.contract, period));
  look.state.open[period.from] = told;
  TRY(auto document, update(look,
                            {.period = period,
                             .closed = false,
                             .told = std::move(told),
                             .meters = meters_of(*catalog_, look.contract, period, all)},
                            needs));
  return write(look, {std::move(document)}, report);
}

Result<DocumentRow> AccountRunner::update(const Look& look, News news,
                                          const std::vector<DeviceNeed>& needs) {
  const Timestamp as_of =
      news.closed ? news.period.until : complete_as_of(news.period, needs, look.now);
  if (!news.closed) {
    TRY(const PeriodUsage complete, usage().of(look.contract, {news.period.from, as_of}));
    const auto meters = meters_of(*catalog_, look.contract, news.period, complete);
    for (size_t i = 0; i < meters.size(); ++i)
      news.meters[i].complete_quantity = meters[i].quantity;
    TRY_VOID(add_previous(look.contract, news.period, false, as_of, news.meters));
  }
  TRY(auto features, usage().features(look.contract, news.period, look.rule.features));
  return make_account_update(*catalog_, look.contract, look.rule,
                             {.tenant = tenant_,
                              .period = news.period,
                              .closed = news.closed,
                              .as_of = as_of,
                              .revision = news.told.revision,
                              .meters = std::move(news.meters),
                              .crossed = std::move(news.told.crossed),
                              .features = std::move(features),
                              .devices = needs.size(),
                              .devices_heard = devices_heard(look.contract, needs, look.now),
                              .evidence = evidence_of(needs, look.cursor),
                              .zone_database = options_.zone_database,
                              .now = look.now});
}

Status AccountRunner::add_previous(const Contract& contract, Period period, bool closed,
                                   Timestamp as_of, std::vector<MeterUse>& meters) {
  const auto before = same_share_before(contract, period, as_of);
  if (!before) return {};
  if (closed) {
    TRY(const auto row, store_.period(tenant_, contract.name, before->from));
    if (row && row->closed && row->to == before->until) {
      TRY(const PeriodDetail booked, PeriodDetail::parse(row->detail));
      set_previous(meters, meters_of(*catalog_, contract, *before, booked));
      return {};
    }
  }
  TRY(const PeriodUsage used, usage().of(contract, *before));
  set_previous(meters, meters_of(*catalog_, contract, *before, used));
  return {};
}

Result<std::vector<ClosedPeriod>> AccountRunner::history(const Contract& contract, PeriodRow row,
                                                         size_t max) {
  std::vector<ClosedPeriod> out;
  for (;;) {
    ClosedPeriod one{.period = {row.from, row.to}, .booked = {}, .total = {}};
    TRY(one.booked, PeriodDetail::parse(row.detail));
    for (const BookedLine& line : one.booked.lines) {
      if (line.tiers.empty()) continue;
      TRY(const Decimal amount, line.amount());
      TRY(one.total, add(one.total.value_or(Decimal()), amount));
    }
    out.push_back(std::move(one));
    if (out.size() == max || row.from <= contract.rule.anchor()) return out;
    const auto regular = contract.rule.containing(row.from - Duration(1));
    if (!regular) return out;
    TRY(auto before, store_.period(tenant_, contract.name, regular->from));
    if (!before || !before->closed || before->to != row.from) return out;
    row = std::move(*before);
  }
}

Status AccountRunner::write(Look& look, std::vector<DocumentRow> documents, AccountReport& report) {
  CommercialChanges changes;
  changes.expected_cursor = look.cursor;
  for (const DocumentRow& document : documents) {
    changes.documents.push_back({document, document.revision - 1});
    changes.deliveries.push_back(new_delivery(document, look.now));
  }
  changes.rules.push_back({{.kind = RuleKind::account_update,
                            .tenant = tenant_,
                            .rule = look.rule.name,
                            .about = look.contract.name,
                            .revision = look.revision + 1,
                            .state = to_json(look.state)},
                           look.revision});
  const auto written = store_.put_documents(changes);
  if (!written && written.error().code() == Errc::conflict) {
    look.stale = true;
    ++report.conflicts;
    return {};
  }
  if (!written) return written;
  ++look.revision;
  for (DocumentRow& document : documents) report.documents.push_back(std::move(document));
  return {};
}

}  // namespace ledgerline::collector
