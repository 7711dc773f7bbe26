#pragma once
// A broker in this process that does what real ones were seen to do, and worse: it loses
// acknowledged messages, doubles, reorders, damages and replays them, and breaks connections.
// Retained messages and subscriptions work as in MQTT. One thread, one seed: what it does depends
// on nothing else.

#include <deque>
#include <map>
#include <random>
#include <set>

#include "common/io/mqtt.h"

namespace ledgerline::test {

struct Chaos {
  unsigned lose = 0;  // each in thousandths
  unsigned twice = 0;
  unsigned reorder = 0;
  unsigned damage = 0;
  unsigned replay = 0;  // an old message of the same topic comes again
  unsigned refuse = 0;  // the publish is answered with 0x97
  unsigned disconnect = 0;
};

class ChaosBroker {
 public:
  ChaosBroker(io::Runtime& runtime, uint32_t seed, Chaos chaos)
      : runtime_(runtime), random_(seed), chaos_(chaos) {}

  io::MqttFactory factory() {
    return [this](io::MqttOptions options, io::MqttHandlers handlers) {
      return std::make_unique<Client>(*this, std::move(options), std::move(handlers));
    };
  }
  void calm() { chaos_ = {}; }
  uint64_t lost = 0;
  uint64_t damaged = 0;
  uint64_t disconnects = 0;

 private:
  class Client final : public io::MqttClient {
   public:
    Client(ChaosBroker& broker, io::MqttOptions options, io::MqttHandlers handlers)
        : broker_(broker), options_(std::move(options)), handlers_(std::move(handlers)) {}
    ~Client() override { stop(); }
    void start() override { broker_.connect(*this); }
    void stop() override {
      status_.connected = false;
      broker_.clients_.erase(this);
    }
    void publish(std::string topic, Bytes payload, bool retained, io::Published done) override {
      broker_.publish(*this, std::move(topic), std::move(payload), retained, std::move(done));
    }
    [[nodiscard]] const io::MqttStatus& status() const override { return status_; }

    ChaosBroker& broker_;
    io::MqttOptions options_;
    io::MqttHandlers handlers_;
    io::MqttStatus status_;
  };

  bool chance(unsigned thousandths) { return random_() % 1000 < thousandths; }

  void post(Client& client, std::function<void(Client&)> action) {
    boost::asio::post(runtime_.context(), [this, client = &client, action = std::move(action)] {
      if (clients_.contains(client)) action(*client);
    });
  }

  void connect(Client& client) {
    clients_.insert(&client);
    post(client, [this](Client& up) {
      up.status_.connected = true;
      ++up.status_.connects;
      up.handlers_.on_connected(false);
      for (const auto& [topic, payload] : retained_) deliver(up, topic, payload, true);
    });
  }

  void publish(Client& from, std::string topic, Bytes payload, bool retained, io::Published done) {
    const auto end = [&](Status status) {
      boost::asio::post(runtime_.context(), [done, status] { done(status); });
    };
    if (!from.status_.connected) return end(fail(Errc::retry, "not connected"));
    if (chance(chaos_.disconnect)) {
      break_connection(from);
      return end(fail(Errc::retry, "the connection broke"));
    }
    if (chance(chaos_.refuse)) return end(fail(Errc::retry, "0x97 quota exceeded"));
    end({});  // whatever happens next: PUBACK proves nothing
    if (chance(chaos_.lose)) {
      ++lost;
      return;
    }
    if (retained) retained_[topic] = payload;
    auto& history = history_[topic];
    history.push_back(payload);
    if (history.size() > 50) history.pop_front();
    if (chance(chaos_.damage)) {
      ++damaged;
      payload[random_() % payload.size()] ^= static_cast<uint8_t>(1U << random_() % 8);
    }
    if (chance(chaos_.reorder)) return held_.emplace_back(topic, payload), void();
    spread(topic, payload);
    if (chance(chaos_.twice)) spread(topic, payload);
    if (chance(chaos_.replay)) spread(topic, history[random_() % history.size()]);
    while (!held_.empty()) {
      spread(held_.front().first, held_.front().second);
      held_.pop_front();
    }
  }

  void spread(const std::string& topic, const Bytes& payload) {
    for (Client* client : clients_) deliver(*client, topic, payload, false);
  }

  void deliver(Client& client, const std::string& topic, const Bytes& payload, bool retained) {
    for (const auto& filter : client.options_.subscriptions) {
      if (!matches(filter, topic)) continue;
      post(client, [topic, payload, retained](Client& up) {
        if (up.status_.connected) up.handlers_.on_message({topic, payload, retained});
      });
    }
  }

  void break_connection(Client& client) {
    ++disconnects;
    client.status_.connected = false;
    post(client, [this](Client& down) {
      down.handlers_.on_disconnected("chaos");
      connect(down);
    });
  }

  static bool matches(std::string_view filter, std::string_view topic) {
    while (true) {
      const size_t f = filter.find('/');
      const size_t t = topic.find('/');
      if (filter.substr(0, f) != "+" && filter.substr(0, f) != topic.substr(0, t)) return false;
      if (f == std::string_view::npos || t == std::string_view::npos) return f == t;
      filter.remove_prefix(f + 1);
      topic.remove_prefix(t + 1);
    }
  }

  io::Runtime& runtime_;
  std::mt19937 random_;
  Chaos chaos_;
  std::set<Client*> clients_;
  std::map<std::string, Bytes> retained_;
  std::map<std::string, std::deque<Bytes>> history_;
  std::deque<std::pair<std::string, Bytes>> held_;
};

}  // namespace ledgerline::test
