#include "common/io/mqtt.h"

#include <mqtt/async_client.h>

#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>

#include "common/io/log.h"
#include "common/io/tls_probe.h"

namespace ledgerline::io {

namespace {

constexpr int kNoMatchingSubscribers = 0x10;
constexpr int kFirstRefusal = 0x80;
constexpr int kNotAuthorised = 0x87;
constexpr auto kGoodbye = std::chrono::milliseconds(1000);
// A session that held this long was a good one: the next failure starts with a short delay again.
// Shorter, and two clients that take one identity from each other would do so without pause.
constexpr auto kStable = std::chrono::seconds(10);

std::string hex_code(int code) {
  char text[8];
  std::snprintf(text, sizeof text, "0x%02x", static_cast<unsigned>(code) & 0xffU);
  return text;
}

std::string reason_text(int code) {
  const std::string known = mqtt::exception::reason_code_str(static_cast<mqtt::ReasonCode>(code));
  return hex_code(code) + (known.empty() ? "" : " " + known);
}

/// What Paho knows of a failed action, taken on Paho's thread.
struct Failure {
  int paho_code = 0;
  int reason_code = 0;
  std::string text;
};

Failure failure_of(const mqtt::token& token) {
  Failure out;
  out.paho_code = token.get_return_code();
  out.reason_code = static_cast<int>(token.get_reason_code());
  if (out.reason_code == mqtt::MQTTPP_V3_CODE) out.reason_code = 0;
  try {
    // The token's message has no getter in Paho C++ 1.2: it comes out with the exception.
    const_cast<mqtt::token&>(token).try_wait();
  } catch (const mqtt::exception& e) {
    out.text = e.get_message();
  }
  return out;
}

mqtt::ssl_options tls_options(const MqttTls& tls) {
  mqtt::ssl_options out;
  out.set_trust_store(tls.ca_file);
  out.set_key_store(tls.certificate_file);
  out.set_private_key(tls.private_key_file);
  out.set_enable_server_cert_auth(true);
  out.set_verify(true);
  // Paho 1.3 has no "TLS 1.3 only": its newest version constant is 1.2. With a pre-shared-key suite
  // and no key as the only suite for 1.2, a handshake below 1.3 finds nothing in common and fails;
  // the suites of 1.3 are not in this list.
  out.set_enabled_cipher_suites("PSK-AES256-GCM-SHA384");
  return out;
}

mqtt::connect_options connect_options(const MqttOptions& options) {
  mqtt::connect_options out;
  out.set_mqtt_version(MQTTVERSION_5);
  out.set_clean_start(options.clean_start);
  out.set_keep_alive_interval(options.keep_alive);
  out.set_connect_timeout(options.connect_timeout);
  out.set_max_inflight(static_cast<int>(options.in_flight_max));
  out.set_automatic_reconnect(false);  // the delays are ours, with jitter
  mqtt::properties properties;
  const auto seconds = static_cast<uint32_t>(options.session_expiry.count());
  properties.add({mqtt::property::SESSION_EXPIRY_INTERVAL, static_cast<int32_t>(seconds)});
  properties.add({mqtt::property::RECEIVE_MAXIMUM, static_cast<int32_t>(options.receive_maximum)});
  properties.add(
      {mqtt::property::MAXIMUM_PACKET_SIZE, static_cast<int32_t>(options.packet_size_max)});
  out.set_properties(std::move(properties));
  if (options.tls) out.set_ssl(tls_options(*options.tls));
  return out;
}

std::string uri_of(const MqttOptions& options) {
  return (options.tls ? "ssl://" : "tcp://") + options.host + ":" + std::to_string(options.port);
}

}  // namespace

std::string explain_refusal(const MqttOptions& options, int reason_code) {
  const std::string broker = options.host + ":" + std::to_string(options.port);
  switch (reason_code) {
    case 0x84:
      return "the broker " + broker + " does not speak MQTT 5";
    case 0x85:
      return "the broker " + broker + " refuses the client id " + options.client_id;
    case 0x86:
    case kNotAuthorised:
    case 0x8a:
      return "not authorised: the broker " + broker + " does not let " + options.client_id +
             " in; its certificate may be revoked or missing in the broker's list";
    default:
      return "the broker " + broker + " refuses: " + reason_text(reason_code);
  }
}

class Mqtt::Session : public std::enable_shared_from_this<Mqtt::Session> {
  /// Where Paho's threads hand over to. They never own the session, not even for a moment: its last
  /// owner destroys the client, which waits for those very threads.
  struct Handover {
    Runtime* runtime = nullptr;
    std::weak_ptr<Session> session;

