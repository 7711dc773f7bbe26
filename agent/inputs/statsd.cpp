#include "agent/inputs/statsd.h"

#include <boost/asio/steady_timer.hpp>
#include <optional>

#include "agent/core/recorder_by_class.h"
#include "agent/inputs/input_metrics.h"
#include "agent/inputs/statsd_options.h"
#include "common/io/datagrams.h"
#include "common/io/log.h"

namespace ledgerline::agent {

namespace {

constexpr const char* kHold = "statsd";

class StatsdInput final : public Input {
 public:
  explicit StatsdInput(StatsdOptions options) : options_(std::move(options)) {}

  Status start(const InputContext& context) override {
    context_.emplace(context);
    meter_.emplace(options_.rules, context.app_meters, clocks());
    const auto handler = [this](std::string_view bytes, bool cut) { meter_->take(bytes, cut); };
    if (!options_.listen.empty()) {
      TRY(udp_, io::Datagrams::open_udp(context.runtime.context(), options_.listen, handler));
    }
    if (!options_.socket.empty()) {
      TRY(local_, io::Datagrams::open_local(context.runtime.context(), options_.socket, handler));
    }
    io::log_info("input_statsd_listens",
                 {io::kv("socket", options_.socket), io::kv("port", udp_ ? udp_->port() : 0),
                  io::kv("receive_buffer_bytes", udp_ ? udp_->receive_buffer_bytes() : 0)});
    update_hold();
    timer_.emplace(context.runtime.context());
    wait();
    return {};
  }

  void stop() override {
    if (stopped_ || !meter_) return;
    stopped_ = true;
    timer_->cancel();
    for (io::Datagrams* each : {udp_.get(), local_.get()}) {
      if (each == nullptr) continue;
      each->drain();
      each->stop();
    }
    alive_.reset();  // what is under way needs no answer any more
    StatsdBuffer& buffer = meter_->buffer();
    buffer.close(clocks());
    for (const StatsdWindow& part : buffer.take_all()) {
      auto [billing, diagnostic] = by_class(part.readings());
      for (auto* items : {&billing, &diagnostic}) {
        if (items->empty()) continue;
        context_->recorder.record(
            {.items = std::move(*items), .request_key = "", .can_wait = false, .bookmark = {}},
            [](const RecordResult&) {});
      }
    }
  }

  void append_metrics(std::string& out) const override {
    if (!meter_) return;
    const StatsdCounters& counters = meter_->counters();
    MetricLines lines(out, "statsd");
    lines.counter("datagrams_total", counters.datagrams);
    lines.counter("lines_total", counters.lines);
    lines.counter("samples_total", counters.samples);
    lines.counter("bad_lines_total", counters.bad_lines);
    lines.counter("unmapped_lines_total", counters.unmapped_lines);
    lines.counter("over_limit_lines_total", counters.over_limit_lines);
    lines.counter("kernel_drops_total", kernel_drops());
    lines.counter("dropped_samples_total", meter_->buffer().dropped_samples());
    lines.counter("readings_total", readings_);
    lines.counter("pushed_back_total", pushed_back_);
    lines.gauge("kept_series", meter_->buffer().kept_series());
  }

  [[nodiscard]] Json status() const override {
    if (!meter_) return Json::null();
    const StatsdCounters& counters = meter_->counters();
    Json unmapped = Json::array();
    for (const auto& [name, lines] : meter_->unmapped())
      unmapped.push(Json::object({{"name", Json::string(name)}, {"lines", json_number(lines)}}));
    return Json::object(
        {{"listen", Json::string(options_.listen)},
         {"socket", Json::string(options_.socket)},
         {"state", Json::string(waiting_for_.empty() ? "receiving" : "waiting for the journal")},
         {"problem", Json::string(waiting_for_)},
         {"datagrams", json_number(counters.datagrams)},
         {"lines", json_number(counters.lines)},
         {"samples", json_number(counters.samples)},
         {"readings", json_number(readings_)},
         {"bad_lines", json_number(counters.bad_lines)},
         {"unmapped_lines", json_number(counters.unmapped_lines)},
         {"over_limit_lines", json_number(counters.over_limit_lines)},
         {"kernel_drops", json_number(kernel_drops())},
         {"receive_buffer_bytes", json_number(udp_ ? udp_->receive_buffer_bytes() : 0)},
         {"open_series", json_number(meter_->buffer().open_series())},
         {"kept_series", json_number(meter_->buffer().kept_series())},
         {"dropped_samples", json_number(meter_->buffer().dropped_samples())},
         {"unmapped", std::move(unmapped)},
         {"newest_bad", meter_->bad().json()}});
  }

