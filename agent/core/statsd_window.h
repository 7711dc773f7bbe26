#pragma once
// What statsd samples add up to until they are recorded. Pure.
//
// Samples of one interval and series become one reading, which carries the time at which the
// interval began: nothing earlier is held back. What the journal refuses is kept and merged with
// what follows in the same quarter hour, the grain of usage.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "agent/core/recorder.h"

namespace ledgerline::agent {

/// How samples of one series become one value.
enum class Combine { add, last, least, greatest, distinct };

struct StatsdSample {
  Reading reading;  // meter, subject, dimensions, and the value at the meter's scale
  Combine combine = Combine::add;
  std::string member;  // of a set
};

struct StatsdLimits {
  size_t series = 10'000;              // of one interval
  size_t members_per_series = 10'000;  // of a set
  size_t members = 100'000;            // of one interval's sets
  size_t kept_series = 40'000;         // of all that is not recorded yet
  size_t kept_members = 400'000;
};

struct IntervalBegin {
  Timestamp wall;
  Monotonic monotonic;
};

/// One interval, or several that were merged.
class StatsdWindow {
 public:
  struct Room {
    size_t series = 0;
    size_t members = 0;
    size_t members_per_series = 0;
  };

  explicit StatsdWindow(IntervalBegin begin) : begin_(begin) {}

  /// Errc::full where there is no room, Errc::reject where a sum does not fit 64 bits; the window
  /// is as it was then.
  Status add(StatsdSample sample, const Room& room);
  /// Adds what came later; returns how many samples found no room.
  uint64_t merge(StatsdWindow&& newer, const Room& room);
  /// Moves as many series as one request holds into a window of its own.
  StatsdWindow take_part();
  /// Takes out the series of readings()[index], which the recorder refused; its samples.
  uint64_t drop(size_t index);
  [[nodiscard]] std::vector<RecordItem> readings() const;

  [[nodiscard]] const IntervalBegin& begin() const { return begin_; }
  [[nodiscard]] size_t size() const { return series_.size(); }
  [[nodiscard]] size_t members() const { return members_; }
  [[nodiscard]] bool empty() const { return series_.empty(); }

 private:
  struct Series {
    Reading reading;
    Combine combine = Combine::add;
    std::unordered_set<std::string> members;  // hashes, of 16 bytes
    uint64_t samples = 0;
  };
  using SeriesMap = std::unordered_map<std::string, Series>;

  Status combine_into(Series& series, const StatsdSample& sample, const Room& room);
  bool merge_into(Series& series, Series&& newer, const Room& room);
  void put(const std::string& key, Series series);

  IntervalBegin begin_;
  SeriesMap series_;
  std::deque<std::string> order_;  // keys of series_, as they came
  size_t members_ = 0;
};

/// Everything between the socket and the journal.
class StatsdBuffer {
 public:
  StatsdBuffer(IntervalBegin begin, StatsdLimits limits) : limits_(limits), open_(begin) {}

  Status add(StatsdSample sample);
  /// The interval ends, the next begins.
  void close(IntervalBegin next);
  /// One request's worth of what ended, oldest first. Nothing while one is out, or where there is
  /// none.
  const StatsdWindow* take();
  /// What take() gave is recorded.
  void recorded();
  /// What take() gave was refused and waits for the next take().
  void put_back();
  /// One of its readings can never be recorded; the rest is as it was.
  void drop(size_t index);
  /// Invariant: something is out.
  [[nodiscard]] const StatsdWindow& taken() const;
  /// Everything that ended and is not out, each a request's worth: nothing is kept.
  std::vector<StatsdWindow> take_all();

  /// Readings at this time and later may still come.
  [[nodiscard]] Timestamp begin() const;
  [[nodiscard]] size_t open_series() const { return open_.size(); }
  [[nodiscard]] size_t kept_series() const;
  /// Samples that were counted and then found no room.
  [[nodiscard]] uint64_t dropped_samples() const { return dropped_; }

 private:
  [[nodiscard]] size_t kept_members() const;

  StatsdLimits limits_;
  StatsdWindow open_;
  std::deque<StatsdWindow> ended_;     // at most one per quarter hour
  std::optional<StatsdWindow> taken_;  // of ended_.front(), which stays until it is empty
  uint64_t dropped_ = 0;
};

}  // namespace ledgerline::agent
