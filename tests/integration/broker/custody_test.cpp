// What the collector does with each kind of batch that reliability.md names, over a real broker
// with TLS, client certificates and the access list that the collector writes.
#include <catch2/catch.hpp>

#include "agent/uplink/uplink.h"
#include "collector/core/enrolling.h"
#include "collector/intake/intake.h"
#include "collector/store/memory_store.h"
#include "common/io/system.h"
#include "tests/support/broker/loop.h"
#include "tests/support/broker/test_broker.h"
#include "tests/support/device/memory_outgoing.h"
#include "tests/support/device/test_device.h"

namespace ledgerline::test {
namespace {

using collector::Refusal;

/// A client that says whatever the test wants under one identity, and reads receipts and answers.
struct RawClient {
  RawClient(io::Runtime& runtime, io::MqttOptions options)
      : mqtt(runtime, std::move(options),
             {[this](bool) { connected = true; }, [](const std::string&) {},
              [this](io::MqttMessage message) { messages.push_back(std::move(message)); }}) {
    mqtt.start();
  }
  bool connected = false;
  std::vector<io::MqttMessage> messages;
  io::Mqtt mqtt;
};

struct Rig {
  Rig() : broker({.acl = "user nobody\n"}), one("acme", "one"), two("acme", "two") {
    for (const TestDevice* device : {&one, &two}) enrol(*device);
    const auto devices = store->list_devices({});
    REQUIRE(devices);
    // Somebody who got round the access list: the collector must hold without it.
    broker.set_acl(collector::access_list(*devices, clock.now()) +
                   "\nuser intruder\ntopic readwrite ledgerline/#\n");
    broker.start();
    start_collector();
    first = client(one);
    intruder = std::make_unique<RawClient>(runtime, broker.client("intruder"));
    REQUIRE(run_until(runtime, [&] {
      return intake->status().connected && first->connected && intruder->connected;
    }));
  }

  void enrol(const TestDevice& device) {
    const Bytes body = encode(device.grant);
    auto signed_grant = sign(payload_type::kGrant, body, *collector_signer);
    REQUIRE(signed_grant);
    const auto& key = device.signer->public_key();
    collector::DeviceEnrolment enrolment{.tenant = device.grant.tenant,
                                         .device = device.grant.device};
    enrolment.key = {key.algorithm(), key.id(), key.der(), clock.now(), std::nullopt, {}};
    enrolment.streams = {{device.grant, *signed_grant, device.grant_id}};
    enrolment.at = clock.now();
    REQUIRE(store->put_device(enrolment));
  }

  void start_collector() {
    intake = std::make_unique<collector::Intake>(
        runtime, clock, *store, *collector_signer,
        collector::IntakeOptions{.broker = broker.client(collector::kCollectorIdentity)},
        io::mqtt_factory(runtime), [this](LeafNumber) { ++linked_calls; });
    intake->start();
  }

  std::unique_ptr<RawClient> client(const TestDevice& device) {
    auto options = broker.client(device.grant.tenant + "." + device.grant.device);
    options.subscriptions = {device.topic(TopicLeaf::receipt), device.topic(TopicLeaf::answer)};
    return std::make_unique<RawClient>(runtime, options);
  }

  void send(const Bytes& sealed) { send(*first, one.topic(TopicLeaf::batch), sealed); }
  void send(RawClient& from, const std::string& topic, const Bytes& payload) {
    from.mqtt.publish(topic, payload, false, [](const Status& sent) { CHECK(sent); });
  }

  bool until(const std::function<bool()>& condition) { return run_until(runtime, condition); }
  collector::CustodyCounters counters() { return intake->status().custody; }
  uint64_t refused(Refusal refusal) { return counters().refused[static_cast<size_t>(refusal)]; }
  uint64_t log_size() { return store->log_head()->size; }
  collector::StreamRow row() { return *store->stream(one.grant.stream); }

  /// The newest receipt that the device has got, verified.
  std::optional<Receipt> receipt() {
    std::optional<Receipt> newest;
    for (const auto& message : first->messages) {
      if (message.topic != one.topic(TopicLeaf::receipt)) continue;
      const auto set = decode_receipt_set(message.payload);
      REQUIRE(set);
      for (const auto& bytes : *set) {
        const auto opened = open_signed(bytes, payload_type::kReceipt);
        REQUIRE(opened);
        REQUIRE(verify(*opened, collector_signer->public_key()));
        newest = *decode_receipt(opened->body);
      }
    }
    return newest;
  }