 private:
  [[nodiscard]] IntervalBegin clocks() const {
    return {.wall = context_->clock.now(), .monotonic = context_->clock.monotonic()};
  }

  [[nodiscard]] uint64_t kernel_drops() const { return udp_ ? udp_->kernel_drops() : 0; }

  /// Until the wall clock shows a multiple of the interval: no interval lies in two quarter hours.
  void wait() {
    const int64_t interval = options_.interval.count();
    const int64_t into = context_->clock.now().unix_ms() % interval;
    timer_->expires_after(Duration(interval - into));
    timer_->async_wait([this](const boost::system::error_code& error) {
      if (error || stopped_) return;
      flush();
      wait();
    });
  }

  void flush() {
    meter_->buffer().close(clocks());
    send();
    update_hold();
    log_losses();
  }

  void send() {
    if (stopped_ || meter_->buffer().take() == nullptr) return;
    submit();
  }

  void submit() {
    auto items = meter_->buffer().taken().readings();
    const size_t count = items.size();
    // A sender does not ask again: what a full journal refuses would be gone.
    context_->recorder.record(
        {.items = std::move(items), .request_key = "", .can_wait = false, .bookmark = {}},
        [this, count, alive = std::weak_ptr<bool>(alive_)](const RecordResult& result) {
          if (!alive.expired()) answered(count, result);
        });
  }

  void answered(size_t count, const RecordResult& result) {
    if (!result) {
      refused(count, result.error());
    } else {
      readings_ += count;
      waiting_for_.clear();
      meter_->buffer().recorded();
      send();
    }
    update_hold();
  }

  void refused(size_t count, const RecordRefusal& why) {
    StatsdBuffer& buffer = meter_->buffer();
    const bool of_a_reading =
        why.code == Errc::reject && why.index < count && why.field != "request";
    if (of_a_reading) {
      io::log_error("input_statsd_reading_refused",
                    {io::kv("field", why.field), io::kv("why", why.message)});
      buffer.drop(why.index);
      if (count > 1) return submit();
      buffer.recorded();
      return send();
    }
    ++pushed_back_;
    if (waiting_for_ != why.message)
      io::log_warn("input_statsd_waits", {io::kv("why", why.message)});
    waiting_for_ = why.message;
    buffer.put_back();  // the next interval's end tries again
  }

  void update_hold() { context_->holds.hold_both(kHold, meter_->buffer().begin()); }

  /// At most once per interval and kind.
  void log_losses() {
    if (const uint64_t now = meter_->counters().bad_lines; now != logged_bad_) {
      const NewestBad::Entry& newest = meter_->bad().entries().back();
      io::log_warn("input_statsd_bad_lines",
                   {io::kv("lines", now - logged_bad_), io::kv("newest", newest.text),
                    io::kv("reason", newest.reason)});
      logged_bad_ = now;
    }
    if (const uint64_t now = kernel_drops(); now != logged_drops_) {
      io::log_warn("input_statsd_kernel_dropped",
                   {io::kv("datagrams", now - logged_drops_),
                    io::kv("action", "raise net.core.rmem_max, or send less often")});
      logged_drops_ = now;
    }
    if (const uint64_t now = meter_->buffer().dropped_samples(); now != logged_dropped_) {
      io::log_error("input_statsd_samples_dropped",
                    {io::kv("samples", now - logged_dropped_), io::kv("why", waiting_for_)});
      logged_dropped_ = now;
    }
  }

  StatsdOptions options_;
  std::optional<InputContext> context_;
  std::optional<StatsdMeter> meter_;
  std::unique_ptr<io::Datagrams> udp_;
  std::unique_ptr<io::Datagrams> local_;
  std::optional<boost::asio::steady_timer> timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  uint64_t readings_ = 0;
  uint64_t pushed_back_ = 0;
  uint64_t logged_bad_ = 0;
  uint64_t logged_drops_ = 0;
  uint64_t logged_dropped_ = 0;
  std::string waiting_for_;  // why the recorder does not take more
  bool stopped_ = false;
};

}  // namespace

Result<std::unique_ptr<Input>> prepare_statsd_input(InputOptions options) {
  if (options.tables.empty()) return fail(Errc::config, "the input's list of tables is empty");
  if (options.tables.size() > 1)
    return fail(options.tables[1].error_at("", "there is one input of this name only"));
  TRY(StatsdOptions statsd,
      read_statsd_options(options.tables.front(), options.folder, options.app_meters));
  return std::make_unique<StatsdInput>(std::move(statsd));
}

}  // namespace ledgerline::agent