    template <class Action>
    void operator()(Action action) const {
      boost::asio::post(runtime->context(), [weak = session, action = std::move(action)]() mutable {
        if (const auto alive = weak.lock(); alive && !alive->stopped_) action(*alive);
      });
    }
  };

 public:
  Session(Runtime& runtime, MqttOptions options, MqttHandlers handlers)
      : runtime_(runtime),
        options_(std::move(options)),
        handlers_(std::move(handlers)),
        timer_(runtime.context()),
        client_(uri_of(options_), options_.client_id, create_options(options_)) {}

  /// Callbacks before connect: a message of a session that goes on may arrive with the CONNACK.
  void bind() {
    const Handover post{&runtime_, weak_from_this()};
    connect_listener_.post = subscribe_listener_.post = publish_listener_.post = post;
    client_.set_message_callback([post](const mqtt::const_message_ptr& message) {
      MqttMessage out{message->get_topic(), copy_of(bytes_of(message->get_payload())),
                      message->is_retained()};
      post([out = std::move(out)](Session& self) mutable {
        self.handlers_.on_message(std::move(out));
      });
    });
    client_.set_connection_lost_handler([post](const std::string& cause) {
      post([cause](Session& self) {
        self.on_lost("the connection to the broker broke" +
                     (cause.empty() ? "" : " [" + cause + "]"));
      });
    });
    client_.set_disconnected_handler([post](const mqtt::properties&, mqtt::ReasonCode code) {
      post([code](Session& self) { self.on_closed(code); });
    });
  }

  void start() {
    if (state_ == State::idle && !stopped_) connect();
  }

  void stop() {
    if (stopped_) return;
    stopped_ = true;
    timer_.cancel();
    queue_.clear();
    in_flight_.clear();
    if (state_ != State::up && state_ != State::subscribing) return;
    try {
      client_.disconnect(static_cast<int>(kGoodbye.count()))->wait_for(kGoodbye);
    } catch (const mqtt::exception& e) {
      log_debug("mqtt_goodbye_failed", {kv("error", e.what())});
    }
  }

  void publish(std::string topic, Bytes payload, bool retained, Published done) {
    if (stopped_) return;
    if (state_ != State::up)
      return later(std::move(done), fail(Errc::retry, "not connected to the broker"));
    if (queue_.size() >= options_.queue_max) {
      return later(std::move(done), fail(Errc::full, "too many messages wait for the broker"));
    }
    queue_.push_back({std::move(topic), std::move(payload), retained, std::move(done)});
    send_queued();
  }

  [[nodiscard]] const MqttStatus& status() const { return status_; }

 private:
  enum class State { idle, connecting, subscribing, up, waiting };

  struct Outgoing {
    std::string topic;
    Bytes payload;
    bool retained = false;
    Published done;
  };

  struct ConnectListener final : mqtt::iaction_listener {
    Handover post;
    void on_success(const mqtt::token& token) override {
      const auto response = token.get_connect_response();
      const bool present = response.is_session_present();
      const auto& properties = response.get_properties();
      const int receive_maximum =
          properties.contains(mqtt::property::RECEIVE_MAXIMUM)
              ? static_cast<int>(mqtt::get<uint16_t>(properties, mqtt::property::RECEIVE_MAXIMUM))
              : 0;
      post(
          [present, receive_maximum](Session& self) { self.on_connack(present, receive_maximum); });
    }
    void on_failure(const mqtt::token& token) override {
      post([failure = failure_of(token)](Session& self) { self.on_connect_failed(failure); });
    }
  };

  struct SubscribeListener final : mqtt::iaction_listener {
    Handover post;
    void on_success(const mqtt::token& token) override {
      int refusal = 0;
      const auto response = token.get_subscribe_response();
      for (const auto code : response.get_reason_codes()) {
        if (code >= kFirstRefusal) refusal = code;
      }
      post([refusal](Session& self) { self.on_subscribed(refusal); });
    }
    void on_failure(const mqtt::token& token) override {
      const int code =
          token.get_reason_code() == 0 ? mqtt::UNSPECIFIED_ERROR : token.get_reason_code();
      post([code](Session& self) { self.on_subscribed(code); });
    }
  };

