// gaps: which devices keep periods open; gaps accept: let them close without what is missing;
// close: so for all that one contract's period waits for.

#include "collector/api/commands.h"
#include "collector/api/operator_key.h"
#include "collector/api/setup.h"
#include "collector/api/table.h"
#include "collector/core/gap_acceptance.h"
#include "collector/fold/accepted_gaps.h"
#include "collector/fold/contract_usage.h"
#include "collector/fold/logged_catalog.h"
#include "collector/fold/tenant.h"
#include "common/exit_code.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

struct Gap {
  std::string contract;
  Period period;
  Timestamp from;
  Timestamp until;
  Waiting waiting;
};

/// Of each contract's oldest open period that is over.
class Gaps {
 public:
  Gaps(Store& store, const Catalog& catalog, std::string tenant)
      : store_(store), catalog_(catalog), mapping_(catalog), tenant_(std::move(tenant)) {}

  Result<std::vector<Gap>> find(Timestamp now, const std::vector<AcceptedGap>& accepted) {
    std::vector<Gap> out;
    for (const auto& [name, contract] : catalog_.contracts()) {
      TRY(const auto period, open_period(contract));
      if (!period || now < period->until) continue;
      ContractUsage usage(store_, tenant_, catalog_, mapping_);
      TRY(const auto needs, usage.needs(contract, *period));
      for (const DeviceNeed& need : needs) {
        for (Waiting& one : waiting_for({need}, accepted))
          out.push_back({name, *period, missing_from(need, one), need.required, std::move(one)});
      }
    }
    return out;
  }

  /// The oldest that is not closed.
  Result<std::optional<Period>> open_period(const Contract& contract) {
    TRY(const auto newest, store_.newest_period(tenant_, contract.name));
    const Timestamp anchor = contract.rule.anchor();
    return period_from(contract, newest ? std::max(newest->to, anchor) : anchor);
  }

 private:
  Store& store_;
  const Catalog& catalog_;
  Mapping mapping_;
  std::string tenant_;
};

Json as_json(const Gap& gap) {
  return Json::object({{"device", Json::string(gap.waiting.device)},
                       {"from", Json::string(to_rfc3339(gap.from))},
                       {"until", Json::string(to_rfc3339(gap.until))},
                       {"contract", Json::string(gap.contract)},
                       {"period_from", Json::string(to_rfc3339(gap.period.from))},
                       {"period_until", Json::string(to_rfc3339(gap.period.until))},
                       {"because", Json::string(gap.waiting.text())}});
}

Result<GapAcceptance> requested(const CommandLine& options, const std::string& tenant,
                                Timestamp now) {
  GapAcceptance out;
  out.tenant = tenant;
  out.device = options.device;
  out.reason = options.reason;
  out.at = now;
  const auto from = parse_rfc3339(options.from);
  if (!from) return fail(Error(from.error()).with("--from", options.from));
  const auto until = parse_rfc3339(options.until);
  if (!until) return fail(Error(until.error()).with("--until", options.until));
  out.from = *from;
  out.until = *until;
  if (out.until <= out.from)
    return fail(Error(Errc::reject, "a gap ends after it begins").with("--until", options.until));
  if (out.until > now) {
    return fail(Error(Errc::reject,
                      "a gap is accepted once it is over: what may still come is not "
                      "missing yet")
                    .with("--until", options.until));
  }
  return out;
}

bool is_recovering(const Gap& gap) { return gap.waiting.reason == Waiting::Reason::recovering; }

/// Why there is nothing to accept.
std::string nothing_missing(const Contract& contract, const std::optional<Period>& period,
                            Timestamp now) {
  const std::string name = "contract " + printable(contract.name);
  if (!period) return name + " has no open period\n";
  const std::string of = name + ", period " + to_rfc3339(period->from) + " to ";
  if (now < period->until)
    return of + to_rfc3339(period->until) + ": not over yet, it cannot be closed\n";
  return of + to_rfc3339(period->until) + " waits for no device: it closes by itself at " +
         to_rfc3339(period->until + contract.grace) + "\n";
}

Result<StatementPut> accepted_as(const Gap& gap, const std::string& tenant,
                                 const std::string& reason, const ActingOperator& acting,
                                 Timestamp now) {
  GapAcceptance acceptance;
  acceptance.tenant = tenant;
  acceptance.device = gap.waiting.device;
  acceptance.from = gap.from;
  acceptance.until = gap.until;
  acceptance.by = acting.name;
  acceptance.at = now;
  acceptance.reason = reason;
  TRY_VOID(GapAcceptance::parse(acceptance.json()));
  return signed_put(LeafKind::gap_acceptance, acceptance.json(), *acting.signer, now);
}

}  // namespace

