#pragma once
// What statsd datagrams are worth: the rules of [[input.statsd.metric]] turn their lines into
// samples, which the buffer adds up. What cannot be counted is counted as such and its first bytes
// are kept. Pure.

#include <map>

#include "agent/core/newest_bad.h"
#include "agent/core/statsd_line.h"
#include "agent/core/statsd_window.h"

namespace ledgerline::agent {

enum class TimerStatistic { count, sum, min, max };
/// Errc::reject names the four.
Result<TimerStatistic> parse_timer_statistic(std::string_view text);

struct StatsdRule {
  static constexpr size_t kRulesMax = 256;

  std::string name;     // without the "*"
  bool prefix = false;  // it ended with "*": all names that begin so
  StatsdType type = StatsdType::counter;
  TimerStatistic statistic = TimerStatistic::count;  // of a timer
  std::string meter;
  SeriesRule series;

  [[nodiscard]] Combine combine() const;
  [[nodiscard]] bool matches(std::string_view metric) const;
};

struct StatsdCounters {
  uint64_t datagrams = 0;
  uint64_t lines = 0;
  uint64_t samples = 0;
  uint64_t bad_lines = 0;
  uint64_t unmapped_lines = 0;
  uint64_t over_limit_lines = 0;  // a sample of them found no room
};

class StatsdMeter {
 public:
  static constexpr size_t kUnmappedNamesMax = 32;
  static constexpr size_t kLevelsMax = 10'000;  // series of gauges whose last value is known

  /// `meters` are numbered and hold every meter of the rules.
  StatsdMeter(std::vector<StatsdRule> rules, const std::vector<MeterRow>& meters,
              IntervalBegin begin, const StatsdLimits& limits = {});

  /// `cut`: more was sent than was read, so the last line is not whole.
  void take(std::string_view datagram, bool cut);

  StatsdBuffer& buffer() { return buffer_; }
  [[nodiscard]] const StatsdBuffer& buffer() const { return buffer_; }
  [[nodiscard]] const StatsdCounters& counters() const { return counters_; }
  [[nodiscard]] const NewestBad& bad() const { return bad_; }
  /// The first names that no rule maps, and their lines.
  [[nodiscard]] const std::map<std::string, uint64_t>& unmapped() const { return unmapped_; }

 private:
  void take_line(std::string_view line);
  Status map(const StatsdLine& line, std::vector<StatsdSample>& samples);
  Status map_values(const StatsdLine& line, const StatsdRule& rule, const MeterRow& meter,
                    std::vector<StatsdSample>& samples);
  Result<int64_t> level(const Reading& reading, std::string_view text, int scale);
  void note_bad(std::string_view line, std::string reason);
  void note_unmapped(std::string_view name);

  std::vector<StatsdRule> rules_;
  std::vector<MeterRow> meters_;  // of each rule
  StatsdBuffer buffer_;
  std::map<KeyHash, int64_t> levels_;  // of gauges, for "+5" and "-5"
  StatsdCounters counters_;
  NewestBad bad_;
  std::map<std::string, uint64_t> unmapped_;
};

}  // namespace ledgerline::agent
