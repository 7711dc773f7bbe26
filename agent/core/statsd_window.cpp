#include "agent/core/statsd_window.h"

#include <algorithm>
#include <limits>

#include "common/check.h"
#include "common/crypto.h"

namespace ledgerline::agent {

namespace {

constexpr int64_t kQuarterHourMs = 15 * 60 * 1000;

std::string key_of(const Reading& reading) {
  return std::string(
      text_of(hash_of_series(reading.meter, reading.subject, reading.dimensions).view()));
}

std::string hash_of_member(const std::string& member) {
  return std::string(text_of(sha256(bytes_of(member)).view().first(16)));
}

bool same_quarter_hour(Timestamp a, Timestamp b) {
  return a.unix_ms() / kQuarterHourMs == b.unix_ms() / kQuarterHourMs;
}

tl::unexpected<Error> no_room() {
  return fail(Errc::full, "there are too many series or set members in this interval");
}

/// False where the sum does not fit.
bool fold_value(Combine combine, int64_t newer, int64_t& value) {
  switch (combine) {
    case Combine::add: {
      int64_t sum = 0;
      if (__builtin_add_overflow(value, newer, &sum)) return false;
      value = sum;
      return true;
    }
    case Combine::last:
      value = newer;
      return true;
    case Combine::least:
      value = std::min(value, newer);
      return true;
    case Combine::greatest:
      value = std::max(value, newer);
      return true;
    case Combine::distinct:
      return true;  // its members say how many
  }
  return true;
}

}  // namespace

Status StatsdWindow::add(StatsdSample sample, const Room& room) {
  const std::string key = key_of(sample.reading);
  const auto found = series_.find(key);
  if (found != series_.end()) return combine_into(found->second, sample, room);
  const bool set = sample.combine == Combine::distinct;
  if (series_.size() >= room.series || (set && members_ >= room.members)) return no_room();
  Series series{.reading = std::move(sample.reading), .combine = sample.combine, .samples = 1};
  if (set) series.members.insert(hash_of_member(sample.member));
  put(key, std::move(series));
  return {};
}

Status StatsdWindow::combine_into(Series& series, const StatsdSample& sample, const Room& room) {
  CHECK_INVARIANT(series.combine == sample.combine);
  if (series.combine == Combine::distinct) {
    const std::string member = hash_of_member(sample.member);
    if (!series.members.contains(member)) {
      if (members_ >= room.members || series.members.size() >= room.members_per_series)
        return no_room();
      series.members.insert(member);
      ++members_;
    }
  }
  if (!fold_value(series.combine, sample.reading.value, series.reading.value))
    return fail(Errc::reject, "the sum of this interval does not fit 64 bits");
  ++series.samples;
  return {};
}

void StatsdWindow::put(const std::string& key, Series series) {
  members_ += series.members.size();
  order_.push_back(key);
  series_.emplace(key, std::move(series));
}

bool StatsdWindow::merge_into(Series& series, Series&& newer, const Room& room) {
  if (series.combine == Combine::distinct) {
    const size_t before = series.members.size();
    if (members_ + newer.members.size() > room.members ||
        before + newer.members.size() > room.members_per_series)
      return false;
    series.members.merge(std::move(newer.members));
    members_ += series.members.size() - before;
  }
  if (!fold_value(series.combine, newer.reading.value, series.reading.value)) return false;
  series.samples += newer.samples;
  return true;
}

uint64_t StatsdWindow::merge(StatsdWindow&& newer, const Room& room) {
  uint64_t dropped = 0;
  for (const std::string& key : newer.order_) {
    Series& other = newer.series_.at(key);
    const uint64_t samples = other.samples;
    const auto found = series_.find(key);
    const bool known = found != series_.end();
    const bool fits =
        series_.size() < room.series && members_ + other.members.size() <= room.members;
    if (known ? !merge_into(found->second, std::move(other), room) : !fits) {
      dropped += samples;
    } else if (!known) {
      put(key, std::move(other));
    }
  }
  return dropped;
}

StatsdWindow StatsdWindow::take_part() {
  StatsdWindow out(begin_);
  size_t text = 0;
  while (!order_.empty() && out.size() < RecordLimits::kRequestReadingsMax &&
         text + RecordLimits::kReadingTextMax <= RecordLimits::kRequestTextMax) {
    auto node = series_.extract(order_.front());
    members_ -= node.mapped().members.size();
    text += text_bytes({.reading = node.mapped().reading, .key = ""});
    out.put(order_.front(), std::move(node.mapped()));
    order_.pop_front();
  }
  return out;
}

uint64_t StatsdWindow::drop(size_t index) {
  CHECK_INVARIANT(index < order_.size());
  const auto place = order_.begin() + static_cast<std::ptrdiff_t>(index);
  const auto node = series_.extract(*place);
  order_.erase(place);
  members_ -= node.mapped().members.size();
  return node.mapped().samples;
}

std::vector<RecordItem> StatsdWindow::readings() const {
  std::vector<RecordItem> out;
  out.reserve(order_.size());
  for (const std::string& key : order_) {
    const Series& series = series_.at(key);
    RecordItem item{.reading = series.reading, .key = ""};
    item.reading.time_ms = begin_.monotonic.ms;
    item.reading.monotonic_time = true;
    if (series.combine == Combine::distinct)
      item.reading.value = static_cast<int64_t>(series.members.size());
    out.push_back(std::move(item));
  }
  return out;
}

Status StatsdBuffer::add(StatsdSample sample) {
  return open_.add(std::move(sample), {.series = limits_.series,
                                       .members = limits_.members,
                                       .members_per_series = limits_.members_per_series});
}

size_t StatsdBuffer::kept_series() const {
  size_t out = taken_ ? taken_->size() : 0;
  for (const StatsdWindow& each : ended_) out += each.size();
  return out;
}

size_t StatsdBuffer::kept_members() const {
  size_t out = taken_ ? taken_->members() : 0;
  for (const StatsdWindow& each : ended_) out += each.members();
  return out;
}

void StatsdBuffer::close(IntervalBegin next) {
  StatsdWindow closed = std::exchange(open_, StatsdWindow(next));
  if (closed.empty()) return;
  const bool joins =
      !ended_.empty() && same_quarter_hour(ended_.back().begin().wall, closed.begin().wall);
  if (!joins) ended_.emplace_back(closed.begin());
  StatsdWindow& last = ended_.back();
  const size_t series_left = limits_.kept_series - std::min(limits_.kept_series, kept_series());
  const size_t members_left = limits_.kept_members - std::min(limits_.kept_members, kept_members());
  dropped_ += last.merge(std::move(closed), {.series = last.size() + series_left,
                                             .members = last.members() + members_left,
                                             .members_per_series = limits_.members_per_series});
  if (last.empty()) ended_.pop_back();
}

const StatsdWindow* StatsdBuffer::take() {
  if (taken_ || ended_.empty()) return nullptr;
  taken_ = ended_.front().take_part();
  return &*taken_;
}

void StatsdBuffer::recorded() {
  CHECK_INVARIANT(taken_);
  taken_.reset();
  if (ended_.front().empty()) ended_.pop_front();
}

void StatsdBuffer::put_back() {
  CHECK_INVARIANT(taken_);
  StatsdWindow older = std::move(*taken_);
  taken_.reset();
  constexpr size_t kAll = std::numeric_limits<size_t>::max();  // all of it was in here before
  dropped_ += older.merge(
      std::move(ended_.front()),
      {.series = kAll, .members = kAll, .members_per_series = limits_.members_per_series});
  if (older.empty()) return ended_.pop_front();
  ended_.front() = std::move(older);
}

void StatsdBuffer::drop(size_t index) {
  CHECK_INVARIANT(taken_);
  dropped_ += taken_->drop(index);
}

const StatsdWindow& StatsdBuffer::taken() const {
  CHECK_INVARIANT(taken_);
  return *taken_;
}

std::vector<StatsdWindow> StatsdBuffer::take_all() {
  std::vector<StatsdWindow> out;
  for (StatsdWindow& each : ended_) {
    while (!each.empty()) out.push_back(each.take_part());
  }
  ended_.clear();
  return out;
}

Timestamp StatsdBuffer::begin() const {
  return ended_.empty() ? open_.begin().wall
                        : std::min(ended_.front().begin().wall, open_.begin().wall);
}

}  // namespace ledgerline::agent