Result<int> list_gaps(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                      std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const Catalog catalog, catalog_in_force(*store));
  TRY(const auto tenant, tenant_of(catalog, *store));
  if (!tenant) return fail(Errc::not_found, "no device is enrolled yet");
  TRY(const auto accepted, AcceptedGaps().read(*store, *tenant));
  TRY(const auto gaps, Gaps(*store, catalog, *tenant).find(clock.now(), accepted));
  if (options.json) {
    Json list = Json::array();
    for (const Gap& gap : gaps) list.push(as_json(gap));
    out << list.dump() << "\n";
    return kExitOk;
  }
  TextTable table({"DEVICE", "MISSING FROM", "UNTIL", "CONTRACT", "PERIOD", "BECAUSE"});
  for (const Gap& gap : gaps) {
    table.add({gap.waiting.device, to_rfc3339(gap.from), to_rfc3339(gap.until), gap.contract,
               to_rfc3339(gap.period.from), gap.waiting.text()});
  }
  table.print(out);
  return kExitOk;
}

Result<int> accept_gap(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                       std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const Catalog catalog, catalog_in_force(*store));
  TRY(const auto tenant, tenant_of(catalog, *store));
  if (!tenant) return fail(Errc::not_found, "no device is enrolled yet");
  TRY(GapAcceptance acceptance, requested(options, *tenant, clock.now()));
  TRY(const ActingOperator acting, acting_operator(config, *store, options.key, clock.now()));
  acceptance.by = acting.name;
  // What is signed is what can be read again.
  TRY_VOID(GapAcceptance::parse(acceptance.json()));
  TRY(auto accepted, AcceptedGaps().read(*store, *tenant));
  CommercialChanges changes;
  TRY(changes.statements.emplace_back(),
      signed_put(LeafKind::gap_acceptance, acceptance.json(), *acting.signer, acceptance.at));
  const Digest& id = changes.statements.front().id;
  accepted.push_back({id, acceptance.device, acceptance.from, acceptance.until});
  TRY(const auto left, Gaps(*store, catalog, *tenant).find(clock.now(), accepted));
  TRY_VOID(store->put_documents(changes));
  out << "gap of device " << printable(acceptance.device) << " accepted by " << acting.name
      << ", statement " << id.hex() << "\nwhat comes from it later becomes an adjustment\n";
  for (const Gap& gap : left) {
    if (gap.waiting.device != acceptance.device) continue;
    out << "contract " << gap.contract << " still waits for it from " << to_rfc3339(gap.from)
        << " until " << to_rfc3339(gap.until) << "\n";
  }
  return kExitOk;
}

Result<int> close_period(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                         std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const Catalog catalog, catalog_in_force(*store));
  TRY(const auto tenant, tenant_of(catalog, *store));
  if (!tenant) return fail(Errc::not_found, "no device is enrolled yet");
  const Contract* contract = catalog.contract(options.contract);
  if (contract == nullptr) {
    return fail(Error(Errc::not_found, "no contract of the catalog in force has this name")
                    .with("contract", options.contract));
  }
  const Timestamp now = clock.now();
  TRY(const auto accepted, AcceptedGaps().read(*store, *tenant));
  Gaps gaps(*store, catalog, *tenant);
  TRY(auto found, gaps.find(now, accepted));
  std::erase_if(found, [&](const Gap& gap) { return gap.contract != contract->name; });
  // What the store itself lost is no gap of the device's: nobody can accept it.
  std::vector<Gap> recovering;
  std::copy_if(found.begin(), found.end(), std::back_inserter(recovering), is_recovering);
  std::erase_if(found, is_recovering);
  for (const Gap& gap : recovering) {
    out << "device " << printable(gap.waiting.device) << ": " << gap.waiting.text()
        << "; it has to come back, or be replaced: ledgerline-collector enroll --replace\n";
  }
  if (found.empty() && !recovering.empty()) return kExitOk;
  if (found.empty()) {
    TRY(const auto period, gaps.open_period(*contract));
    out << nothing_missing(*contract, period, now);
    return kExitOk;
  }
  TRY(const ActingOperator acting, acting_operator(config, *store, options.key, clock.now()));
  CommercialChanges changes;
  for (const Gap& gap : found) {
    TRY(changes.statements.emplace_back(), accepted_as(gap, *tenant, options.reason, acting, now));
  }
  TRY_VOID(store->put_documents(changes));
  for (const Gap& gap : found) {
    out << "gap of device " << printable(gap.waiting.device) << " from " << to_rfc3339(gap.from)
        << " until " << to_rfc3339(gap.until) << " accepted by " << acting.name << ": "
        << gap.waiting.text() << "\n";
  }
  out << "period " << to_rfc3339(found.front().period.from) << " to "
      << to_rfc3339(found.front().period.until) << " of contract " << printable(contract->name)
      << " closes within seconds of a running collector, at the earliest at "
      << to_rfc3339(found.front().period.until + contract->grace)
      << "\nwhat comes later becomes an adjustment\n";
  return kExitOk;
}

}  // namespace ledgerline::collector
