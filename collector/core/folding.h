#pragma once
// What a batch means: its readings added up per series and quarter hour. Nothing here stops a
// stream: a batch that cannot be read, totals that do not add up, a time that cannot be true each
// become an exception that names the evidence, and the next batch folds as if nothing had happened.
// Live and replay are this same code. Pure.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "collector/core/records.h"

namespace ledgerline::collector {

/// What the log and the stream's grant say about a batch.
struct BatchContext {
  std::string tenant;
  std::string device;
  StreamId stream;
  BatchNumber number = 0;
  LeafNumber leaf = 0;
  Timestamp received_at;
  StreamClass stream_class = StreamClass::billing;
};

struct SeriesUsage {
  SeriesKey key;
  QuarterHour quarter;
  UsageValue value;
  Timestamp earliest;
};

struct BatchFold {
  std::vector<SeriesUsage> usage;  // unique by (key, quarter)
  std::vector<ExceptionUpsert> exceptions;
  /// The anchor of an earlier batch that placed monotonic times of this one.
  std::optional<ClockAnchor> clock_note;
  uint64_t readings = 0;
};

/// Readings are usage where 2000-01-01 <= event time <= received_at + kAheadMax. Old files are
/// filled in late, so there is no nearer horizon.
inline constexpr Timestamp kEarliestPlausible{946'684'800'000};
inline constexpr Duration kAheadMax{std::chrono::hours(24)};

/// Of the keys of all (series, quarter hour) of one batch; one with more cannot be read. A small
/// batch names a text once and uses it in thousands of them.
inline constexpr size_t kBatchKeyTextMax = 16 << 20;

/// Rows of one batch. Beyond them, what each kind has left becomes one row that names no meter.
inline constexpr size_t kBatchExceptionsMax = 128;
void limit_exceptions(std::vector<ExceptionUpsert>& exceptions, const BatchContext& context);

/// `state` is what the stream's batches before this one left, and becomes what this one leaves.
BatchFold fold_batch(StreamFoldState& state, const BatchContext& context, ByteView sealed);

/// The stream goes on behind the batches that a tombstone stands for; what they held is in no
/// usage. One exception says how many readings of a diagnostic stream that were; of a billing one
/// each meter's quantity is named too: the difference of the totals around them.
BatchFold fold_tombstone(StreamFoldState& state, const BatchContext& context,
                         ByteView signed_tombstone);

/// Usage of a single batch within [from, to), to the millisecond, by the same rules as fold_batch.
/// `meters`: the stream's, as known now (a number keeps its meaning). `note`: the batch's clock
/// note. Errc::corrupt where the batch cannot be read.
Result<std::vector<SeriesUsage>> read_back(const BatchContext& context, ByteView sealed,
                                           const MeterRows& meters,
                                           const std::optional<ClockAnchor>& note, Timestamp from,
                                           Timestamp to);
/// The same of readings that are open already, also what a batch with sections withheld discloses.
/// `implausible`, where it is given, gets what lies in the span and is no usage because of its time
/// of receipt.
Result<std::vector<SeriesUsage>> read_back(const BatchContext& context, const Columns& columns,
                                           const MeterRows& meters,
                                           const std::optional<ClockAnchor>& note, Timestamp from,
                                           Timestamp to,
                                           std::vector<SeriesUsage>* implausible = nullptr);

/// About a stream and a meter ("": the stream as a whole), seen in this batch.
ExceptionRow stream_exception(std::string_view kind, const BatchContext& context,
                              const std::string& meter);

}  // namespace ledgerline::collector
