#include "agent/core/prometheus_scrape.h"

#include <algorithm>

#include "agent/core/reading_text.h"
#include "common/check.h"

namespace ledgerline::agent {

namespace {

bool names(const TextOrLabel& source, const std::string& label) { return source.label == label; }

bool is_mapped(const PrometheusRule& rule, const std::string& label) {
  if (rule.ignore.contains(label)) return true;
  if (rule.series.subject && names(*rule.series.subject, label)) return true;
  const auto named = [&](const auto& each) { return each.first == label; };
  if (std::any_of(rule.where.begin(), rule.where.end(), named)) return true;
  return std::any_of(rule.series.dimensions.begin(), rule.series.dimensions.end(),
                     [&](const auto& each) { return names(each.second, label); });
}

bool matches(const PrometheusRule& rule, const PrometheusSample& sample) {
  return rule.name == sample.name &&
         std::all_of(rule.where.begin(), rule.where.end(), [&](const auto& wanted) {
           return std::find(sample.labels.begin(), sample.labels.end(), wanted) !=
                  sample.labels.end();
         });
}

Status check_labels(const PrometheusRule& rule, const Labels& labels) {
  for (const auto& [name, value] : labels) {
    TRY(const std::string* ignored, find_label(labels, name));
    static_cast<void>(ignored);
    if (!value.empty() && !is_mapped(rule, name))
      return fail(Errc::reject, "its label " + in_quotes(name) +
                                    " is not mapped: name it under dimensions, where or ignore");
  }
  return {};
}

Status check_type(PrometheusType type, const MeterRow& meter) {
  const MeterKind wanted = type == PrometheusType::gauge ? MeterKind::gauge : MeterKind::register_;
  if (type == PrometheusType::untyped || meter.kind == wanted) return {};
  return fail(Errc::reject, "it is a " + std::string(to_string(type)) + ", and the meter " +
                                meter.name + " is a " + std::string(to_string(meter.kind)));
}

Status set_value(std::string_view text, const MeterRow& meter, Reading& reading) {
  const bool counts = meter.kind == MeterKind::register_;
  const auto value = counts ? cut_value(text, meter.scale) : rounded_value(text, meter.scale);
  if (!value)
    return fail(Errc::reject, "the value " + in_quotes(text) + " for " + meter.name +
                                  " cannot be recorded: " + value.error().message());
  if (counts && text.starts_with('-') && *value != 0)
    return fail(Errc::reject, "the counter " + in_quotes(text) + " is negative");
  (counts ? reading.register_value : reading.value) = *value;
  return {};
}

}  // namespace

struct PrometheusReader::Work {
  Scrape scrape;
  Monotonic time;
  PrometheusTypes types;
  std::vector<std::string_view> lines;            // of each item
  std::map<KeyHash, std::vector<size_t>> series;  // the items of each

  void bad(std::string_view line, std::string reason) {
    ++scrape.bad;
    scrape.newest_bad.note(line, std::move(reason));
  }
};

PrometheusReader::PrometheusReader(std::vector<PrometheusRule> rules,
                                   const std::vector<MeterRow>& meters)
    : rules_(std::move(rules)) {
  for (const PrometheusRule& rule : rules_) {
    const auto found = std::find_if(meters.begin(), meters.end(),
                                    [&](const MeterRow& row) { return row.name == rule.meter; });
    CHECK_INVARIANT(found != meters.end());
    meters_.push_back(*found);
  }
}

Scrape PrometheusReader::read(std::string_view text, Monotonic time) const {
  Work work{.scrape = {}, .time = time, .types = {}, .lines = {}, .series = {}};
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    if (line.starts_with('#')) {
      if (const auto read = work.types.read(line); !read) work.bad(line, read.error().message());
    } else {
      read_sample(line, work);
    }
  }
  take_out_repeated(work);
  return std::move(work.scrape);
}

void PrometheusReader::read_sample(std::string_view line, Work& work) const {
  const auto sample = parse_prometheus_sample(line);
  if (!sample) return work.bad(line, sample.error().message());
  ++work.scrape.samples;
  const auto mapped = map(*sample, line, work);
  if (!mapped) work.bad(line, mapped.error().message());
}

Status PrometheusReader::map(const PrometheusSample& sample, std::string_view line,
                             Work& work) const {
  bool mapped = false;
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (!matches(rules_[i], sample)) continue;
    mapped = true;
    const MeterRow& meter = meters_[i];
    TRY_VOID(check_type(work.types.of(sample.name), meter));
    TRY_VOID(check_labels(rules_[i], sample.labels));
    RecordItem item{
        .reading = {.meter = meter.number, .time_ms = work.time.ms, .monotonic_time = true},
        .key = ""};
    TRY_VOID(fill_series(rules_[i].series, sample.labels, item));
    TRY_VOID(set_value(sample.value, meter, item.reading));
    if (work.scrape.items.size() == Scrape::kItemsMax)
      return fail(Errc::reject, "the target has more than 10000 mapped series");
    const Reading& reading = item.reading;
    work.series[hash_of_series(reading.meter, reading.subject, reading.dimensions)].push_back(
        work.scrape.items.size());
    work.scrape.items.push_back(std::move(item));
    work.lines.push_back(line);
  }
  if (!mapped) ++work.scrape.unmapped;
  return {};
}

void PrometheusReader::take_out_repeated(Work& work) {
  std::vector<uint8_t> out(work.scrape.items.size(), 0);
  for (const auto& [series, places] : work.series) {
    if (places.size() == 1) continue;
    for (const size_t place : places) {
      out[place] = 1;
      work.bad(work.lines[place],
               "another sample makes the same series: map the label that tells them apart");
    }
  }
  size_t kept = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] != 0) continue;
    if (kept != i) work.scrape.items[kept] = std::move(work.scrape.items[i]);
    ++kept;
  }
  work.scrape.items.resize(kept);
}

}  // namespace ledgerline::agent
