// A replay of the log books again what its close statements tell of, at the same cursor.
#include "collector/fold/commerce_runner.h"

namespace ledgerline::collector {

Result<CommerceReport> CommerceRunner::book_again(const ToldBooking& told, Timestamp now) {
  CommerceReport report;
  const auto hold = [&](std::string why) {
    report.held.push_back({told.contract, told.period, std::move(why)});
    return report;
  };
  const Contract* contract = catalog_->contract(told.contract);
  if (contract == nullptr) return hold("the catalog in force then has no such contract");
  if (!catalog_->tenant().empty() && catalog_->tenant() != told.tenant)
    return hold("the catalog in force then is of tenant " + catalog_->tenant());
  tenant_ = told.tenant;

  bool booked = false;
  if (told.revision == 1) {
    TRY(booked, close_again(*contract, told.period, now, report));
  } else {
    Adjustable late;
    TRY(const bool settled, adjust(*contract, told.period.from, late, now, report));
    booked = report.periods_adjusted > 0;
    if (settled && !booked) return hold("what is booked and the usage that is there agree");
  }
  const auto& held = hints_[told.contract].held;
  if (!booked && report.held.empty())
    return hold(held ? held->reason : "the period cannot be rated with the catalog in force then");
  return report;
}

Result<bool> CommerceRunner::close_again(const Contract& contract, Period told, Timestamp now,
                                         CommerceReport& report) {
  hints_[contract.name].held.reset();
  TRY(const auto next, next_period(contract));
  if (!next) {
    report.held.push_back({contract.name, told, "the contract has no period left to close"});
    return false;
  }
  TRY(const FoldCursor fold, store_.fold_cursor());
  TRY(const auto needs, usage().needs(contract, *next));
  return close_one(contract,
                   {.next = *next, .cursor = fold.cursor, .needs = needs, .told_until = told.until},
                   now, report);
}

Result<Period> CommerceRunner::widened_as_told(const Contract& contract, Period period,
                                               Timestamp until) {
  if (until <= period.until) return period;
  TRY(const auto used, usage().first_in(contract, {period.until, until}));
  // As far as nothing was used, so that what does not fit is seen in the comparison.
  const Timestamp horizon = used ? std::min(until, used->start()) : until;
  if (horizon <= period.until) return period;
  TRY(const Period last, contract.rule.containing(horizon));
  return Period{period.from, std::max(period.until, last.from)};
}

}  // namespace ledgerline::collector
