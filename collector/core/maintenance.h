#pragma once
// When an asset needs service: one small state machine per (rule, asset), advanced step by step
// over complete usage. The same samples give the same orders, in whatever pieces they are fed.
// Pure.
//
//   idle --conditions met, cool-down over--> open --closed in the field--> idle, counters at 0

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "collector/core/condition.h"

namespace ledgerline::collector {

struct ConditionState {
  bool met = false;
  BigInt since_service = 0;  // at the samples' scale
  friend bool operator==(const ConditionState&, const ConditionState&) = default;
};

struct OpenOrder {
  uint32_t number = 0;  // 1, 2, 3 ... of this rule and asset
  uint32_t revision = 1;
  Timestamp opened_at;
  Timestamp written_at;  // when the newest revision was decided
  friend bool operator==(const OpenOrder&, const OpenOrder&) = default;
};

struct RuleState {
  std::optional<int64_t> next_step;  // nothing: no step was looked at yet
  std::optional<Timestamp> service_at;
  std::optional<Timestamp> quiet_until;
  std::vector<ConditionState> conditions;  // as many as the rule has
  std::optional<OpenOrder> open;
  uint32_t orders = 0;
  friend bool operator==(const RuleState&, const RuleState&) = default;
};

/// What a condition's value was when an order was decided.
struct Finding {
  size_t condition = 0;
  bool met = false;
  std::optional<Fraction> value;  // nothing: too few readings
};

struct OrderDecision {
  uint32_t number = 0;
  uint32_t revision = 1;
  Timestamp at;  // the end of the step
  std::vector<Finding> findings;
};

class RuleMachine {
 public:
  /// `rule` and `samples` (one per condition; empty for the calendar) outlive it. The samples hold
  /// everything from window_steps() before the state's next step on.
  RuleMachine(const MaintenanceRule& rule, const std::vector<Samples>& samples, RuleState& state);

  /// The first decision at or before the step, or nothing when all steps up to it are looked at.
  /// The state is then that of the decision, so that the caller may store both together.
  std::optional<OrderDecision> advance(int64_t last_step);

 private:
  std::vector<Finding> look(int64_t step);
  std::optional<Fraction> value_at(size_t condition, int64_t step);
  [[nodiscard]] Timestamp end_of(int64_t step) const;

  const MaintenanceRule& rule_;
  const std::vector<Samples>& samples_;
  RuleState& state_;
  struct Position {
    MovingWindow window;
    size_t added = 0;  // samples before it are in since_service, or before the state began
  };
  std::vector<Position> positions_;  // one per condition
};

/// Service was done: counters, calendar and conditions begin again with the first step after it,
/// cool-down begins.
void on_service(const MaintenanceRule& rule, RuleState& state, Timestamp at);

/// Steps before the first one looked at that the windows reach back.
int64_t window_steps(const MaintenanceRule& rule);
/// The newest step that ends at or before the instant.
int64_t last_step_before(const MaintenanceRule& rule, Timestamp instant);
/// The step that holds the quarter hour.
int64_t step_of(const MaintenanceRule& rule, QuarterHour quarter);

/// Before any step was looked at: from the asset's service entry on, or from its first reading.
RuleState initial_state(const MaintenanceRule& rule, const Asset& asset);

/// For the store: canonical JSON.
std::string to_json(const RuleState& state, const MaintenanceRule& rule);
/// A rule that has other conditions by now begins their counters anew. Errc::corrupt.
Result<RuleState> parse_rule_state(std::string_view json, const MaintenanceRule& rule);

}  // namespace ledgerline::collector
