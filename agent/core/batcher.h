#pragma once
// Decides when recorded readings are sealed into a batch, and where a batch is cut that came out
// too large. Pure.

#include <utility>

#include "common/sections.h"
#include "common/time.h"

namespace ledgerline::agent {

struct BatchLimits {
  size_t readings_max = 1000;  // at most Columns::kReadingsMax
  Duration age_max = std::chrono::seconds(5);
  /// Below the 1 MiB of a section: merged runs may need a little more than their sum.
  size_t plain_bytes_max = 768 * 1024;
  /// A section takes 256 records; a run brings at most four.
  size_t records_max = 128;
  Sections sections = Sections::one;
};

/// What is recorded and not sealed.
struct Unsealed {
  size_t readings = 0;
  size_t records = 0;
  size_t plain_bytes = 0;
  Monotonic oldest;  // when the first of it was recorded
  [[nodiscard]] bool empty() const { return readings == 0 && records == 0; }
};

enum class SealReason { none, readings, records, bytes, age };

SealReason should_seal(Monotonic now, const Unsealed& unsealed, const BatchLimits& limits);
/// False where a run of this size does not fit behind what the batch has already.
bool fits(const Unsealed& batch, const Unsealed& run, const BatchLimits& limits);
/// False where the two together need more sections than a batch may have.
bool sections_fit(const Columns& batch, const Columns& run, const BatchLimits& limits);

/// Two halves of a run, each with the records that stand before its readings. Invariant: at least
/// two readings or records.
std::pair<Columns, Columns> halve(const Columns& run);
/// The first `readings` of a run and the rest, likewise. Invariant: there is a rest.
std::pair<Columns, Columns> cut(const Columns& run, size_t readings);

}  // namespace ledgerline::agent
