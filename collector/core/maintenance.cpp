#include "collector/core/maintenance.h"

#include <algorithm>

#include "common/check.h"

namespace ledgerline::collector {

namespace {

constexpr int64_t kDayMs = 86'400'000;

int64_t floor_divide(int64_t value, int64_t by) { return value / by - (value % by < 0 ? 1 : 0); }

std::optional<int64_t> first_step_with_data(const std::vector<Samples>& samples) {
  std::optional<int64_t> first;
  for (const Samples& one : samples) {
    if (one.samples.empty()) continue;
    const int64_t step = one.samples.front().step;
    first = first ? std::min(*first, step) : step;
  }
  return first;
}

}  // namespace

int64_t window_steps(const MaintenanceRule& rule) {
  int64_t out = 1;
  for (const Condition& condition : rule.conditions)
    out = std::max(out, condition.window / rule.step);
  return out;
}

int64_t last_step_before(const MaintenanceRule& rule, Timestamp instant) {
  return floor_divide(instant.unix_ms(), rule.step.count()) - 1;
}

int64_t step_of(const MaintenanceRule& rule, QuarterHour quarter) {
  return floor_divide(quarter.start().unix_ms(), rule.step.count());
}

RuleState initial_state(const MaintenanceRule& rule, const Asset& asset) {
  RuleState state;
  state.conditions.resize(rule.conditions.size());
  if (!asset.in_service_from) return state;
  state.service_at = asset.in_service_from;
  state.next_step = last_step_before(rule, *asset.in_service_from) + 1;
  return state;
}

void on_service(const MaintenanceRule& rule, RuleState& state, Timestamp at) {
  state.service_at = at;
  state.quiet_until = at + rule.cool_down;
  state.open.reset();
  for (ConditionState& condition : state.conditions) condition = {};
  // What came between the service and now counts for the next one: those steps are looked at again.
  const int64_t first = -floor_divide(-at.unix_ms(), rule.step.count());
  if (state.next_step) state.next_step = std::min(*state.next_step, first);
}

RuleMachine::RuleMachine(const MaintenanceRule& rule, const std::vector<Samples>& samples,
                         RuleState& state)
    : rule_(rule), samples_(samples), state_(state) {
  CHECK_INVARIANT(samples.size() == rule.conditions.size());
  for (size_t i = 0; i < samples.size(); ++i) {
    const Condition& condition = rule.conditions[i];
    positions_.push_back({.window = {condition, samples[i], condition.ahead / rule.step}});
  }
  state_.conditions.resize(rule.conditions.size());
  if (!state_.next_step) state_.next_step = first_step_with_data(samples);
  if (!state_.next_step) return;
  for (size_t i = 0; i < positions_.size(); ++i) {
    const auto& all = samples[i].samples;
    const auto first =
        std::lower_bound(all.begin(), all.end(), *state_.next_step,
                         [](const StepSample& sample, int64_t step) { return sample.step < step; });
    positions_[i].added = static_cast<size_t>(first - all.begin());
  }
}

Timestamp RuleMachine::end_of(int64_t step) const {
  return Timestamp((step + 1) * rule_.step.count());
}

std::optional<Fraction> RuleMachine::value_at(size_t index, int64_t step) {
  const Condition& condition = rule_.conditions[index];
  const Timestamp now = end_of(step);
  if (condition.source == Condition::Source::calendar) {
    return Fraction{BigInt((now - *state_.service_at).count()), BigInt(kDayMs)};
  }
  const Samples& all = samples_[index];
  Position& at = positions_[index];
  if (condition.source == Condition::Source::since_service) {
    BigInt& sum = state_.conditions[index].since_service;
    for (; at.added < all.samples.size() && all.samples[at.added].step <= step; ++at.added)
      sum += to_big(all.samples[at.added].value.sum);
    return Fraction{sum, power_of_ten(all.scale)};
  }
  at.window.move(step - condition.window / rule_.step, step);
  return at.window.value();
}

std::vector<Finding> RuleMachine::look(int64_t step) {
  std::vector<Finding> out;
  for (size_t i = 0; i < rule_.conditions.size(); ++i) {
    Finding finding{.condition = i, .met = false, .value = value_at(i, step)};
    bool& met = state_.conditions[i].met;
    met = finding.value && is_met(rule_.conditions[i], *finding.value, met);
    finding.met = met;
    out.push_back(std::move(finding));
  }
  return out;
}

std::optional<OrderDecision> RuleMachine::advance(int64_t last_step) {
  if (!state_.next_step) return std::nullopt;
  if (!state_.service_at) state_.service_at = end_of(*state_.next_step - 1);
  while (*state_.next_step <= last_step) {
    const int64_t step = (*state_.next_step)++;
    const Timestamp now = end_of(step);
    auto findings = look(step);
    const auto met = static_cast<size_t>(std::count_if(
        findings.begin(), findings.end(), [](const Finding& finding) { return finding.met; }));
    if (met < rule_.needed) continue;
    if (state_.open) {
      if (rule_.update.count() == 0 || now < state_.open->written_at + rule_.update) continue;
      ++state_.open->revision;
      state_.open->written_at = now;
    } else {
      if (state_.quiet_until && now < *state_.quiet_until) continue;
      state_.open =
          OpenOrder{.number = ++state_.orders, .revision = 1, .opened_at = now, .written_at = now};
    }
    return OrderDecision{.number = state_.open->number,
                         .revision = state_.open->revision,
                         .at = now,
                         .findings = std::move(findings)};
  }
  return std::nullopt;
}

}  // namespace ledgerline::collector
