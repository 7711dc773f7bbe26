#include "agent/inputs/prometheus_target.h"

#include <algorithm>

#include "agent/inputs/input_metrics.h"
#include "common/io/log.h"

namespace ledgerline::agent {

namespace {

constexpr Duration kTimeout{10'000};
constexpr int kHttpOk = 200;

}  // namespace

bool SeriesOwners::take(const RecordItem& item, const std::string& target) {
  const Reading& reading = item.reading;
  const KeyHash series = hash_of_series(reading.meter, reading.subject, reading.dimensions);
  const auto found = owners_.find(series);
  if (found != owners_.end()) return found->second == target;
  if (owners_.size() == kSeriesMax) return false;
  owners_.emplace(series, target);
  return true;
}

PrometheusTarget::PrometheusTarget(const PrometheusOptions& options, const InputContext& context,
                                   SeriesOwners& owners, std::unique_ptr<io::HttpClient> client)
    : url_(options.url),
      name_("prometheus:" + options.url),
      path_(options.parsed_url.path),
      interval_(options.interval),
      context_(context),
      owners_(owners),
      reader_(options.rules, context.app_meters),
      client_(std::move(client)),
      timer_(context.runtime.context()) {}

Result<std::unique_ptr<PrometheusTarget>> PrometheusTarget::open(const PrometheusOptions& options,
                                                                 const InputContext& context,
                                                                 SeriesOwners& owners) {
  const Duration timeout = std::min(kTimeout, options.interval);
  TRY(auto client, io::HttpClient::open(context.runtime.context().get_executor(),
                                        {.url = options.parsed_url,
                                         .ca_file = options.ca_file,
                                         .connect_timeout = timeout,
                                         .read_timeout = timeout,
                                         .total_timeout = timeout,
                                         .response_size_max = kBodyMax}));
  return std::unique_ptr<PrometheusTarget>(
      new PrometheusTarget(options, context, owners, std::move(client)));
}

void PrometheusTarget::start() { begin_scrape(); }

void PrometheusTarget::stop() {
  stopped_ = true;
  alive_.reset();
  timer_.cancel();
}

void PrometheusTarget::begin_scrape() {
  // Its readings tell this moment, and are committed later.
  context_.holds.hold_both(name_, context_.clock.now());
  context_.runtime.spawn("scrape of " + url_, scrape_once(this, alive_));
}

boost::asio::awaitable<void> PrometheusTarget::scrape_once(PrometheusTarget* target,
                                                           std::weak_ptr<bool> alive) {
  const Monotonic asked_at = target->context_.clock.monotonic();
  const auto client = target->client_;
  io::HttpClient::Request request{
      .target = target->path_,
      .headers = {{"Accept", "text/plain;version=0.0.4"}, {"User-Agent", "ledgerline-agent"}},
      .body = ""};
  const auto reply = co_await client->exchange(std::move(request));
  if (!alive.expired()) target->scraped(reply, asked_at);
}

void PrometheusTarget::scraped(const io::HttpClient::Reply& reply, Monotonic asked_at) {
  ++counters_.scrapes;
  if (!reply) return failed(reply.error().what);
  if (reply->status != kHttpOk)
    return failed("the target answers with status " + std::to_string(reply->status));
  Scrape scrape = reader_.read(reply->body, asked_at);
  if (scrape.samples == 0) return failed("the reply holds no sample of the Prometheus text format");
  if (!failure_.empty()) io::log_info("input_prometheus_scrapes", {io::kv("url", url_)});
  failure_.clear();
  take_out_of_others(scrape);
  counters_.samples += scrape.samples;
  counters_.bad += scrape.bad;
  newest_samples_ = scrape.samples;
  newest_unmapped_ = scrape.unmapped;
  if (scrape.bad > 0) newest_bad_ = scrape.newest_bad;
  if (scrape.bad > 0 && logged_bad_ == 0)  // once per spell: each scrape says the same
    io::log_warn("input_prometheus_bad_samples",
                 {io::kv("url", url_), io::kv("samples", scrape.bad),
                  io::kv("newest", scrape.newest_bad.entries().back().text),
                  io::kv("reason", scrape.newest_bad.entries().back().reason)});
  logged_bad_ = scrape.bad;
  record(std::move(scrape.items));
}

void PrometheusTarget::take_out_of_others(Scrape& scrape) {
  const auto of_another = [&](const RecordItem& item) {
    if (owners_.take(item, url_)) return false;
    ++scrape.bad;
    scrape.newest_bad.note(item.reading.subject,
                           "this series is read from another target: give each a subject or "
                           "dimension of its own");
    return true;
  };
  std::erase_if(scrape.items, of_another);
}

void PrometheusTarget::record(std::vector<RecordItem> items) {
  if (items.empty()) return done();
  std::vector<std::vector<RecordItem>> parts(1);
  size_t text = 0;
  for (RecordItem& item : items) {
    const bool full = parts.back().size() == RecordLimits::kRequestReadingsMax ||
                      text + RecordLimits::kReadingTextMax > RecordLimits::kRequestTextMax;
    if (full) parts.emplace_back();
    text = (full ? 0 : text) + text_bytes(item);
    parts.back().push_back(std::move(item));
  }
  requests_ = parts.size();
  for (auto& part : parts) submit(std::move(part));
}

void PrometheusTarget::submit(std::vector<RecordItem> part) {
  // A service that restarts forgets its counters: what a full journal refused may be gone.
  RecordRequest request{.items = part, .request_key = "", .can_wait = false, .bookmark = {}};
  context_.recorder.record(std::move(request),
                           [this, part = std::move(part),
                            alive = std::weak_ptr<bool>(alive_)](const RecordResult& result) {
                             if (!alive.expired()) answered(part, result);
                           });
}

void PrometheusTarget::answered(std::vector<RecordItem> part, const RecordResult& result) {
  if (result) {
    counters_.readings += part.size();
  } else if (result.error().code == Errc::reject && result.error().index < part.size() &&
             result.error().field != "request") {
    refused_reading(part, result.error());
    if (!part.empty()) return submit(std::move(part));
  } else {
    ++counters_.pushed_back;
    failure_ = "not recorded: " + result.error().message;  // registers catch up later
    io::log_warn("input_prometheus_not_recorded",
                 {io::kv("url", url_), io::kv("why", result.error().message)});
  }
  if (--requests_ == 0) done();
}

/// The others of its request are asked for again without it.
void PrometheusTarget::refused_reading(std::vector<RecordItem>& part, const RecordRefusal& why) {
  ++counters_.bad;
  newest_bad_.note(part[why.index].reading.subject, why.field + ": " + why.message);
  part.erase(part.begin() + static_cast<std::ptrdiff_t>(why.index));
}

void PrometheusTarget::failed(const std::string& why) {
  ++counters_.failed_scrapes;
  if (failure_ != why)
    io::log_warn("input_prometheus_failed", {io::kv("url", url_), io::kv("why", why)});
  failure_ = why;
  done();
}

void PrometheusTarget::done() {
  context_.holds.release_both(name_);
  if (stopped_) return;
  timer_.expires_after(interval_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !stopped_) begin_scrape();
  });
}

Json PrometheusTarget::status() const {
  return Json::object({{"url", Json::string(url_)},
                       {"state", Json::string(failure_.empty() ? "scraping" : "failing")},
                       {"problem", Json::string(failure_)},
                       {"scrapes", json_number(counters_.scrapes)},
                       {"failed_scrapes", json_number(counters_.failed_scrapes)},
                       {"samples", json_number(newest_samples_)},
                       {"unmapped", json_number(newest_unmapped_)},
                       {"readings", json_number(counters_.readings)},
                       {"bad_samples", json_number(counters_.bad)},
                       {"pushed_back", json_number(counters_.pushed_back)},
                       {"newest_bad", newest_bad_.json()}});
}

}  // namespace ledgerline::agent
