#include "collector/api/exception_text.h"

#include <algorithm>

#include "collector/core/exceptions.h"

namespace ledgerline::collector {

namespace {

Json number(uint64_t value) { return Json::number(std::to_string(value)); }
Json string(std::string_view text) { return Json::string(std::string(text)); }
Json time(const std::optional<Timestamp>& t) { return t ? string(to_rfc3339(*t)) : Json::null(); }
Json leaf(const std::optional<LeafNumber>& number_) {
  return number_ ? number(*number_) : Json::null();
}

}  // namespace

std::string about_text(const ExceptionRow& row) {
  std::string out;
  for (const std::string* part :
       {&row.device, &row.subject, &row.meter, &row.contract, &row.document}) {
    if (part->empty()) continue;
    if (!out.empty()) out += " ";
    out += *part;
  }
  return out;
}

std::string age_text(Duration age) {
  const int64_t seconds = std::max<int64_t>(age.count() / 1000, 0);
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (seconds < 2 * 3600) return std::to_string(seconds / 60) + "m";
  if (seconds < 2 * 86400) return std::to_string(seconds / 3600) + "h";
  return std::to_string(seconds / 86400) + "d";
}

std::string due_text(const ExceptionRow& row, Timestamp now) {
  if (!row.deadline) return "-";
  return now < *row.deadline ? "in " + age_text(*row.deadline - now)
                             : age_text(now - *row.deadline) + " late";
}

bool is_overdue(const ExceptionRow& row, Timestamp now) {
  return row.state == ExceptionState::open && row.deadline && *row.deadline <= now;
}

Json as_json(const ExceptionRow& row, Timestamp now) {
  const ExceptionPolicy* policy = exception_policy(row.kind);
  Json actions = Json::array();
  for (const auto one : policy == nullptr ? std::vector<ExceptionActionKind>() : policy->actions)
    actions.push(string(to_string(one)));
  return Json::object({{"id", string(row.id)},
                       {"kind", string(row.kind)},
                       {"state", string(row.state == ExceptionState::open ? "open" : "resolved")},
                       {"owner", string(row.owner)},
                       {"assignee", string(row.assignee)},
                       {"tenant", string(row.tenant)},
                       {"device", string(row.device)},
                       {"subject", string(row.subject)},
                       {"meter", string(row.meter)},
                       {"contract", string(row.contract)},
                       {"document", string(row.document)},
                       {"count", number(row.count)},
                       {"value", string(row.value.text())},
                       {"unit", string(row.unit)},
                       {"first_leaf", leaf(row.first_leaf)},
                       {"last_leaf", leaf(row.last_leaf)},
                       {"first_seen", string(to_rfc3339(row.first_seen))},
                       {"last_seen", string(to_rfc3339(row.last_seen))},
                       {"age_s", Json::number((now - row.first_seen).count() / 1000)},
                       {"deadline", time(row.deadline)},
                       {"overdue", Json::boolean(is_overdue(row, now))},
                       {"detail", string(row.detail)},
                       {"action", string(policy == nullptr ? "" : policy->remedy)},
                       {"actions", std::move(actions)},
                       {"resolved_by", string(row.resolved_by)},
                       {"resolved_at", time(row.resolved_at)},
                       {"resolution", string(row.resolution)}});
}

Json as_json(const ExceptionAction& action) {
  return Json::object({{"number", number(action.number)},
                       {"action", string(to_string(action.kind))},
                       {"by", string(action.by)},
                       {"at", string(to_rfc3339(action.at))},
                       {"reason", string(action.reason)},
                       {"detail", string(action.detail)}});
}

}  // namespace ledgerline::collector
