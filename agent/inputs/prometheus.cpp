#include "agent/inputs/prometheus.h"

#include <algorithm>

#include "agent/inputs/input_metrics.h"
#include "agent/inputs/prometheus_target.h"
#include "common/io/log.h"

namespace ledgerline::agent {

namespace {

constexpr size_t kTargetsMax = 64;

class PrometheusInput final : public Input {
 public:
  explicit PrometheusInput(std::vector<PrometheusOptions> options) : options_(std::move(options)) {}

  Status start(const InputContext& context) override {
    for (const PrometheusOptions& each : options_) {
      auto opened = PrometheusTarget::open(each, context, owners_);
      if (!opened) return fail(Error(opened.error()).with("url", each.url));
      targets_.push_back(std::move(*opened));
    }
    for (const auto& target : targets_) target->start();
    io::log_info("input_prometheus_starts", {io::kv("targets", targets_.size())});
    return {};
  }

  void stop() override {
    for (const auto& target : targets_) target->stop();
  }

  void append_metrics(std::string& out) const override {
    metric(out, "scrapes_total", "counter", [](auto& each) { return each.counters().scrapes; });
    metric(out, "failed_scrapes_total", "counter",
           [](auto& each) { return each.counters().failed_scrapes; });
    metric(out, "samples_total", "counter", [](auto& each) { return each.counters().samples; });
    metric(out, "bad_samples_total", "counter", [](auto& each) { return each.counters().bad; });
    metric(out, "readings_total", "counter", [](auto& each) { return each.counters().readings; });
    metric(out, "pushed_back_total", "counter",
           [](auto& each) { return each.counters().pushed_back; });
    metric(out, "failing", "gauge", [](auto& each) { return each.failing() ? 1U : 0U; });
  }

  [[nodiscard]] Json status() const override {
    Json out = Json::array();
    for (const auto& target : targets_) out.push(target->status());
    return out;
  }

 private:
  template <class Value>
  void metric(std::string& out, const std::string& name, const char* type, Value value) const {
    LabelledLines lines(out, "prometheus", name, type);
    for (const auto& target : targets_) lines.add("url", target->url(), value(*target));
  }

  std::vector<PrometheusOptions> options_;
  SeriesOwners owners_;
  std::vector<std::unique_ptr<PrometheusTarget>> targets_;
};

}  // namespace

Result<std::unique_ptr<Input>> prepare_prometheus_input(InputOptions options) {
  std::vector<PrometheusOptions> targets;
  for (TomlTable& table : options.tables) {
    TRY(PrometheusOptions target,
        read_prometheus_options(table, options.folder, options.app_meters));
    const bool twice =
        std::any_of(targets.begin(), targets.end(),
                    [&](const PrometheusOptions& each) { return each.url == target.url; });
    if (twice) return fail(table.error_at("url", "this address is scraped already"));
    if (targets.size() == kTargetsMax)
      return fail(table.error_at("url", "at most " + std::to_string(kTargetsMax) + " targets"));
    targets.push_back(std::move(target));
  }
  return std::make_unique<PrometheusInput>(std::move(targets));
}

}  // namespace ledgerline::agent
