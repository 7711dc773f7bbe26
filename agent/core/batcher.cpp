#include "agent/core/batcher.h"

#include <algorithm>

#include "common/check.h"

namespace ledgerline::agent {

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

std::pair<Columns, Columns> halve(const Columns& run) {
  const size_t units = run.size() + run.records.size();
  CHECK_INVARIANT(units >= 2);
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
  for (size_t i = 0; i < units / 2; ++i) move_one(first);
  ColumnsBuilder second(first.next_seq());
  for (size_t i = units / 2; i < units; ++i) move_one(second);
  return {first.take(), second.take()};
}

}  // namespace ledgerline::agent