  struct PublishListener final : mqtt::iaction_listener {
    Handover post;
    void on_success(const mqtt::token& token) override { report(token, 0); }
    void on_failure(const mqtt::token& token) override { report(token, token.get_return_code()); }
    void report(const mqtt::token& token, int paho_code) {
      const auto id = reinterpret_cast<uintptr_t>(token.get_user_context());
      const int reason = static_cast<int>(token.get_reason_code());
      post([id, reason, paho_code](Session& self) { self.on_published(id, reason, paho_code); });
    }
  };

  static mqtt::create_options create_options(const MqttOptions& options) {
    mqtt::create_options out(MQTTVERSION_5, static_cast<int>(options.in_flight_max));
    out.set_send_while_disconnected(false);
    out.set_restore_messages(false);
    return out;
  }

  void later(Published done, Status status) {
    boost::asio::post(runtime_.context(),
                      [done = std::move(done), status = std::move(status)] { done(status); });
  }

  void connect() {
    state_ = State::connecting;
    ++attempt_;
    arm(options_.connect_timeout * 2 + std::chrono::seconds(2),
        [](Session& self) { self.on_lost("the broker does not answer"); });
    try {
      client_.connect(connect_options(options_), nullptr, connect_listener_);
    } catch (const mqtt::exception& e) {
      on_connect_failed({e.get_return_code(), 0, e.what()});
    }
  }

  void on_connect_failed(const Failure& failure) {
    if (state_ != State::connecting) return;
    if (failure.reason_code >= kFirstRefusal)
      return on_lost(explain_refusal(options_, failure.reason_code));
    const std::string plain = "no connection to the broker " + options_.host + ":" +
                              std::to_string(options_.port) + " [" + failure.text + "]";
    if (!options_.tls) return on_lost(plain);
    probe_tls(runtime_,
              {options_.host, options_.port, options_.tls->ca_file, options_.tls->certificate_file,
               options_.tls->private_key_file},
              [weak = weak_from_this(), plain, attempt = attempt_](const std::string& found) {
                const auto self = weak.lock();
                if (!self || self->stopped_ || self->attempt_ != attempt) return;
                self->on_lost(found.empty() ? plain : found);
              });
  }

  void on_connack(bool session_present, int receive_maximum) {
    if (state_ != State::connecting) return;
    session_present_ = session_present;
    in_flight_limit_ = options_.in_flight_max;
    if (receive_maximum > 0)
      in_flight_limit_ = std::min(in_flight_limit_, static_cast<size_t>(receive_maximum));
    state_ = State::subscribing;
    if (options_.subscriptions.empty()) return on_subscribed(0);
    try {
      const auto topics = mqtt::string_collection::create(options_.subscriptions);
      const mqtt::iasync_client::qos_collection qos(options_.subscriptions.size(), 1);
      client_.subscribe(topics, qos, nullptr, subscribe_listener_);
    } catch (const mqtt::exception& e) {
      close("subscribing failed: " + std::string(e.what()));
    }
  }

  void on_subscribed(int refusal) {
    if (state_ != State::subscribing) return;
    if (refusal != 0) {
      return close("the broker does not let " + options_.client_id +
                   " subscribe: " + reason_text(refusal));
    }
    state_ = State::up;
    up_since_ = std::chrono::steady_clock::now();
    timer_.cancel();
    status_.connected = true;
    ++status_.connects;
    status_.last_failure.clear();
    handlers_.on_connected(session_present_);
  }

  /// Ends a session that is of no use.
  void close(const std::string& reason) {
    try {
      client_.disconnect();
    } catch (const mqtt::exception& e) {
      log_debug("mqtt_close_failed", {kv("error", e.what())});
    }
    on_lost(reason);
  }

  /// The broker's DISCONNECT. Paho reports the broken connection first where it notices that first;
  /// then the reason is news all the same.
  void on_closed(int code) {
    const std::string reason =
        code == mqtt::SESSION_TAKEN_OVER
            ? "another client took the session of " + options_.client_id + " over (0x8e)"
            : "the broker closed the connection: " + reason_text(code);
    if (state_ != State::waiting) return on_lost(reason);
    status_.last_failure = reason;
    handlers_.on_disconnected(reason);
  }

  void on_lost(const std::string& reason) {
    if (state_ == State::idle || state_ == State::waiting) return;
    const bool stable =
        state_ == State::up && std::chrono::steady_clock::now() - up_since_ >= kStable;
    failures_in_a_row_ = stable ? 1 : failures_in_a_row_ + 1;
    state_ = State::waiting;
    status_.connected = false;
    ++status_.failures;
    status_.last_failure = reason;
    give_back("the connection broke before the broker acknowledged");
    const Duration delay = backoff_delay(options_.reconnect, failures_in_a_row_,
                                         options_.random ? options_.random() : 0);
    arm(delay, [](Session& self) { self.connect(); });
    handlers_.on_disconnected(reason);
  }

