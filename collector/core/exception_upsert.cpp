#include "collector/core/exception_upsert.h"

#include <algorithm>
#include <limits>

#include "collector/core/exceptions.h"

namespace ledgerline::collector {

namespace {

constexpr std::string_view kClosedItself = "auto";

std::optional<ExceptionRow> cleared(const std::optional<ExceptionRow>& stored,
                                    const ExceptionRow& row) {
  if (!stored || stored->state == ExceptionState::resolved) return std::nullopt;
  ExceptionRow out = *stored;
  out.state = ExceptionState::resolved;
  out.resolved_by = kClosedItself;
  out.resolved_at = row.last_seen;
  out.resolution = row.detail;
  return out;
}

void reopen(ExceptionRow& row) {
  row.state = ExceptionState::open;
  row.resolved_by.clear();
  row.resolved_at.reset();
  row.resolution.clear();
}

void keep_text(std::string& text, const std::string& before) {
  if (text.empty()) text = before;
}

}  // namespace

ExceptionRow acted(ExceptionRow row, const ExceptionAction& action) {
  switch (action.kind) {
    case ExceptionActionKind::assign:
      row.assignee = action.detail;
      break;
    case ExceptionActionKind::ignore:
      row.state = ExceptionState::resolved;
      row.resolved_by = action.by;
      row.resolved_at = action.at;
      row.resolution = action.reason;
      break;
    case ExceptionActionKind::map:
    case ExceptionActionKind::requeue:
      break;  // it closes by itself once the cause is gone
  }
  return row;
}

std::optional<ExceptionRow> upserted(const std::optional<ExceptionRow>& stored,
                                     const ExceptionUpsert& upsert) {
  if (upsert.mode == UpsertMode::clear) return cleared(stored, upsert.row);
  ExceptionRow out = upsert.row;
  if (!stored) {
    if (!out.deadline) out.deadline = deadline_of(out.kind, out.first_seen);
    return out;
  }

  const bool same_figures = stored->count == out.count && stored->value == out.value;
  // A person's resolution holds for the figures they saw; one that closed itself opens itself
  // again.
  if (upsert.mode == UpsertMode::replace && stored->state == ExceptionState::resolved &&
      stored->resolved_by != kClosedItself && same_figures) {
    return std::nullopt;
  }
  if (upsert.mode == UpsertMode::add) {
    const bool fits = out.count <= std::numeric_limits<uint64_t>::max() - stored->count;
    out.count = fits ? stored->count + out.count : std::numeric_limits<uint64_t>::max();
    // A sum beyond 128 bits stays at what was reached: the evidence holds the exact readings.
    out.value = add(stored->value, out.value).value_or(stored->value);
  }
  for (auto text : {&ExceptionRow::device, &ExceptionRow::subject, &ExceptionRow::meter,
                    &ExceptionRow::contract, &ExceptionRow::document, &ExceptionRow::unit,
                    &ExceptionRow::owner, &ExceptionRow::detail, &ExceptionRow::assignee}) {
    keep_text(out.*text, (*stored).*text);
  }
  if (out.series == 0) out.series = stored->series;
  if (stored->first_leaf) {
    out.first_leaf =
        out.first_leaf ? std::min(*out.first_leaf, *stored->first_leaf) : stored->first_leaf;
  }
  if (stored->last_leaf) {
    out.last_leaf =
        out.last_leaf ? std::max(*out.last_leaf, *stored->last_leaf) : stored->last_leaf;
  }
  const bool again = stored->state == ExceptionState::resolved;
  if (!out.deadline && !again) out.deadline = stored->deadline;
  if (!out.deadline)
    out.deadline = deadline_of(out.kind, again ? out.last_seen : stored->first_seen);
  out.first_seen = std::min(out.first_seen, stored->first_seen);
  out.last_seen = std::max(out.last_seen, stored->last_seen);
  reopen(out);
  return out;
}

}  // namespace ledgerline::collector
