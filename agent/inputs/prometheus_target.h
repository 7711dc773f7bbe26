#pragma once
// One scraped target. On the io thread: one scrape at a time, the next when the one before is
// committed.

#include <boost/asio/steady_timer.hpp>
#include <map>
#include <optional>
#include <string>

#include "agent/core/prometheus_scrape.h"
#include "agent/inputs/prometheus_options.h"

namespace ledgerline::agent {

/// Which target each series is read from: two counters in one series would look like resets.
class SeriesOwners {
 public:
  static constexpr size_t kSeriesMax = 100'000;
  /// False where it is another target's, or there are too many.
  bool take(const RecordItem& item, const std::string& target);

 private:
  std::map<KeyHash, std::string> owners_;
};

struct TargetCounters {
  uint64_t scrapes = 0;
  uint64_t failed_scrapes = 0;
  uint64_t samples = 0;
  uint64_t readings = 0;
  uint64_t bad = 0;
  uint64_t pushed_back = 0;  // requests that the journal did not take
};

class PrometheusTarget {
 public:
  static constexpr size_t kBodyMax = 16 << 20;

  static Result<std::unique_ptr<PrometheusTarget>> open(const PrometheusOptions& options,
                                                        const InputContext& context,
                                                        SeriesOwners& owners);
  void start();
  void stop();

  [[nodiscard]] const std::string& url() const { return url_; }
  [[nodiscard]] const TargetCounters& counters() const { return counters_; }
  [[nodiscard]] bool failing() const { return !failure_.empty(); }
  [[nodiscard]] Json status() const;

 private:
  PrometheusTarget(const PrometheusOptions& options, const InputContext& context,
                   SeriesOwners& owners, std::unique_ptr<io::HttpClient> client);

  /// Holds nothing of the target's but by `alive`, for it may end while a reply is under way.
  static boost::asio::awaitable<void> scrape_once(PrometheusTarget* target,
                                                  std::weak_ptr<bool> alive);
  void begin_scrape();
  void scraped(const io::HttpClient::Reply& reply, Monotonic asked_at);
  void record(std::vector<RecordItem> items);
  void submit(std::vector<RecordItem> part);
  void answered(std::vector<RecordItem> part, const RecordResult& result);
  void refused_reading(std::vector<RecordItem>& part, const RecordRefusal& why);
  void take_out_of_others(Scrape& scrape);
  void failed(const std::string& why);
  void done();

  const std::string url_;
  const std::string name_;  // of the hold
  const std::string path_;
  const Duration interval_;
  InputContext context_;
  SeriesOwners& owners_;
  PrometheusReader reader_;
  std::shared_ptr<io::HttpClient> client_;  // shared with the scrape under way
  boost::asio::steady_timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  TargetCounters counters_;
  NewestBad newest_bad_;  // of the newest scrape that had any
  uint64_t newest_samples_ = 0;
  uint64_t newest_unmapped_ = 0;
  uint64_t logged_bad_ = 0;
  size_t requests_ = 0;  // under way
  std::string failure_;
  bool stopped_ = false;
};

}  // namespace ledgerline::agent