  /// Everything queued or under way is reported as not sent.
  void give_back(const std::string& why) {
    for (auto& [id, done] : in_flight_) later(std::move(done), fail(Errc::retry, why));
    in_flight_.clear();
    for (auto& waiting : queue_) later(std::move(waiting.done), fail(Errc::retry, why));
    queue_.clear();
  }

  void send_queued() {
    while (!queue_.empty() && in_flight_.size() < in_flight_limit_) {
      Outgoing out = std::move(queue_.front());
      queue_.pop_front();
      const uintptr_t id = ++last_publish_;
      try {
        auto message = mqtt::message::create(std::move(out.topic), out.payload.data(),
                                             out.payload.size(), 1, out.retained);
        in_flight_.emplace(id, std::move(out.done));
        client_.publish(message, reinterpret_cast<void*>(id), publish_listener_);
      } catch (const mqtt::exception& e) {
        finish(id, fail(Errc::retry, "not sent: " + std::string(e.what())));
      }
    }
  }

  void on_published(uintptr_t id, int reason, int paho_code) {
    if (reason == kNoMatchingSubscribers ||
        (reason >= kFirstRefusal && reason != mqtt::MQTTPP_V3_CODE)) {
      ++status_.publishes_refused;
      const Errc code = reason == kNotAuthorised ? Errc::config : Errc::retry;
      finish(id, fail(Error(code, "the broker did not take the message: " + reason_text(reason))
                          .with("reason_code", hex_code(reason))));
    } else if (paho_code != 0) {
      finish(id, fail(Errc::retry, "not sent (" + std::to_string(paho_code) + ")"));
    } else {
      finish(id, {});
    }
    if (state_ == State::up) send_queued();
  }

  void finish(uintptr_t id, Status status) {
    const auto found = in_flight_.find(id);
    if (found == in_flight_.end()) return;  // reported already, when the connection broke
    later(std::move(found->second), std::move(status));
    in_flight_.erase(found);
  }

  template <class Action>
  void arm(std::chrono::milliseconds delay, Action action) {
    timer_.expires_after(delay);
    timer_.async_wait([weak = weak_from_this(), action](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (!error && self && !self->stopped_) action(*self);
    });
  }

  Runtime& runtime_;
  const MqttOptions options_;
  MqttHandlers handlers_;
  boost::asio::steady_timer timer_;  // the next attempt, or the end of patience with this one
  State state_ = State::idle;
  bool stopped_ = false;
  bool session_present_ = false;
  uint64_t attempt_ = 0;            // number of the newest attempt
  unsigned failures_in_a_row_ = 0;  // failures since the last stable session
  std::chrono::steady_clock::time_point up_since_;
  size_t in_flight_limit_ = 1;
  uintptr_t last_publish_ = 0;
  std::map<uintptr_t, Published> in_flight_;
  std::deque<Outgoing> queue_;
  MqttStatus status_;
  ConnectListener connect_listener_;
  SubscribeListener subscribe_listener_;
  PublishListener publish_listener_;
  mqtt::async_client
      client_;  // last: destroyed first, and after that Paho calls nothing of the above
};

namespace {

/// Paho would connect through the HTTP proxy that these name, a broker on loopback included, and an
/// empty value made every connect fail without a reason. Nobody configured that for us.
void forget_proxies() {
  for (const char* name : {"http_proxy", "https_proxy"}) ::unsetenv(name);
}

}  // namespace

Mqtt::Mqtt(Runtime& runtime, MqttOptions options, MqttHandlers handlers)
    : session_(std::make_shared<Session>(runtime, std::move(options), std::move(handlers))) {
  forget_proxies();  // before the first Paho thread reads them
  session_->bind();
}
Mqtt::~Mqtt() { session_->stop(); }
void Mqtt::start() { session_->start(); }
void Mqtt::stop() { session_->stop(); }
void Mqtt::publish(std::string topic, Bytes payload, bool retained, Published done) {
  session_->publish(std::move(topic), std::move(payload), retained, std::move(done));
}
const MqttStatus& Mqtt::status() const { return session_->status(); }

MqttFactory mqtt_factory(Runtime& runtime) {
  return [&runtime](MqttOptions options, MqttHandlers handlers) {
    return std::make_unique<Mqtt>(runtime, std::move(options), std::move(handlers));
  };
}

}  // namespace ledgerline::io
