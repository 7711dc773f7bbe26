#include "collector/fold/usage_reader.h"

#include <algorithm>
#include <limits>

#include "common/check.h"

namespace ledgerline::collector {

namespace {

/// The instants that quarter hours can name: spans beyond them hold nothing.
Timestamp clamped(Timestamp t) {
  constexpr int64_t kLimit = int64_t{std::numeric_limits<int32_t>::max()} * QuarterHour::kLengthMs;
  return std::clamp(t, Timestamp(0), Timestamp(kLimit));
}

bool is_series(const PlacedLeaf& leaf, size_t i, const SeriesKey& key) {
  const auto row = leaf.meters.find(leaf.columns.meters[i]);
  if (row == leaf.meters.end()) return false;
  const MeterRow& meter = row->second;
  return meter.name == key.meter && meter.unit == key.unit && meter.scale == key.scale &&
         meter.kind == key.kind && meter.definition_version == key.definition_version &&
         leaf.columns.subject(i) == key.subject && leaf.columns.dimensions(i) == key.dimensions;
}

}  // namespace

size_t UsageReader::ask(SeriesRow series, Timestamp from, Timestamp until) {
  questions_.push_back({std::move(series), clamped(from), clamped(until)});
  return questions_.size() - 1;
}

Result<std::vector<UsageValue>> UsageReader::read() {
  answers_.assign(questions_.size(), {});
  leaves_.clear();
  for (size_t i = 0; i < questions_.size(); ++i) TRY_VOID(read_quarters(i));
  for (const auto& [leaf, pieces] : leaves_) TRY_VOID(read_leaf(leaf, pieces));
  questions_.clear();
  leaves_.clear();
  return std::move(answers_);
}

Status UsageReader::read_quarters(size_t index) {
  const Question& question = questions_[index];
  if (question.from >= question.until) return {};
  const QuarterHour first = QuarterHour::of(question.from);
  const QuarterHour last =
      QuarterHour::of(question.until);  // the one that holds the end, or begins there
  const bool ragged_head = question.from != first.start();
  const bool ragged_tail = question.until != last.start();
  const QuarterHour whole_from = ragged_head ? first.next() : first;
  if (whole_from < last) {
    TRY(const auto rows, store_.usage(question.series.id, whole_from, last));
    for (const UsageRow& row : rows) answers_[index].merge(row.value);
  }
  if (ragged_head) TRY_VOID(ask_evidence(index, first));
  if (ragged_tail && !(ragged_head && first == last)) TRY_VOID(ask_evidence(index, last));
  return {};
}

Status UsageReader::ask_evidence(size_t index, QuarterHour quarter) {
  const Question& question = questions_[index];
  const Piece piece{index, std::max(question.from, quarter.start()),
                    std::min(question.until, quarter.end())};
  TRY(const auto leaves, store_.evidence(question.series.id, quarter, quarter.next()));
  for (const LeafNumber leaf : leaves) leaves_[leaf].push_back(piece);
  return {};
}

Status UsageReader::read_leaf(LeafNumber number, const std::vector<Piece>& pieces) {
  TRY(const PlacedLeaf leaf, evidence_.read(number));
  CHECK_INVARIANT(leaf.times.size() == leaf.columns.size());
  for (const Piece& piece : pieces) {
    const Question& question = questions_[piece.question];
    if (question.series.key.tenant != leaf.tenant || question.series.key.device != leaf.device) {
      return fail(Errc::corrupt, "the evidence index names a leaf of another device");
    }
    for (size_t i = 0; i < leaf.columns.size(); ++i) {
      const auto at = leaf.times[i];
      if (!at || *at < piece.from || *at >= piece.until || !is_series(leaf, i, question.series.key))
        continue;
      answers_[piece.question].add(
          leaf.columns.values[i],
          {at->unix_ms(), leaf.stream, leaf.columns.first_seq + static_cast<Seq>(i)});
    }
  }
  return {};
}

}  // namespace ledgerline::collector
