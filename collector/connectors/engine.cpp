#include "collector/connectors/engine.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>

#include "common/io/log.h"

// g++ 12 takes Asio's own pair of new and delete for coroutine frames to be a mismatch once one of
// them is inlined.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace ledgerline::collector {

namespace asio = boost::asio;

/// What one delivery or look-up remembers between its requests.
struct Engine::Operation {
  Monotonic deadline;
  unsigned requests = 0;
  bool logged_in_again = false;
  bool logging_in = false;
  /// A request that creates began to leave and no reply said that it was refused: from here on
  /// every failure means that the outcome is unknown.
  bool effect = false;
  /// What is there is an older revision of the document, and the profile can update it.
  bool outdated = false;
};

/// A profile's call{...}, checked.
struct Engine::Call {
  io::HttpClient::Request http;
  bool effect = false;
  std::string signed_as;  // the id that the signature covers; empty: not signed
};

namespace {

constexpr size_t kTextMax = 4096;

tl::unexpected<AttemptOutcome> ended(AttemptOutcome outcome) {
  return tl::unexpected<AttemptOutcome>(std::move(outcome));
}

/// Seconds only: the other form, a date, would need both clocks to agree.
std::optional<Duration> retry_after(const io::HttpClient::Response& response) {
  const auto text = response.header("Retry-After");
  if (!text) return std::nullopt;
  int64_t seconds = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (parsed.ec != std::errc() || seconds < 0) return std::nullopt;
  return Duration(std::min<int64_t>(seconds, 86'400) * 1000);
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  });
  return text;
}

std::string text_member(const Json& value, std::string_view name) {
  const Json* member = value.find(name);
  if (member == nullptr) return {};
  const bool text = member->is(Json::Kind::string) || member->is(Json::Kind::number);
  return text ? member->text() : (member->is(Json::Kind::null) ? std::string() : member->dump());
}

bool true_member(const Json& value, std::string_view name) {
  const Json* member = value.find(name);
  return member != nullptr && member->is(Json::Kind::boolean) && member->as_bool();
}

/// The reply as the profile sees it. Errc::corrupt where it says that it is JSON and is not.
Result<Json> reply_table(const io::HttpClient::Response& response) {
  Json headers = Json::object();
  for (const auto& [name, value] : response.headers) headers.set(lower(name), Json::string(value));
  Json reply = Json::object();
  reply.set("status", Json::number(int64_t{response.status}));
  reply.set("headers", std::move(headers));
  const bool is_json =
      lower(std::string(response.header("Content-Type").value_or(""))).find("json") !=
      std::string::npos;
  if (is_json) {
    auto parsed = parse_json(response.body);
    if (!parsed) return fail(Errc::corrupt, "the reply is not JSON: " + parsed.error().message());
    reply.set("json", std::move(*parsed));
  } else {
    const auto text = response.body.substr(0, kTextMax);
    reply.set("text", Json::string(is_utf8(text) ? text : std::string()));
  }
  return reply;
}

Json settings_table(const EngineOptions& options, bool with_password) {
  Json table = Json::object();
  for (const auto& [name, value] : options.settings) table.set(name, Json::string(value));
  table.set("user", Json::string(options.user));
  if (with_password) table.set("password", Json::string(options.password));
  return table;
}

AttemptOutcome outcome_of(const Json& raised) {
  const std::string reason = text_member(raised, "reason");
  if (text_member(raised, "outcome") == "rejected") return AttemptRejected{reason};
  AttemptRetry retry{std::nullopt, reason, false};
  int64_t seconds = 0;
  const std::string text = text_member(raised, "seconds");
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (!text.empty() && parsed.ec == std::errc())
    retry.after = Duration(std::clamp<int64_t>(seconds, 0, 86'400) * 1000);
  return retry;
}

}  // namespace

Engine::Engine(asio::any_io_executor executor, Clock& clock, const EngineOptions& options,
               std::unique_ptr<LuaProfile> profile, std::unique_ptr<io::HttpClient> http,
               io::HttpUrl url)
    : executor_(std::move(executor)),
      clock_(clock),
      name_(options.name),
      timeout_(options.timeout),
      settings_(settings_table(options, false)),
      login_settings_(settings_table(options, true)),
      profile_(std::move(profile)),
      http_(std::move(http)),
      url_(std::move(url)),
      has_login_(profile_->has_function("login")),
      has_update_(profile_->has_function("update")) {}

Result<std::unique_ptr<Engine>> Engine::open(asio::any_io_executor executor, Clock& clock,
                                             const EngineOptions& options) {
  TRY(auto profile, LuaProfile::load(options.profile, options.profile_file));
  for (const char* function : {"find", "create", "confirm"}) {
    if (!profile->has_function(function)) {
      return fail(Errc::config, options.profile_file + ": the profile has no function " + function);
    }
  }
  TRY(auto url, io::parse_http_url(options.url));
  if (!url.path.ends_with('/')) url.path += '/';
  io::HttpClient::Options http;
  http.url = url;
  http.ca_file = options.ca_file;
  http.connect_timeout = std::min<Duration>(options.timeout, Duration(10'000));
  http.read_timeout = options.timeout;
  http.total_timeout = options.timeout;
  TRY(auto client, io::HttpClient::open(executor, http));
  std::unique_ptr<Engine> engine(new Engine(std::move(executor), clock, options, std::move(profile),
                                            std::move(client), std::move(url)));
  TRY_VOID(engine->read_capabilities());
  return engine;
}

Status Engine::read_capabilities() {
  TRY(const Json capabilities, profile_->value("capabilities"));
  const auto number = [&](const char* name, int64_t fallback, int64_t max) -> Result<int64_t> {
    const std::string text = text_member(capabilities, name);
    if (text.empty()) return fallback;
    int64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || value < 1 ||
        value > max) {
      return fail(Errc::config,
                  profile_->file() + ": capabilities." + name + " is 1 to " + std::to_string(max));
    }
    return value;
  };
  rules_.unique_ref = true_member(capabilities, "unique_ref");
  TRY(const int64_t lag, number("commit_lag_ms", rules_.commit_lag.count(), 86'400'000));
  TRY(const int64_t rate, number("requests_per_second", 50, 10'000));
  rules_.commit_lag = Duration(lag);
  bucket_ = TokenBucket(rate, rate);
  return read_signature(capabilities);
}

Status Engine::read_signature(const Json& capabilities) {
  const std::string signature = text_member(capabilities, "signature");
  if (signature.empty()) return {};
  if (signature != "standard-webhooks") {
    return fail(Errc::config, profile_->file() + ": capabilities.signature is standard-webhooks");
  }
  auto secret = WebhookSecret::parse(text_member(login_settings_, "password"));
  if (!secret) {
    return fail(Errc::config,
                "password_file of connector \"" + name_ + "\": " + secret.error().message());
  }
  webhook_secret_ = std::move(*secret);
  return {};
}

// ---- The operations
// ------------------------------------------------------------------------------------------------

asio::awaitable<AttemptOutcome> Engine::deliver(Json document) {
  auto outcome = co_await deliver_steps(std::move(document));
  co_return note(std::move(outcome));
}

asio::awaitable<AttemptOutcome> Engine::look_up(Json document) {
  auto outcome = co_await look_up_steps(std::move(document));
  co_return note(std::move(outcome));
}

asio::awaitable<AttemptOutcome> Engine::deliver_steps(Json document) {
  Operation operation{.deadline = clock_.monotonic() + timeout_ * 5};
  std::vector<Json> find_arguments{document, settings_};
  auto found = co_await run("find", std::move(find_arguments), operation);
  if (!found) co_return found.error();
  if (!found->is(Json::Kind::null)) {
    auto confirmed = co_await confirm(document, *found, operation);
    if (!operation.outdated) co_return confirmed;
    co_return co_await update(std::move(document), std::move(*found), operation);
  }
  std::vector<Json> create_arguments{document, settings_};
  auto created = co_await run("create", std::move(create_arguments), operation);
  if (!created) co_return created.error();
  co_return co_await confirm(std::move(document), std::move(*created), operation);
}

asio::awaitable<AttemptOutcome> Engine::look_up_steps(Json document) {
  Operation operation{.deadline = clock_.monotonic() + timeout_ * 5};
  std::vector<Json> arguments{document, settings_};
  auto found = co_await run("find", std::move(arguments), operation);
  if (!found) co_return found.error();
  if (found->is(Json::Kind::null)) co_return AttemptAbsent{};
  auto confirmed = co_await confirm(std::move(document), std::move(*found), operation);
  // This revision is not there yet: what was sent did not arrive.
  if (operation.outdated) co_return AttemptAbsent{};
  co_return confirmed;
}

asio::awaitable<AttemptOutcome> Engine::confirm(Json document, Json found, Operation& operation) {
  const std::string reference = text_member(found, "reference");
  if (reference.empty()) {
    const std::string reason = profile_->file() + ": find and create return {reference = ...}";
    if (operation.effect) co_return AttemptUnknown{reason};
    co_return AttemptRetry{std::nullopt, reason, true};
  }
  std::vector<Json> arguments{std::move(document), Json::string(reference), settings_};
  auto read = co_await run("confirm", std::move(arguments), operation);
  if (!read) {
    // What is there cannot be refused any more: a person has to compare.
    const auto* rejected = std::get_if<AttemptRejected>(&read.error());
    if (rejected != nullptr) co_return AttemptConflict{reference, rejected->reason};
    const auto* retry = std::get_if<AttemptRetry>(&read.error());
    if (retry != nullptr && operation.effect)
      co_return AttemptUnknown{"created, not read back: " + retry->reason};
    co_return read.error();
  }
  if (true_member(*read, "equal")) {
    co_return AttemptConfirmed{reference, text_member(*read, "state"),
                               text_member(*read, "amount")};
  }
  operation.outdated = has_update_ && true_member(*read, "outdated");
  co_return AttemptConflict{reference, text_member(*read, "differences")};
}

/// Repeatable: it ends with the newest revision there, however often it is done.
asio::awaitable<AttemptOutcome> Engine::update(Json document, Json found, Operation& operation) {
  const std::string reference = text_member(found, "reference");
  std::vector<Json> arguments{document, Json::string(reference), settings_};
  auto updated = co_await run("update", std::move(arguments), operation);
  if (!updated) {
    const auto* rejected = std::get_if<AttemptRejected>(&updated.error());
    if (rejected != nullptr) co_return AttemptConflict{reference, rejected->reason};
    co_return updated.error();
  }
  co_return co_await confirm(std::move(document), std::move(found), operation);
}

asio::awaitable<ProgressOutcome> Engine::progress(Json document, std::string reference) {
  Operation operation{.deadline = clock_.monotonic() + timeout_ * 5};
  std::vector<Json> arguments{std::move(document), Json::string(reference), settings_};
  auto answered = co_await run("progress", std::move(arguments), operation);
  if (!answered) co_return ended(note(std::move(answered.error())));
  auto progress = read_progress(*answered);
  if (!progress)
    co_return ended(note(AttemptRetry{std::nullopt, progress.error().message(), true}));
  note(AttemptConfirmed{reference, {}, {}});
  co_return std::move(*progress);
}

Result<WorkProgress> Engine::read_progress(const Json& value) const {
  const auto wrong = [this](const char* what) {
    return fail(Errc::internal, profile_->file() + ": progress: " + what);
  };
  const Json* closed = value.find("closed");
  if (closed == nullptr || !closed->is(Json::Kind::boolean))
    return wrong("closed is true or false");
  WorkProgress out;
  out.closed = closed->as_bool();
  out.by = text_member(value, "by");
  const std::string closed_at = text_member(value, "closed_at");
  if (!closed_at.empty()) {
    auto parsed = parse_rfc3339(closed_at);
    if (!parsed) return wrong("closed_at is a time of RFC 3339");
    out.closed_at = *parsed;
  }
  const std::string effort = text_member(value, "effort_minutes");
  if (!effort.empty()) {
    int64_t minutes = 0;
    const auto parsed = std::from_chars(effort.data(), effort.data() + effort.size(), minutes);
    if (parsed.ec != std::errc() || parsed.ptr != effort.data() + effort.size() || minutes < 0)
      return wrong("effort_minutes is a whole number");
    out.effort_minutes = minutes;
  }
  return out;
}

AttemptOutcome Engine::note(AttemptOutcome outcome) {
  const auto* retry = std::get_if<AttemptRetry>(&outcome);
  const auto* unknown = std::get_if<AttemptUnknown>(&outcome);
  if (unknown == nullptr && (retry == nullptr || !retry->system_at_fault)) {
    breaker_.succeeded();
    last_failure_.clear();
    return outcome;
  }
  last_failure_ = retry != nullptr ? retry->reason : unknown->reason;
  if (breaker_.failed(clock_.monotonic())) {
    io::log_warn("connector_left_alone",
                 {io::kv("connector", name_), io::kv("reason", last_failure_),
                  io::kv("for_ms", breaker_.wait(clock_.monotonic()).count())});
  }
  return outcome;
}

// ---- One function of the profile
// ---------------------------------------------------------------------------------------

asio::awaitable<Engine::Ended> Engine::run(const char* function, std::vector<Json> arguments,
                                           Operation& operation) {
  const auto profile_failed = [&operation](const Error& error) -> AttemptOutcome {
    if (operation.effect) return AttemptUnknown{error.message()};
    return AttemptRetry{std::nullopt, error.message(), true};
  };
  const std::shared_ptr<LuaProfile> profile = profile_;
  auto call = profile->start(function, arguments);
  if (!call) co_return ended(profile_failed(call.error()));
  std::optional<Json> reply;
  for (;;) {
    auto step = call->resume(reply);
    if (!step) co_return ended(profile_failed(step.error()));
    if (step->kind == LuaStep::Kind::returned) co_return std::move(step->value);
    if (step->kind == LuaStep::Kind::outcome) co_return ended(outcome_of(step->value));
    auto performed = co_await perform(std::move(step->value), operation);
    if (!performed) co_return ended(std::move(performed.error()));
    reply = std::move(*performed);
  }
}

Result<Engine::Call> Engine::read_call(const Json& request) const {
  const auto wrong = [this](const std::string& what) {
    return fail(Errc::internal, profile_->file() + ": call: " + what);
  };
  Call call;
  std::string path;
  for (const auto& [name, value] : request.members()) {
    if (name == "method" && value.is(Json::Kind::string)) {
      call.http.method = value.text();
    } else if (name == "path" && value.is(Json::Kind::string)) {
      path = value.text();
    } else if (name == "effect" && value.is(Json::Kind::boolean)) {
      call.effect = value.as_bool();
    } else if (name == "json") {
      call.http.body = value.dump();
    } else if (name == "body" && value.is(Json::Kind::string)) {
      call.http.body = value.text();
    } else if (name == "sign" && value.is(Json::Kind::string)) {
      call.signed_as = value.text();
    } else if (name == "headers" && value.is(Json::Kind::object)) {
      for (const auto& [header, text] : value.members())
        call.http.headers.emplace_back(header, text.text());
    } else {
      return wrong("'" + name + "' is not known, or of another type");
    }
  }
  if (request.find("method") == nullptr) call.http.method = call.http.body.empty() ? "GET" : "POST";
  if (request.find("json") != nullptr && request.find("body") != nullptr)
    return wrong("json and body exclude each other");
  if (request.find("json") != nullptr)
    call.http.headers.emplace_back("Content-Type", "application/json");
  if (request.find("sign") != nullptr && (!webhook_secret_ || !is_webhook_id(call.signed_as)))
    return wrong("sign needs capabilities.signature, and an id without '.'");
  // A path stays below the configured address: a document must not choose where it goes.
  if (path.starts_with('/') || path.find("..") != std::string::npos)
    return wrong("the path begins below the address");
  call.http.target = url_.path + path;
  return call;
}

asio::awaitable<Engine::Ended> Engine::perform(Json request, Operation& operation) {
  auto call = read_call(request);
  if (!call) {
    if (operation.effect) co_return ended(AttemptUnknown{call.error().message()});
    co_return ended(AttemptRetry{std::nullopt, call.error().message(), true});
  }
  const bool with_session = has_login_ && !operation.logging_in;
  for (;;) {
    if (with_session && !session_) {
      auto logged_in = co_await log_in(operation);
      if (!logged_in) co_return logged_in;
    }
    Call sent = *call;
    if (with_session)
      sent.http.headers.insert(sent.http.headers.end(), session_->begin(), session_->end());
    const bool effect_before = operation.effect;
    auto reply = co_await exchange(std::move(sent), operation);
    const bool session_gone = reply && with_session && text_member(*reply, "status") == "401";
    if (!session_gone) co_return reply;
    // Refused at the door: this request did nothing, whatever it would have done.
    operation.effect = effect_before;
    session_.reset();
    if (std::exchange(operation.logged_in_again, true)) {
      AttemptOutcome refused =
          AttemptRetry{std::nullopt, "a new session is refused at once (HTTP 401)", true};
      if (operation.effect)
        refused = AttemptUnknown{"created, then the session was refused (HTTP 401)"};
      co_return ended(std::move(refused));
    }
  }
}

/// One request and what its failure means. Replies below 500 other than 429 go to the profile.
asio::awaitable<Engine::Ended> Engine::exchange(Call call, Operation& operation) {
  const bool effect_before = operation.effect;
  const auto failed = [this, &operation](std::optional<Duration> after, std::string reason) {
    ++counters_.failures;
    if (operation.effect) return ended(AttemptUnknown{std::move(reason)});
    return ended(AttemptRetry{after, std::move(reason), true});
  };
  if (++operation.requests > kRequestsMax)
    co_return failed(std::nullopt, "one operation made too many requests");
  if (clock_.monotonic() > operation.deadline)
    co_return failed(std::nullopt, "the operation took too long");
  const Duration delay = bucket_.take(clock_.monotonic());
  if (delay > Duration(0)) co_await pause(delay);
  ++counters_.requests;
  const bool effect = call.effect;
  if (!call.signed_as.empty()) {
    auto headers = webhook_secret_->headers(call.signed_as, clock_.now(), call.http.body);
    call.http.headers.insert(call.http.headers.end(), headers.begin(), headers.end());
  }
  auto reply = co_await http_->exchange(std::move(call.http));
  if (!reply) {
    operation.effect = effect_before || (effect && reply.error().sent);
    co_return failed(std::nullopt, reply.error().what);
  }
  operation.effect = effect_before || effect;
  const std::string status = "HTTP " + std::to_string(reply->status);
  if (reply->status == 429) {
    operation.effect = effect_before;
    co_return failed(retry_after(*reply), "too many requests (" + status + ")");
  }
  if (reply->status >= 500)
    co_return failed(retry_after(*reply), "the server failed (" + status + ")");
  auto table = reply_table(*reply);
  if (!table) co_return failed(std::nullopt, table.error().message() + " (" + status + ")");
  co_return std::move(*table);
}

asio::awaitable<Engine::Ended> Engine::log_in(Operation& operation) {
  ++counters_.logins;
  operation.logging_in = true;
  std::vector<Json> arguments{login_settings_};
  auto headers = co_await run("login", std::move(arguments), operation);
  operation.logging_in = false;
  if (!headers) {
    // A wrong password is nobody's document's fault: it is mended, and everything goes on.
    const auto* rejected = std::get_if<AttemptRejected>(&headers.error());
    if (rejected == nullptr) co_return headers;
    login_not_before_ = clock_.monotonic() + kLoginPause;
    if (operation.effect) co_return ended(AttemptUnknown{rejected->reason});
    co_return ended(AttemptRetry{std::nullopt, rejected->reason, true});
  }
  Headers session;
  for (const auto& [name, value] : headers->members()) session.emplace_back(name, value.text());
  session_ = std::move(session);
  co_return Json::null();
}

asio::awaitable<void> Engine::pause(Duration delay) {
  asio::steady_timer timer(executor_, delay);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace ledgerline::collector
