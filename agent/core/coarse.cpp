#include "agent/core/coarse.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "agent/core/anchoring.h"
#include "common/check.h"

namespace ledgerline::agent {

namespace {

/// Far beyond any time that a reading can have, and far from overflow.
constexpr Duration kStepMax{int64_t{1} << 60};

using SeriesKey = std::tuple<uint32_t, std::string, DimensionSet, bool, bool>;

SeriesKey series_of(const Reading& reading) {
  return {reading.meter, reading.subject, reading.dimensions, reading.monotonic_time, reading.late};
}

class Merger {
 public:
  Merger(const Columns& open, const CoarseContext& context, const CoarseLimits& limits)
      : context_(context), limits_(limits), first_seq_(open.first_seq) {
    for (const Record& record : open.records) {
      if (const auto* before = std::get_if<Coarsened>(&record.kind)) said_ = *before;
    }
    if (said_.readings == 0) said_.from = context.now;
    for (size_t i = 0; i < open.size(); ++i) add_row(open.reading(i));
  }

  /// The row that holds the reading now; nothing where there is no room.
  std::optional<size_t> take(const Reading& reading) {
    ++said_.measurements;
    const auto newest = newest_.find(series_of(reading));
    const bool known = newest != newest_.end();
    const bool full = rows_.size() >= limits_.rows_max || context_.open_bytes >= limits_.bytes_max;
    if (known) {
      Reading& row = rows_[newest->second];
      const Duration step = full ? step_of_both(row, reading) : this->step();
      if (in_step(row, reading, step) && merge(row, reading)) {
        said_.step = std::max(said_.step, step);
        return newest->second;
      }
    }
    if (full) return std::nullopt;
    return add_row(reading);
  }

  CoarseMerge finish(std::vector<size_t> places) {
    said_.readings = static_cast<uint32_t>(rows_.size());
    said_.to = context_.now;
    said_.step = std::max(said_.step, step());
    ColumnsBuilder builder(first_seq_);
    builder.add(said_);
    for (const Reading& row : rows_) builder.add(row);
    CoarseMerge out{.run = builder.take(), .seqs = {}, .replaced = std::move(replaced_)};
    for (const size_t place : places) out.seqs.push_back(first_seq_ + place);
    return out;
  }

 private:
  [[nodiscard]] Duration step() const {
    const size_t doublings = std::min<size_t>(rows_.size() / limits_.rows_per_step, 20);
    return limits_.step * (int64_t{1} << doublings);
  }

  [[nodiscard]] int64_t wall_ms(const Reading& reading) const {
    if (!reading.monotonic_time || !context_.anchor) return reading.time_ms;
    return time_by(*context_.anchor, {reading.time_ms}).unix_ms();
  }

  [[nodiscard]] bool in_step(const Reading& row, const Reading& reading, Duration step) const {
    return wall_ms(row) / step.count() == wall_ms(reading) / step.count();
  }

  /// The narrowest step that holds both, and so all that the row holds already: steps double, so
  /// each lies inside one of the next.
  [[nodiscard]] Duration step_of_both(const Reading& row, const Reading& reading) const {
    Duration out = step();
    while (!in_step(row, reading, out) && out <= kStepMax) out *= 2;
    return out;
  }

  /// False where the sum does not fit.
  bool merge(Reading& row, const Reading& reading) {
    const bool newer = reading.time_ms >= row.time_ms;
    if (context_.meters.at(reading.meter).kind == MeterKind::gauge) {
      replaced_.emplace_back(reading.meter, newer ? row.value : reading.value);
      if (newer) row.value = reading.value;
    } else {
      int64_t sum = 0;
      if (__builtin_add_overflow(row.value, reading.value, &sum)) return false;
      row.value = sum;
      row.register_value = reading.register_value;
      row.register_reset = row.register_reset || reading.register_reset;
    }
    row.time_ms = std::max(row.time_ms, reading.time_ms);
    return true;
  }

  size_t add_row(Reading reading) {
    newest_[series_of(reading)] = rows_.size();
    rows_.push_back(std::move(reading));
    return rows_.size() - 1;
  }

  const CoarseContext& context_;
  const CoarseLimits& limits_;
  Seq first_seq_;
  Coarsened said_;
  std::vector<Reading> rows_;
  std::map<SeriesKey, size_t> newest_;
  std::vector<std::pair<uint32_t, int64_t>> replaced_;
};

}  // namespace

std::optional<CoarseMerge> coarsen(const Columns& open, const Columns& more,
                                   const CoarseContext& context, const CoarseLimits& limits) {
  CHECK_INVARIANT(more.first_seq == open.next_seq());
  Merger merger(open, context, limits);
  std::vector<size_t> places;
  for (size_t i = 0; i < more.size(); ++i) {
    const auto place = merger.take(more.reading(i));
    if (!place) return std::nullopt;
    places.push_back(*place);
  }
  return merger.finish(std::move(places));
}

}  // namespace ledgerline::agent
