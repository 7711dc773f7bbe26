#pragma once
// Runs a Lua profile against its external system: HTTP, session, rate limit, circuit breaker, time
// limits, and the one judgement that must not be left to a profile: whether a request that creates
// something may have arrived.
//
// A profile returns a table:
//   name          text
//   capabilities  {unique_ref = true, commit_lag_ms = 1000, requests_per_second = 50,
//                  signature = "standard-webhooks"}
//   login(settings)                        -> table of headers for all further requests; optional
//   find(document, settings)               -> nil | {reference =}
//   create(document, settings)             -> {reference =}
//   confirm(document, reference, settings) -> {equal =, outdated =, state =, amount =, differences
//   =} update(document, reference, settings)  what confirm called outdated; optional
//   progress(document, reference, settings) -> {closed =, closed_at =, by =, effort_minutes =};
//                                             optional
// and each may end in reject(...) or retry(...). deploy/connectors/README.md is the guide for who
// writes one.

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collector/connectors/connector.h"
#include "collector/connectors/lua.h"
#include "collector/connectors/standard_webhooks.h"
#include "collector/connectors/throttle.h"
#include "common/io/http_client.h"

namespace ledgerline::collector {

struct EngineOptions {
  std::string name;          // of the connector in the configuration
  std::string profile_file;  // for messages
  std::string profile;       // its text
  std::string url;
  std::string ca_file;
  std::string user;
  std::string password;
  Duration timeout{30'000};  // one request; an operation may take five times as long
  std::vector<std::pair<std::string, std::string>> settings;
};

class Engine final : public Connector {
 public:
  /// Errc::config where the profile or the address is wrong.
  static Result<std::unique_ptr<Engine>> open(boost::asio::any_io_executor executor, Clock& clock,
                                              const EngineOptions& options);

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] const DeliveryRules& rules() const override { return rules_; }
  [[nodiscard]] Duration wait() const override {
    return std::max(breaker_.wait(clock_.monotonic()), login_not_before_ - clock_.monotonic());
  }
  [[nodiscard]] const ConnectorCounters& counters() const override { return counters_; }
  [[nodiscard]] const std::string& last_failure() const override { return last_failure_; }
  boost::asio::awaitable<AttemptOutcome> deliver(Json document) override;
  boost::asio::awaitable<AttemptOutcome> look_up(Json document) override;
  [[nodiscard]] bool has_progress() const override { return profile_->has_function("progress"); }
  boost::asio::awaitable<ProgressOutcome> progress(Json document, std::string reference) override;

  static constexpr unsigned kRequestsMax = 64;  // of one operation
  /// After a refused login: systems lock a user who tries again and again.
  static constexpr Duration kLoginPause{60'000};

 private:
  struct Operation;
  struct Call;
  using Ended = tl::expected<Json, AttemptOutcome>;
  using Headers = std::vector<std::pair<std::string, std::string>>;

  Engine(boost::asio::any_io_executor executor, Clock& clock, const EngineOptions& options,
         std::unique_ptr<LuaProfile> profile, std::unique_ptr<io::HttpClient> http,
         io::HttpUrl url);
  Status read_capabilities();
  Status read_signature(const Json& capabilities);

  boost::asio::awaitable<AttemptOutcome> deliver_steps(Json document);
  boost::asio::awaitable<AttemptOutcome> look_up_steps(Json document);
  boost::asio::awaitable<AttemptOutcome> confirm(Json document, Json found, Operation& operation);
  boost::asio::awaitable<AttemptOutcome> update(Json document, Json found, Operation& operation);
  [[nodiscard]] Result<WorkProgress> read_progress(const Json& value) const;
  boost::asio::awaitable<Ended> run(const char* function, std::vector<Json> arguments,
                                    Operation& operation);
  boost::asio::awaitable<Ended> perform(Json request, Operation& operation);
  boost::asio::awaitable<Ended> exchange(Call call, Operation& operation);
  boost::asio::awaitable<Ended> log_in(Operation& operation);
  boost::asio::awaitable<void> pause(Duration delay);
  AttemptOutcome note(AttemptOutcome outcome);
  [[nodiscard]] Result<Call> read_call(const Json& request) const;

  boost::asio::any_io_executor executor_;
  Clock& clock_;
  std::string name_;
  Duration timeout_;
  Json settings_;
  Json login_settings_;
  /// Shared with the operations under way: where the process stops in the middle of one, its frame
  /// ends with the context, after the engine.
  std::shared_ptr<LuaProfile> profile_;
  std::unique_ptr<io::HttpClient> http_;
  io::HttpUrl url_;
  DeliveryRules rules_;
  TokenBucket bucket_{50, 50};
  CircuitBreaker breaker_;
  ConnectorCounters counters_;
  Monotonic login_not_before_;
  std::string last_failure_;
  bool has_login_ = false;
  bool has_update_ = false;
  std::optional<Headers> session_;
  std::optional<WebhookSecret> webhook_secret_;
};

}  // namespace ledgerline::collector
