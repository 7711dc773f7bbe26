#pragma once
// The seam to Paho: one MQTT 5 session to one broker that comes back by itself. Everything here is
// called, and calls back, on the runtime's context thread; Paho's threads only post to it (their
// callbacks hold a process-wide lock).
//
// The broker is not trusted with anything: nothing is persisted by Paho, nothing is queued in it
// beyond the in-flight window, and a publish that was under way when the connection broke is
// reported as not sent.

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/backoff.h"
#include "common/bytes.h"
#include "common/io/runtime.h"
#include "common/result.h"

namespace ledgerline::io {

/// Files in PEM. The broker's certificate must be signed by `ca_file` and name the host; TLS
/// below 1.3 is refused.
struct MqttTls {
  std::string ca_file;
  std::string certificate_file;
  std::string private_key_file;
};

struct MqttOptions {
  std::string host;
  uint16_t port = 8883;
  std::string client_id;       // stable: a broker knows a session by it
  std::optional<MqttTls> tls;  // absent only in tests
  bool clean_start = true;     // false: a session that the broker still holds goes on
  std::chrono::seconds session_expiry{
      0};                         // how long the broker keeps the session without a connection
  uint16_t receive_maximum = 20;  // unacknowledged messages that the broker may send us
  uint32_t packet_size_max = 256 * 1024;  // larger packets the broker must not send us
  size_t in_flight_max = 20;  // measured: queueing more in Paho collapses its throughput
  size_t queue_max = 4096;    // publishes that wait for a place in flight; beyond: Errc::full
  std::chrono::seconds keep_alive{30};
  std::chrono::seconds connect_timeout{10};
  Backoff reconnect{Duration(500), Duration(60'000)};
  std::vector<std::string> subscriptions;  // QoS 1, made at each connect before on_connected
  std::function<uint32_t()> random;        // for the reconnect delay
};

struct MqttMessage {
  std::string topic;
  Bytes payload;
  bool retained = false;
};

struct MqttStatus {
  bool connected = false;
  uint64_t connects = 0;
  uint64_t failures = 0;           // attempts that failed and connections that broke
  uint64_t publishes_refused = 0;  // acknowledged by the broker with a reason that means "not sent"
  std::string last_failure;        // in plain words, for a person; empty after a connect
};

/// How a publish ended. Ok means no more than that the broker says it has the message. Otherwise it
/// was not sent: Errc::config for "not authorised" (0x87), Errc::full for a full queue here,
/// Errc::retry else. Where the broker gave a reason, the field "reason_code" holds it, e.g. "0x87".
using Published = std::function<void(Status)>;

struct MqttHandlers {
  std::function<void(bool session_present)> on_connected;  // subscriptions are made
  std::function<void(const std::string& reason)>
      on_disconnected;  // also for an attempt that failed
  std::function<void(MqttMessage)>
      on_message;  // memory is bounded by receive_maximum and by the handler
};

/// What the shells need of a session, so that a test can put a broker in its place that loses and
/// doubles.
class MqttClient {
 public:
  virtual ~MqttClient() = default;
  /// Connects, and again whenever the connection breaks, until stop().
  virtual void start() = 0;
  /// Disconnects; no handler runs any more. Publishes that wait are dropped without their `done`.
  virtual void stop() = 0;
  /// QoS 1. `done` runs once, never from inside publish(). Not connected: Errc::retry.
  virtual void publish(std::string topic, Bytes payload, bool retained, Published done) = 0;
  [[nodiscard]] virtual const MqttStatus& status() const = 0;
};
using MqttFactory = std::function<std::unique_ptr<MqttClient>(MqttOptions, MqttHandlers)>;

class Mqtt final : public MqttClient {
 public:
  Mqtt(Runtime& runtime, MqttOptions options, MqttHandlers handlers);
  /// Says goodbye to the broker, waiting a second at most. No handler runs afterwards.
  ~Mqtt() override;
  Mqtt(const Mqtt&) = delete;
  Mqtt& operator=(const Mqtt&) = delete;

  void start() override;
  void stop() override;
  void publish(std::string topic, Bytes payload, bool retained, Published done) override;
  [[nodiscard]] const MqttStatus& status() const override;

 private:
  class Session;
  std::shared_ptr<Session> session_;  // shared: closures posted by Paho's threads hold it weakly
};

/// Makes real sessions on this runtime.
MqttFactory mqtt_factory(Runtime& runtime);

}  // namespace ledgerline::io
