#include "agent/core/batcher.h"

#include <algorithm>

#include "common/check.h"

namespace ledgerline::agent {

namespace {

/// The first `count` readings and records, and the rest.
std::pair<Columns, Columns> divide(const Columns& run, size_t count) {
  const size_t units = run.size() + run.records.size();
  ColumnsBuilder first(run.first_seq);
  size_t reading = 0;
  size_t record = 0;
  // In the order of the stream: a record comes before the reading whose seq it names.
  const auto move_one = [&](ColumnsBuilder& to) {
    if (record < run.records.size() && run.records[record].before_seq <= run.first_seq + reading) {
      to.add(run.records[record++].kind);
    } else {
      to.add(run.reading(reading++));
    }
  };
  for (size_t i = 0; i < count; ++i) move_one(first);
  ColumnsBuilder second(first.next_seq());
  for (size_t i = count; i < units; ++i) move_one(second);
  return {first.take(), second.take()};
}

}  // namespace

SealReason should_seal(Monotonic now, const Unsealed& unsealed, const BatchLimits& limits) {
  if (unsealed.empty()) return SealReason::none;
  if (unsealed.readings >= limits.readings_max) return SealReason::readings;
  if (unsealed.records >= limits.records_max) return SealReason::records;
  if (unsealed.plain_bytes >= limits.plain_bytes_max) return SealReason::bytes;
  if (now - unsealed.oldest >= limits.age_max) return SealReason::age;
  return SealReason::none;
}

bool fits(const Unsealed& batch, const Unsealed& run, const BatchLimits& limits) {
  return batch.readings + run.readings <= limits.readings_max &&
         batch.records + run.records <= limits.records_max &&
         batch.plain_bytes + run.plain_bytes <= limits.plain_bytes_max;
}

bool sections_fit(const Columns& batch, const Columns& run, const BatchLimits& limits) {
  if (limits.sections == Sections::one) return true;
  size_t subjects = batch.subjects.size();
  for (const std::string& subject : run.subjects) {
    if (subjects > kBatchSubjectsMax) return false;
    const auto found = std::find(batch.subjects.begin(), batch.subjects.end(), subject);
    if (found == batch.subjects.end()) ++subjects;
  }
  return subjects <= kBatchSubjectsMax;
}

std::pair<Columns, Columns> halve(const Columns& run) {
  const size_t units = run.size() + run.records.size();
  CHECK_INVARIANT(units >= 2);
  return divide(run, units / 2);
}

std::pair<Columns, Columns> cut(const Columns& run, size_t readings) {
  CHECK_INVARIANT(readings < run.size());
  const auto before_last = [&](const Record& record) {
    return record.before_seq < run.first_seq + readings;
  };
  const auto records = std::count_if(run.records.begin(), run.records.end(), before_last);
  return divide(run, readings + static_cast<size_t>(records));
}

}  // namespace ledgerline::agent
