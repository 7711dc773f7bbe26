#pragma once
// What one scrape is worth: the rules of [[input.prometheus.metric]] turn its samples into
// readings. Pure.
//
// A register's series must be the same counter in every scrape, or its difference would be made up.
// So each label of a mapped sample is the subject, a dimension, fixed by `where` or named in
// `ignore`, and where two samples make the same series neither is taken.

#include <set>

#include "agent/core/newest_bad.h"
#include "agent/core/prometheus_text.h"

namespace ledgerline::agent {

struct PrometheusRule {
  static constexpr size_t kRulesMax = 256;

  std::string name;
  std::vector<std::pair<std::string, std::string>> where;  // labels that a sample must have
  std::set<std::string> ignore;                            // labels that say nothing of the series
  std::string meter;
  SeriesRule series;
};

struct Scrape {
  static constexpr size_t kItemsMax = 10'000;  // series of one target

  std::vector<RecordItem> items;
  uint64_t samples = 0;
  uint64_t unmapped = 0;  // samples that no rule names
  uint64_t bad = 0;       // lines and mapped samples that are no good
  NewestBad newest_bad;
};

class PrometheusReader {
 public:
  /// `meters` are numbered and hold every meter of the rules.
  PrometheusReader(std::vector<PrometheusRule> rules, const std::vector<MeterRow>& meters);

  /// Readings carry `time`; a sample's own timestamp is checked and not used.
  [[nodiscard]] Scrape read(std::string_view text, Monotonic time) const;

 private:
  struct Work;
  void read_sample(std::string_view line, Work& work) const;
  Status map(const PrometheusSample& sample, std::string_view line, Work& work) const;
  static void take_out_repeated(Work& work);

  std::vector<PrometheusRule> rules_;
  std::vector<MeterRow> meters_;  // of each rule
};

}  // namespace ledgerline::agent
