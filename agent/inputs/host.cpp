#include "agent/inputs/host.h"

#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <optional>

#include "agent/inputs/boot_id.h"
#include "agent/inputs/host_counters.h"
#include "common/check.h"
#include "common/io/log.h"
#include "common/io/system.h"

namespace ledgerline::agent {

namespace {

/// Of the boot whose counters were recorded last. A reboot makes them count from 0, which their
/// values alone do not show once they have outgrown the last ones.
constexpr const char* kBootBookmark = "host:boot_id";

class HostInput final : public Input {
 public:
  HostInput(Duration interval, std::string proc) : interval_(interval), proc_(std::move(proc)) {}

  [[nodiscard]] std::vector<MeterRow> meters() const override { return host_meters(); }

  Status start(const InputContext& context) override {
    context_.emplace(context);
    ticks_per_second_ = ::sysconf(_SC_CLK_TCK);
    if (ticks_per_second_ <= 0)
      return fail(Errc::config, "the system does not tell its clock ticks per second");
    TRY_VOID(read());  // a wrong proc folder is told at the start
    find_boot();
    timer_.emplace(context.runtime.context());
    next_ = std::chrono::steady_clock::now();
    measure();
    return {};
  }

  void stop() override {
    if (timer_) timer_->cancel();
    stopped_ = true;
  }

  void append_metrics(std::string& out) const override {
    out +=
        "# TYPE ledgerline_agent_host_readings_total "
        "counter\nledgerline_agent_host_readings_total " +
        std::to_string(readings_) + "\n";
    out +=
        "# TYPE ledgerline_agent_host_skipped_total counter\nledgerline_agent_host_skipped_total " +
        std::to_string(skipped_) + "\n";
  }

 private:
  void find_boot() {
    const auto id = read_boot_id(proc_);
    if (!id) {
      return io::log_warn("input_host_boot_unknown",
                          {io::kv("error", id.error()),
                           io::kv("effect", "a reboot shows only where a counter went back")});
    }
    const auto known = context_->bookmarks.find(kBootBookmark);
    if (known != context_->bookmarks.end() && known->second == copy_of(bytes_of(*id))) return;
    restarted_ = known != context_->bookmarks.end();
    new_boot_ = Bookmark{.name = kBootBookmark, .value = copy_of(bytes_of(*id))};
  }

  Result<std::vector<RecordItem>> read() {
    HostTexts texts;
    TRY(texts.stat, io::read_file(proc_ + "/stat"));
    TRY(texts.diskstats, io::read_file(proc_ + "/diskstats"));
    TRY(texts.net_dev, io::read_file(proc_ + "/net/dev"));
    TRY(texts.meminfo, io::read_file(proc_ + "/meminfo"));
    TRY(texts.loadavg, io::read_file(proc_ + "/loadavg"));
    return read_host_counters(
        texts, context_->own_meters,
        {.ticks_per_second = ticks_per_second_, .now = context_->clock.monotonic()});
  }

  void measure() {
    if (stopped_) return;
    if (pending_) {
      skip("the measurement before is not committed yet");  // registers catch up with the next one
    } else if (auto items = read()) {
      record(std::move(*items));
    } else {
      skip(items.error().text());
    }
    next_ += interval_;
    // After a suspend one measurement is enough; the missed ones would all say the same.
    if (const auto now = std::chrono::steady_clock::now(); next_ < now) next_ = now + interval_;
    timer_->expires_at(next_);
    timer_->async_wait([this](const boost::system::error_code& error) {
      if (!error) measure();
    });
  }

  void record(std::vector<RecordItem> items) {
    pending_ = true;
    const size_t count = items.size();
    for (RecordItem& item : items) item.restarted = restarted_;
    // A machine that reboots forgets its counters: what a full journal refused would be gone.
    context_->recorder.record(
        {.items = std::move(items), .request_key = "", .can_wait = false, .bookmark = new_boot_},
        [this, count](const RecordResult& result) {
          pending_ = false;
          if (!result) return skip(result.error().message);
          new_boot_.reset();  // recorded, and with it the restart
          restarted_ = false;
          readings_ += count;
          failing_ = false;
        });
  }

  void skip(const std::string& why) {
    ++skipped_;
    if (!failing_)
      io::log_warn("input_host_skipped", {io::kv("why", why)});  // once per spell, not per interval
    failing_ = true;
  }

  Duration interval_;
  std::string proc_;
  std::optional<InputContext> context_;
  std::optional<boost::asio::steady_timer> timer_;
  std::chrono::steady_clock::time_point next_;
  int64_t ticks_per_second_ = 100;
  uint64_t readings_ = 0;
  uint64_t skipped_ = 0;
  std::optional<Bookmark> new_boot_;  // until a measurement of this boot is recorded
  bool restarted_ = false;            // the same, where the boot before is known
  bool pending_ = false;
  bool failing_ = false;
  bool stopped_ = false;
};

}  // namespace

Result<std::unique_ptr<Input>> prepare_host_input(TomlTable options, const std::string& folder) {
  TRY(const Duration interval, options.duration("interval", std::chrono::seconds(10)));
  if (interval < std::chrono::milliseconds(100) || interval > std::chrono::hours(1)) {
    return fail(options.error_at("interval", "between 100ms and 1h"));
  }
  TRY(const std::string proc, options.string("proc", "/proc"));
  TRY_VOID(options.finish());
  return std::make_unique<HostInput>(
      interval, (std::filesystem::path(folder) / proc).lexically_normal().string());
}

}  // namespace ledgerline::agent
