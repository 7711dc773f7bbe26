#include "collector/fold/maintenance_runner.h"

#include <algorithm>
#include <set>

#include "collector/fold/faults.h"
#include "collector/fold/tenant.h"
#include "collector/store/log_standing.h"

namespace ledgerline::collector {

namespace {

QuarterHour start_of(const MaintenanceRule& rule, int64_t step) {
  return QuarterHour::of(Timestamp(step * rule.step.count()));
}

}  // namespace

MaintenanceRunner::MaintenanceRunner(Store& store, Catalog catalog, MaintenanceOptions options)
    : store_(store), options_(options) {
  set_catalog(std::move(catalog));
}

void MaintenanceRunner::set_catalog(Catalog catalog) {
  usage_.reset();
  mapping_.reset();
  catalog_ = std::make_unique<const Catalog>(std::move(catalog));
  mapping_ = std::make_unique<const Mapping>(*catalog_);
  usage_ = std::make_unique<AssetUsage>(store_, tenant_, *catalog_, *mapping_);
  pairs_.clear();
  for (const auto& [rule_name, rule] : catalog_->rules()) {
    for (const auto& [asset_name, asset] : catalog_->assets()) {
      if (asset.model == rule.model) pairs_.push_back({&rule, &asset});
    }
  }
  rounds_.reset(pairs_.size());
}

Result<MaintenanceReport> MaintenanceRunner::step(Timestamp now) {
  MaintenanceReport report;
  TRY(const bool halted, rating_halted(store_));
  if (halted) return report;
  if (rounds_.is_over()) {
    if (!rounds_.is_due(now)) return report;
    TRY(const auto tenant, tenant_of(*catalog_, store_));
    if (!tenant) return report;
    tenant_ = *tenant;
    TRY_VOID(usage_->load());
    rounds_.begin(now, options_.round_interval);
  }
  for (size_t i = 0; i < options_.pairs_max && !rounds_.is_over(); ++i) {
    const Pair& pair = pairs_[rounds_.take()];
    const auto status = look(pair, now, report);
    if (status) continue;
    if (is_for_all(status.error())) return fail(status.error());
    report.failed.emplace_back(pair.rule->name + " of " + pair.asset->name, status.error());
  }
  report.more = report.more || !rounds_.is_over();
  return report;
}

Result<std::optional<RuleRow>> MaintenanceRunner::stored_state(const std::string& rule,
                                                               const std::string& asset) {
  return store_.rule_state(RuleKind::maintenance, tenant_, rule, asset);
}

Result<std::optional<Timestamp>> MaintenanceRunner::complete_through(const Asset& asset) {
  std::optional<Timestamp> promised;
  std::optional<Timestamp> ended;
  for (const Link& link : catalog_->links()) {
    if (link.asset != asset.name) continue;
    TRY(const auto streams, store_.progress(tenant_, link.device));
    for (const StreamProgress& stream : streams) {
      if (stream.status == StreamStatus::closed) continue;
      if (!stream.complete_through) return std::optional<Timestamp>();
      // Past its link's end a device has nothing more to say of the asset.
      const bool is_over = link.until && *stream.complete_through >= *link.until;
      if (is_over) {
        ended = std::max(ended.value_or(*link.until), *link.until);
      } else {
        promised = std::min(promised.value_or(*stream.complete_through), *stream.complete_through);
      }
    }
  }
  return promised ? promised : ended;
}

Result<std::vector<BatchName>> MaintenanceRunner::batches_of(const Pair& pair,
                                                             const OrderDecision& decision) {
  const Timestamp until = decision.at;
  const Timestamp from = until - window_steps(*pair.rule) * pair.rule->step;
  TRY(const auto leaves,
      usage_->leaves(*pair.rule, pair.asset->name, QuarterHour::of(from), QuarterHour::of(until)));
  std::vector<BatchName> out;
  // The newest leaves are the last: those that can be shown, and one more to tell that there are.
  const size_t skipped = leaves.size() - std::min(leaves.size(), kBatchesShown);
  for (size_t i = skipped; i < leaves.size(); ++i) {
    TRY(const LogEntry leaf, store_.leaf(leaves[i]));
    out.push_back({leaf.stream, leaf.number});
  }
  std::sort(out.begin(), out.end());
  return out;
}

Status MaintenanceRunner::look(const Pair& pair, Timestamp now, MaintenanceReport& report) {
  const MaintenanceRule& rule = *pair.rule;
  TRY(const FoldCursor fold, store_.fold_cursor());
  TRY(const auto promised, complete_through(*pair.asset));
  if (!promised) return {};
  TRY(const auto stored, stored_state(rule.name, pair.asset->name));
  RuleState state = initial_state(rule, *pair.asset);
  if (stored) {
    TRY(state, parse_rule_state(stored->state, rule));
  }
  int64_t last = last_step_before(rule, *promised);
  if (state.next_step && *state.next_step > last) return {};

  const QuarterHour until = start_of(rule, last + 1);
  if (!state.next_step) {
    TRY(const auto first, usage_->first(rule, pair.asset->name, until));
    if (!first) return {};
    state.next_step = step_of(rule, *first);
  }
  const bool cut = last - *state.next_step >= options_.rule_steps_max;
  if (cut) last = *state.next_step + options_.rule_steps_max - 1;
  const QuarterHour from = start_of(rule, *state.next_step - window_steps(rule));
  TRY(const auto samples, usage_->samples(rule, pair.asset->name, from, start_of(rule, last + 1)));
  const auto decision = RuleMachine(rule, samples, state).advance(last);

  CommercialChanges changes;
  changes.expected_cursor = fold.cursor;
  if (decision) {
    TRY(DocumentRow document, order(pair, state, *decision, samples, fold.cursor, now));
    changes.deliveries.push_back(new_delivery(document, now));
    changes.documents.push_back({document, decision->revision - 1});
  }
  const uint32_t revision = stored ? stored->revision : 0;
  changes.rules.push_back({{.kind = RuleKind::maintenance,
                            .tenant = tenant_,
                            .rule = rule.name,
                            .about = pair.asset->name,
                            .revision = revision + 1,
                            .state = to_json(state, rule)},
                           revision});
  const auto written = store_.put_documents(changes);
  if (!written && written.error().code() == Errc::conflict) {
    ++report.conflicts;
    return {};
  }
  if (!written) return written;
  for (DocumentPut& put : changes.documents) report.orders.push_back(std::move(put.row));
  // What is left of the pair is looked at in the next round, which then comes at once.
  if (decision || cut) {
    report.more = true;
    rounds_.hurry(now);
  }
  return {};
}

Result<DocumentRow> MaintenanceRunner::order(const Pair& pair, const RuleState& state,
                                             const OrderDecision& decision,
                                             const std::vector<Samples>& samples, LeafNumber cursor,
                                             Timestamp now) {
  TRY(auto batches, batches_of(pair, decision));
  return make_order(*catalog_, *pair.rule, *pair.asset,
                    {.tenant = tenant_,
                     .decision = &decision,
                     .opened_at = state.open->opened_at,
                     .samples = &samples,
                     .log_leaves = cursor,
                     .batches = std::move(batches),
                     .now = now});
}

Result<std::vector<OpenWork>> MaintenanceRunner::open_work(const std::string& connector) {
  std::vector<OpenWork> out;
  if (tenant_.empty()) return out;
  for (const Pair& pair : pairs_) {
    if (pair.rule->connector != connector) continue;
    // A row that cannot be read is reported by step() and holds up no other.
    const auto stored = stored_state(pair.rule->name, pair.asset->name);
    if (!stored && is_for_all(stored.error())) return fail(stored.error());
    if (!stored || !*stored) continue;
    const auto state = parse_rule_state((*stored)->state, *pair.rule);
    if (!state || !state->open) continue;
    const std::string id =
        order_id(tenant_, pair.rule->name, pair.asset->name, state->open->number);
    const auto document = store_.document(id);
    if (!document && is_for_all(document.error())) return fail(document.error());
    if (!document || document->state != DocumentState::confirmed) continue;
    out.push_back({.document = id,
                   .revision = document->revision,
                   .external_id = document->external_id,
                   .rule = pair.rule->name,
                   .asset = pair.asset->name,
                   .number = state->open->number});
  }
  return out;
}

Status MaintenanceRunner::close_work(const OpenWork& work, const WorkProgress& progress,
                                     Timestamp now) {
  const auto found = catalog_->rules().find(work.rule);
  TRY(const auto stored, stored_state(work.rule, work.asset));
  if (found == catalog_->rules().end() || !stored)
    return fail(Errc::conflict, "the order's rule is gone");
  const MaintenanceRule& rule = found->second;
  TRY(RuleState state, parse_rule_state(stored->state, rule));
  if (!state.open || state.open->number != work.number)
    return fail(Errc::conflict, "the order is not open any more");
  const Timestamp at = std::min(progress.closed_at.value_or(now), now);
  on_service(rule, state, std::max(at, state.open->opened_at));
  CommercialChanges changes;
  changes.rules.push_back({{.kind = RuleKind::maintenance,
                            .tenant = tenant_,
                            .rule = work.rule,
                            .about = work.asset,
                            .revision = stored->revision + 1,
                            .state = to_json(state, rule)},
                           stored->revision});
  changes.decisions.push_back({.id = work.document,
                               .revision = work.revision,
                               .expected = DocumentState::confirmed,
                               .state = DocumentState::closed,
                               .by = progress.by,
                               .at = at,
                               .delivery = {}});
  return store_.put_documents(changes);
}

}  // namespace ledgerline::collector