  std::optional<Answer> ask(const Resume& resume) {
    send(*first, one.topic(TopicLeaf::resume), one.resume(resume));
    std::optional<Answer> found;
    REQUIRE(until([&] {
      for (const auto& message : first->messages) {
        if (message.topic != one.topic(TopicLeaf::answer)) continue;
        const auto opened = open_signed(message.payload, payload_type::kAnswer);
        REQUIRE(opened);
        REQUIRE(verify(*opened, collector_signer->public_key()));
        const auto answer = decode_answer(opened->body);
        if (answer && answer->nonce == resume.nonce) found = *answer;
      }
      return found.has_value();
    }));
    return found;
  }

  Nonce nonce() {
    std::array<uint8_t, 16> bytes{};
    random_bytes(bytes);
    return Nonce(bytes);
  }

  io::SystemClock clock;
  std::unique_ptr<Signer> collector_signer = new_signer();
  std::unique_ptr<collector::Store> store = collector::make_memory_store();
  TestBroker broker;
  TestDevice one;
  TestDevice two;
  int linked_calls = 0;
  io::Runtime runtime;
  std::unique_ptr<collector::Intake> intake;
  std::unique_ptr<RawClient> first;
  std::unique_ptr<RawClient> intruder;
};

}  // namespace

TEST_CASE("broker: out-of-order batches are linked in the order of their numbers") {
  Rig rig;
  const auto chain = rig.one.chain(3);

  for (const size_t i : {2, 0, 1}) rig.send(chain[i].bytes);

  REQUIRE(rig.until([&] { return rig.receipt() && rig.receipt()->linked_upto == 3; }));
  CHECK(rig.receipt()->chain_value == chain[2].id);
  CHECK(rig.receipt()->parked.empty());
  const auto log = rig.store->read_log(0);
  REQUIRE(log->size() == 3);
  for (size_t i = 0; i < 3; ++i) CHECK((*log)[i].sealed == chain[i].bytes);
  CHECK(rig.linked_calls > 0);
}

TEST_CASE(
    "broker: a batch ahead of its predecessor is parked, named in the receipt, linked when the gap "
    "is filled") {
  Rig rig;
  const auto chain = rig.one.chain(4);

  rig.send(chain[1].bytes);
  rig.send(chain[3].bytes);

  REQUIRE(rig.until([&] { return rig.receipt() && rig.receipt()->parked.size() == 2; }));
  CHECK(rig.receipt()->linked_upto == 0);
  CHECK(rig.receipt()->chain_value == rig.one.grant_id);
  CHECK(rig.receipt()->parked == std::vector<BatchNumber>{2, 4});
  CHECK(rig.log_size() == 0);

  rig.send(chain[0].bytes);
  REQUIRE(rig.until([&] { return rig.receipt()->linked_upto == 2; }));
  CHECK(rig.receipt()->parked == std::vector<BatchNumber>{4});
  rig.send(chain[2].bytes);
  REQUIRE(rig.until([&] { return rig.receipt()->linked_upto == 4; }));
  CHECK(rig.log_size() == 4);
}

TEST_CASE("broker: a duplicate changes nothing and gets its receipt again") {
  Rig rig;
  const auto chain = rig.one.chain(1);
  rig.send(chain[0].bytes);
  REQUIRE(rig.until([&] { return rig.receipt() && rig.receipt()->linked_upto == 1; }));
  const auto receipts_before = rig.first->messages.size();
  const auto number = rig.receipt()->number;

  rig.send(chain[0].bytes);

  REQUIRE(rig.until([&] { return rig.first->messages.size() > receipts_before; }));
  CHECK(rig.counters().duplicates == 1);
  CHECK(rig.receipt()->number == number);
  CHECK(rig.log_size() == 1);
}

TEST_CASE("broker: a fork freezes the stream, keeps both branches and opens an exception") {
  Rig rig;
  const auto chain = rig.one.chain(3);
  const auto other = rig.one.seal_batch(2, chain[0].id, 7);
  rig.send(chain[0].bytes);
  rig.send(chain[1].bytes);
  REQUIRE(rig.until([&] { return rig.receipt() && rig.receipt()->linked_upto == 2; }));

  rig.send(other.bytes);

  REQUIRE(rig.until([&] { return rig.receipt()->status == StreamStatus::frozen; }));
  CHECK(rig.row().status == StreamStatus::frozen);
  REQUIRE(rig.store->forks(rig.one.grant.stream)->size() == 1);
  CHECK(rig.store->forks(rig.one.grant.stream)->front().sealed == other.bytes);
  const auto exceptions = rig.store->list_exceptions({.kind = "fork"});
  REQUIRE(exceptions->size() == 1);
  CHECK_THAT(exceptions->front().detail, Catch::Contains("agree up to batch 1"));

  rig.send(chain[2].bytes);
  REQUIRE(rig.until([&] { return rig.counters().kept_frozen == 1; }));
  CHECK(rig.log_size() == 2);
  CHECK(rig.store->forks(rig.one.grant.stream)->size() == 2);
  const auto answer = rig.ask({rig.one.grant.stream, rig.nonce(), 3, chain[2].id, 2, 2});
  CHECK(answer->verdict == Verdict::stream_frozen);
}

TEST_CASE("broker: forged batches go to quarantine without a receipt") {
  Rig rig;
  const auto chain = rig.one.chain(1);
  TestDevice thief("acme", "one");  // the same name and stream, another key
  thief.grant.stream = rig.one.grant.stream;

  rig.send(with_wrong_signature(chain[0].bytes));
  rig.send(with_wrong_section(chain[0].bytes));
  rig.send(thief.seal_batch(1, rig.one.grant_id).bytes);
  rig.send(Bytes(1000, 7));
  rig.send(Bytes(70 * 1024, 7));

  REQUIRE(rig.until([&] {
    return rig.refused(Refusal::bad_signature) == 2 && rig.refused(Refusal::wrong_key) == 1 &&
           rig.refused(Refusal::not_readable) == 1 && rig.refused(Refusal::too_large) == 1;
  }));
  const auto kept = rig.store->list_quarantine("acme", "one");
  REQUIRE(kept->size() == 5);
  CHECK(kept->front().reason == "bad signature");
  CHECK(kept->front().bytes == with_wrong_signature(chain[0].bytes));
  CHECK(rig.log_size() == 0);
  CHECK_FALSE(rig.receipt());

  rig.send(chain[0].bytes);  // and the honest one still counts
  REQUIRE(rig.until([&] { return rig.receipt() && rig.receipt()->linked_upto == 1; }));
}

TEST_CASE("broker: a thousand replayed old batches change nothing") {
  Rig rig;
  const auto chain = rig.one.chain(1000);
  for (const auto& batch : chain) rig.send(batch.bytes);
  REQUIRE(rig.until([&] { return rig.receipt() && rig.receipt()->linked_upto == 1000; }));
  const auto revision = rig.row().revision;

  for (const auto& batch : chain)
    rig.send(*rig.intruder, rig.one.topic(TopicLeaf::batch), batch.bytes);

  REQUIRE(rig.until([&] { return rig.counters().duplicates == 1000; }));
  CHECK(rig.log_size() == 1000);
  CHECK(rig.row().revision == revision);
  CHECK(rig.receipt()->linked_upto == 1000);
  CHECK(rig.intake->status().queue_dropped == 0);
}

TEST_CASE(
    "broker: a batch on another device's topic is refused by the broker, and by the collector "
    "behind it") {
  Rig rig;
  const auto chain = rig.one.chain(1);
  std::optional<Status> sent;

  rig.first->mqtt.publish(rig.two.topic(TopicLeaf::batch), chain[0].bytes, false,
                          [&](const Status& status) { sent = status; });

  REQUIRE(rig.until([&] { return sent.has_value(); }));
  REQUIRE_FALSE(*sent);
  CHECK(sent->error().code() == Errc::config);
  CHECK(sent->error().fields().at(0).second == "0x87");

  rig.send(*rig.intruder, rig.two.topic(TopicLeaf::batch), chain[0].bytes);
  rig.send(*rig.intruder, "ledgerline/v1/acme/zz/one/batch", chain[0].bytes);
  REQUIRE(rig.until([&] {
    return rig.refused(Refusal::foreign_topic) == 1 && rig.refused(Refusal::bad_topic) == 1;
  }));
  CHECK(rig.store->list_quarantine("acme", "two")->front().reason == "foreign topic");
  CHECK(rig.log_size() == 0);
}

TEST_CASE("broker: a revoked key ends with the next batch") {
  Rig rig;
  const auto chain = rig.one.chain(2);
  rig.send(chain[0].bytes);
  REQUIRE(rig.until([&] { return rig.receipt() && rig.receipt()->linked_upto == 1; }));

  REQUIRE(rig.store->revoke_key("acme", "one", rig.one.grant.key, rig.clock.now(), "stolen"));
  rig.send(chain[1].bytes);

  REQUIRE(rig.until([&] { return rig.refused(Refusal::revoked_key) == 1; }));
  CHECK(rig.store->list_quarantine("acme", "one")->front().reason == "revoked key");
  CHECK(rig.log_size() == 1);
  const auto answer = rig.ask({rig.one.grant.stream, rig.nonce(), 2, chain[1].id, 1, 1});
  CHECK(answer->verdict == Verdict::key_revoked);
  CHECK(answer->detail == "stolen");

  // The access list written next leaves the device out: its live session may publish no more.
  rig.broker.set_acl(
      collector::access_list(*rig.store->list_devices({}), rig.clock.now() + Duration(1)));
  std::optional<Status> sent;
  REQUIRE(rig.until([&] {
    rig.first->mqtt.publish(rig.one.topic(TopicLeaf::batch), chain[1].bytes, false,
                            [&](const Status& status) { sent = status; });
    return sent && !*sent;
  }));
}

TEST_CASE(
    "broker: a resume is answered with what the collector holds; an old one replayed does no "
    "harm") {
  Rig rig;
  const auto chain = rig.one.chain(3);
  auto answer = rig.ask({rig.one.grant.stream, rig.nonce(), 3, chain[2].id, 0, 0});
  CHECK(answer->verdict == Verdict::continue_);
  CHECK_FALSE(answer->receipt.empty());
  for (const auto& batch : chain) rig.send(batch.bytes);
  REQUIRE(rig.until([&] { return rig.receipt() && rig.receipt()->linked_upto == 3; }));

  answer = rig.ask({rig.one.grant.stream, rig.nonce(), 2, chain[1].id, 2, 1});
  CHECK(answer->verdict == Verdict::rollback);
  answer = rig.ask({rig.one.grant.stream, rig.nonce(), 3, chain[1].id, 2, 1});
  CHECK(answer->verdict == Verdict::rollback);
  CHECK(rig.row().status == StreamStatus::open);
  answer = rig.ask({rig.one.grant.stream, rig.nonce(), 3, chain[2].id, 0, 0});
  CHECK(answer->verdict == Verdict::continue_);
  answer = rig.ask({rig.two.grant.stream, rig.nonce(), 0, rig.two.grant_id, 0, 0});
  CHECK(answer->verdict == Verdict::unknown_stream);
}

TEST_CASE("broker: heartbeats are kept where they are newer") {
  Rig rig;
  for (const uint64_t number : {2, 1, 3, 3}) {
    rig.send(*rig.first, rig.one.topic(TopicLeaf::heartbeat), rig.one.heartbeat(number, 1));
  }
  rig.send(*rig.first, rig.one.topic(TopicLeaf::heartbeat), rig.two.heartbeat(9, 1));
  REQUIRE(rig.until([&] {
    return rig.counters().heartbeats == 2 && rig.counters().heartbeats_stale == 2 &&
           rig.refused(Refusal::foreign_topic) == 1;
  }));
  CHECK(rig.row().heartbeats.newest.number == 3);
}

TEST_CASE(
    "broker: an uplink brings every batch home through killed brokers and a restarted collector") {
  Rig rig;
  rig.first.reset();
  MemoryOutgoing outgoing(rig.one, rig.one.chain(600));
  agent::UplinkOptions options{
      .tenant = "acme", .device = "one", .broker = rig.broker.client("acme.one")};
  options.heartbeat = Duration(50);
  options.limits.receipt = {Duration(300), Duration(1000)};
  options.limits.answer = {Duration(300), Duration(1000)};
  options.limits.refusal = {Duration(20), Duration(100)};
  agent::Uplink uplink(rig.runtime, rig.clock, outgoing, *rig.one.signer,
                       rig.collector_signer->public_key(), options, io::mqtt_factory(rig.runtime),
                       [](const Error& error) { FAIL(error.text()); });
  uplink.start();

  REQUIRE(rig.until([&] { return outgoing.acked_upto() >= 100; }));
  rig.broker.kill();  // with all it held: it persists nothing
  rig.broker.start();
  REQUIRE(rig.until([&] { return outgoing.acked_upto() >= 300; }));
  rig.intake.reset();
  run_until(
      rig.runtime, [] { return false; }, std::chrono::milliseconds(200));
  rig.start_collector();
  REQUIRE(rig.until([&] { return outgoing.acked_upto() == 600; }));

  CHECK(rig.log_size() == 600);
  // The journal has forgotten them a moment before the uplink hears of it.
  REQUIRE(rig.until([&] { return uplink.status().in_flight == 0; }));
  CHECK(uplink.status().alarm.empty());
  CHECK(uplink.status().connects >= 2);
  REQUIRE(rig.until([&] { return rig.counters().heartbeats > 0; }));

  outgoing.roll_back(400);
  rig.broker.kill();
  rig.broker.start();
  REQUIRE(rig.until([&] { return uplink.status().verdict == Verdict::rollback; }));
  CHECK_THAT(uplink.status().alarm, Catch::Contains("rolled back"));
}

}  // namespace ledgerline::test
