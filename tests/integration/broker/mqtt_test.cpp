// The seam to Paho against a real broker.
#include "common/io/mqtt.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/support/broker/loop.h"
#include "tests/support/broker/test_broker.h"

namespace ledgerline::test {
namespace {

struct Client {
  Client(io::Runtime& runtime, io::MqttOptions options)
      : mqtt(runtime, std::move(options),
             {[this](bool) { ++connected; },
              [this](const std::string& reason) { reasons.push_back(reason); },
              [this](io::MqttMessage message) { messages.push_back(std::move(message)); }}) {
    mqtt.start();
  }
  int connected = 0;
  std::vector<std::string> reasons;
  std::vector<io::MqttMessage> messages;
  io::Mqtt mqtt;
};

std::string first_reason(io::Runtime& runtime, io::MqttOptions options) {
  Client client(runtime, std::move(options));
  REQUIRE(run_until(runtime, [&] { return !client.reasons.empty() || client.connected > 0; }));
  return client.connected > 0 ? "connected" : client.reasons.front();
}

/// openssl s_server that offers nothing above TLS 1.2.
class OldTlsServer {
 public:
  OldTlsServer(const std::string& stem, uint16_t port) : pid_(fork()) {
    const std::string certificate = stem + ".pem";
    const std::string key = stem + ".key";
    if (pid_ == 0) {
      for (int fd = 0; fd < 3; ++fd) dup2(open("/dev/null", O_RDWR), fd);
      execlp("openssl", "openssl", "s_server", "-www", "-tls1_2", "-accept",
             std::to_string(port).c_str(), "-cert", certificate.c_str(), "-key", key.c_str(),
             nullptr);
      _exit(127);
    }
    wait_for_port(port);
  }
  ~OldTlsServer() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

constexpr auto kAcl =
    "user alice\ntopic readwrite a/#\nuser bob\ntopic readwrite b/#\ntopic read a/#\n";

}  // namespace

TEST_CASE("mqtt: a message goes from one certificate to another over TLS 1.3") {
  TestBroker broker({.acl = kAcl});
  broker.start();
  io::Runtime runtime;
  auto bob_options = broker.client("bob");
  bob_options.subscriptions = {"a/#"};
  Client bob(runtime, bob_options);
  Client alice(runtime, broker.client("alice"));
  REQUIRE(run_until(runtime, [&] { return bob.connected == 1 && alice.connected == 1; }));

  int done = 0;
  for (int i = 0; i < 200; ++i) {
    alice.mqtt.publish("a/x", Bytes(1000, static_cast<uint8_t>(i)), false,
                       [&](const Status& status) {
                         CHECK(status);
                         ++done;
                       });
  }

  REQUIRE(run_until(runtime, [&] { return done == 200 && bob.messages.size() == 200; }));
  for (size_t i = 0; i < 200; ++i)
    CHECK(bob.messages[i].payload == Bytes(1000, static_cast<uint8_t>(i)));
  CHECK(bob.messages[0].topic == "a/x");
}

TEST_CASE("mqtt: what the broker does not authorise is reported as not sent") {
  TestBroker broker({.acl = kAcl});
  broker.start();
  io::Runtime runtime;
  Client alice(runtime, broker.client("alice"));
  REQUIRE(run_until(runtime, [&] { return alice.connected == 1; }));

  std::optional<Status> foreign;
  alice.mqtt.publish("b/x", Bytes(1), false, [&](const Status& status) { foreign = status; });

  REQUIRE(run_until(runtime, [&] { return foreign.has_value(); }));
  REQUIRE_FALSE(*foreign);
  CHECK(foreign->error().code() == Errc::config);
  CHECK(foreign->error().fields().at(0).second == "0x87");
  CHECK(alice.mqtt.status().publishes_refused == 1);
}

TEST_CASE("mqtt: a failed connection says in plain words what is wrong") {
  TestBroker broker({.acl = kAcl});
  broker.start();
  io::Runtime runtime;
  const TestAuthority other(broker.folder(), "other");
  other.issue("mallory", "alice", "");
  broker.authority().issue("expired", "alice", "", -1);

  auto options = broker.client("alice");
  CHECK(first_reason(runtime, options) == "connected");

  options.tls->ca_file = other.certificate();
  CHECK_THAT(first_reason(runtime, options), Catch::StartsWith("wrong certificate: the broker"));

  options = broker.client("alice");
  options.tls = other.identity("mallory");
  options.tls->ca_file = broker.authority().certificate();
  CHECK_THAT(first_reason(runtime, options), Catch::Contains("refuses our certificate"));

  options.tls = broker.authority().identity("expired");
  CHECK_THAT(first_reason(runtime, options), Catch::Contains("refuses our certificate"));

  options = broker.client("alice");
  options.host =
      "127.1";  // loopback by a name that no certificate has; a bare system knows no "localhost"
  CHECK_THAT(first_reason(runtime, options), Catch::Contains("name mismatch"));

  options = broker.client("alice");
  options.tls->certificate_file = "/nowhere.pem";
  CHECK_THAT(first_reason(runtime, options), Catch::Contains("cannot be used"));

  options = broker.client("alice");
  options.port = free_port();
  CHECK_THAT(first_reason(runtime, options), Catch::Contains("no connection to the broker"));

  options.host = "no-such-host.invalid";
  CHECK_THAT(first_reason(runtime, options), Catch::Contains("cannot be resolved"));
}

TEST_CASE("mqtt: a broker that speaks only TLS 1.2 is refused") {
  TestBroker files({.acl = kAcl});
  const uint16_t port = free_port();
  OldTlsServer server(files.folder() + "/server", port);
  io::Runtime runtime;
  auto options = files.client("alice");
  options.port = port;
  CHECK_THAT(first_reason(runtime, options), Catch::Contains("no TLS 1.3 with the broker"));
}

TEST_CASE("mqtt: a killed broker is found again, what was under way is reported as not sent") {
  TestBroker broker({.acl = kAcl});
  broker.start();
  io::Runtime runtime;
  auto options = broker.client("bob");
  options.subscriptions = {"b/#"};
  Client bob(runtime, options);
  REQUIRE(run_until(runtime, [&] { return bob.connected == 1; }));

  int ended = 0;
  broker.kill();
  for (int i = 0; i < 50; ++i)
    bob.mqtt.publish("b/x", Bytes(10), false, [&](const Status&) { ++ended; });
  REQUIRE(run_until(runtime, [&] { return ended == 50 && !bob.reasons.empty(); }));
  broker.start();

  REQUIRE(run_until(runtime, [&] { return bob.connected == 2; }));
  bob.mqtt.publish("b/y", Bytes(10), false, [&](const Status& status) {
    CHECK(status);
    ++ended;
  });
  REQUIRE(run_until(runtime, [&] { return ended == 51; }));
}

TEST_CASE("mqtt: whoever takes another's client id is known by its own certificate all the same") {
  TestBroker broker({.acl = kAcl});
  broker.start();
  io::Runtime runtime;
  auto alice_options = broker.client("alice");
  alice_options.subscriptions = {"a/#"};
  Client alice(runtime, alice_options);
  REQUIRE(run_until(runtime, [&] { return alice.connected == 1; }));

  auto options = broker.client("bob");
  options.client_id = "alice";
  Client bob(runtime, options);
  REQUIRE(run_until(runtime, [&] { return bob.connected == 1; }));
  alice.mqtt.publish("a/x", Bytes(1), false, [](const Status& status) { CHECK(status); });

  REQUIRE(run_until(runtime, [&] { return alice.messages.size() == 1 || !alice.reasons.empty(); }));
  CHECK(alice.reasons.empty());
  CHECK(alice.connected == 1);
  CHECK(bob.connected == 1);
}

TEST_CASE("mqtt: a taken-over session is noticed and comes back") {
  TestBroker broker({.acl = kAcl});
  broker.start();
  io::Runtime runtime;
  Client first(runtime, broker.client("alice"));
  REQUIRE(run_until(runtime, [&] { return first.connected == 1; }));
  Client second(runtime, broker.client("alice"));
  REQUIRE(run_until(runtime, [&] { return !first.reasons.empty() && second.connected == 1; }));
  second.mqtt.stop();
  CHECK(run_until(runtime, [&] { return first.mqtt.status().connected; }));
}

}  // namespace ledgerline::test
