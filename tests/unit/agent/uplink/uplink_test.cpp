#include "agent/uplink/uplink.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <map>

#include "tests/support/broker/loop.h"
#include "tests/support/device/memory_outgoing.h"

namespace ledgerline::agent {
namespace {

using test::MemoryOutgoing;
using test::new_signer;
using test::run_until;
using test::TestDevice;

class FixedClock final : public Clock {
 public:
  Timestamp now() override { return Timestamp(1'770'000'000'000); }
  Monotonic monotonic() override { return {ms}; }
  std::atomic<int64_t> ms = 1000;
};

/// A session that keeps what is published and says what the test tells it.
class ScriptedClient final : public io::MqttClient {
 public:
  void start() override { handlers.on_connected(false); }
  void stop() override {}
  void publish(std::string topic, Bytes payload, bool, io::Published done) override {
    if (const auto asks = open_signed(payload, payload_type::kCheckpointRequest)) {
      checkpoint_requests.push_back(*decode_checkpoint_request(asks->body));
    } else if (open_signed(payload, payload_type::kIntroduction)) {
      introductions.push_back(std::move(payload));
    } else if (topic.ends_with("/resume")) {
      resume = *decode_resume(open_signed(payload, payload_type::kResume)->body);
      asked[resume->stream] = *resume;
      ++resumes;
    } else if (topic.ends_with("/batch")) {
      batches.push_back(std::move(payload));
    }
    done(outcome);
  }
  [[nodiscard]] const io::MqttStatus& status() const override { return state; }

  io::MqttHandlers handlers;
  io::MqttStatus state;
  std::optional<Resume> resume;  // the newest
  std::map<StreamId, Resume> asked;
  int resumes = 0;
  std::vector<CheckpointRequest> checkpoint_requests;
  std::vector<Bytes> introductions;
  Status outcome;
  std::vector<Bytes> batches;
};

struct Desk {
  explicit Desk(Duration heartbeat = std::chrono::hours(1), bool shows_grant = false) {
    UplinkOptions options{.tenant = "acme", .device = "one", .heartbeat = heartbeat};
    if (shows_grant) options.grant = signed_grant;
    uplink = std::make_unique<Uplink>(
        runtime, clock, outgoing, *device.signer, collector->public_key(), options,
        [this](const io::MqttOptions&, io::MqttHandlers handlers) {
          auto made = std::make_unique<ScriptedClient>();
          made->handlers = std::move(handlers);
          client = made.get();
          return made;
        },
        [this](const Error& error) { failure = error.code(); });
    uplink->start();
    REQUIRE(until([&] { return client != nullptr && client->resume.has_value(); }));
  }

  [[nodiscard]] Receipt receipt(uint64_t number, BatchNumber upto) const {
    Receipt out;
    out.stream = device.grant.stream;
    out.number = number;
    out.linked_upto = upto;
    out.chain_value = upto == 0 ? device.grant_id : chain[upto - 1].id;
    return out;
  }
  void say(const Receipt& receipt, Signer& signer) const {
    const auto bytes = *sign(payload_type::kReceipt, encode(receipt), signer);
    client->handlers.on_message(
        {device.topic(TopicLeaf::receipt), encode_receipt_set({bytes}), true});
  }
  void answer(Verdict verdict, const Nonce& nonce, Signer& signer, const Receipt& receipt,
              std::optional<Challenge> challenge = {}) const {
    const Answer answer{device.grant.stream,
                        nonce,
                        verdict,
                        *sign(payload_type::kReceipt, encode(receipt), *collector),
                        {},
                        challenge};
    client->handlers.on_message({device.topic(TopicLeaf::answer),
                                 *sign(payload_type::kAnswer, encode(answer), signer), false});
  }
  void answer(Verdict verdict, std::optional<Challenge> challenge = {}) const {
    answer(verdict, client->resume->nonce, *collector, receipt(1, 0), challenge);
  }
  bool until(const std::function<bool()>& condition) { return run_until(runtime, condition); }
  void settle() {
    run_until(
        runtime, [] { return false; }, std::chrono::milliseconds(60));
  }

  TestDevice device{"acme", "one"};
  std::vector<SealedBatch> chain = device.chain(5);
  MemoryOutgoing outgoing{device, chain};
  std::unique_ptr<Signer> collector = new_signer();
  Bytes signed_grant = *sign(payload_type::kGrant, encode(device.grant), *collector);
  FixedClock clock;
  io::Runtime runtime;
  ScriptedClient* client = nullptr;
  std::optional<Errc> failure;  // what the process would end with
  std::unique_ptr<Uplink> uplink;
};

}  // namespace

TEST_CASE("uplink: no batch leaves before the answer, then all of them, byte for byte") {
  Desk desk;
  desk.settle();
  CHECK(desk.client->batches.empty());
  CHECK(desk.client->resume->head_batch == 5);
  CHECK(desk.client->resume->head_id == desk.chain[4].id);

  desk.answer(Verdict::continue_);

  REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
  for (size_t i = 0; i < 5; ++i) CHECK(desk.client->batches[i] == desk.chain[i].bytes);
}

TEST_CASE("uplink: an answer to another nonce, or signed by another key, opens nothing") {
  Desk desk;
  const auto stranger = new_signer();
  desk.answer(Verdict::continue_, Nonce(), *desk.collector, desk.receipt(1, 0));
  desk.answer(Verdict::continue_, desk.client->resume->nonce, *stranger, desk.receipt(1, 0));
  desk.settle();
  CHECK(desk.client->batches.empty());
  CHECK(desk.uplink->status().statements_refused == 1);

  desk.answer(Verdict::rollback, Nonce(), *desk.collector,
              desk.receipt(1, 0));  // a replay stops nothing
  desk.answer(Verdict::continue_);
  REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
}

TEST_CASE("uplink: only a receipt of the pinned key for the own chain trims") {
  Desk desk;
  desk.answer(Verdict::continue_);
  REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
  const auto stranger = new_signer();

  desk.say(desk.receipt(7, 3), *stranger);
  auto other_stream = desk.receipt(8, 3);
  other_stream.stream = StreamId();
  desk.say(other_stream, *desk.collector);
  desk.settle();
  CHECK(desk.outgoing.acked_upto() == 0);

  desk.say(desk.receipt(9, 3), *desk.collector);
  REQUIRE(desk.until([&] { return desk.uplink->status().linked_upto == 3; }));
  CHECK(desk.outgoing.acked_upto() == 3);
  CHECK(desk.uplink->status().in_flight == 2);
}

TEST_CASE("uplink: a collector that holds less gets the rest again, receipt by receipt") {
  Desk desk;
  desk.answer(Verdict::continue_);
  REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
  desk.say(desk.receipt(9, 5), *desk.collector);
  REQUIRE(desk.until([&] { return desk.outgoing.acked_upto() == 5; }));

  desk.client->handlers.on_connected(false);
  REQUIRE(desk.until([&] { return desk.client->resumes == 2; }));
  CHECK(desk.client->resume->receipt_number == 9);
  desk.answer(Verdict::continue_, desk.client->resume->nonce, *desk.collector, desk.receipt(10, 1));
  REQUIRE(desk.until([&] { return desk.client->batches.size() == 9; }));
  desk.say(desk.receipt(11, 3), *desk.collector);

  REQUIRE(desk.until([&] { return desk.uplink->status().linked_upto == 3; }));
  CHECK(desk.uplink->status().in_flight == 2);
  CHECK(desk.outgoing.acked_upto() == 5);
  CHECK(desk.uplink->status().statements_refused == 0);
  desk.say(desk.receipt(13, 5), *desk.collector);
  REQUIRE(desk.until([&] { return desk.uplink->status().in_flight == 0; }));
}

TEST_CASE("uplink: a signed receipt for another history stops everything") {
  Desk desk;
  desk.answer(Verdict::continue_);
  REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
  auto other = desk.receipt(2, 3);
  other.chain_value = desk.chain[0].id;
  desk.say(other, *desk.collector);
  REQUIRE(desk.until([&] { return !desk.uplink->status().alarm.empty(); }));
  // The own batch of that number, once: it proves the fork to the collector.
  REQUIRE(desk.until([&] { return desk.client->batches.size() == 6; }));
  CHECK(desk.client->batches.back() == desk.chain[2].bytes);
  other.number = 3;
  desk.say(other, *desk.collector);
  CHECK(desk.outgoing.acked_upto() == 0);
  CHECK_FALSE(desk.failure);
  desk.client->handlers.on_connected(false);
  desk.settle();
  CHECK(desk.client->resumes == 1);
  CHECK(desk.client->batches.size() == 6);
}

TEST_CASE(
    "uplink: a receipt that the disk does not take ends the process, and blames no one else") {
  for (const auto code : {Errc::full, Errc::internal, Errc::retry}) {
    Desk desk;
    desk.answer(Verdict::continue_);
    REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
    desk.outgoing.break_writes(code);
    desk.say(desk.receipt(2, 3), *desk.collector);
    REQUIRE(desk.until([&] { return desk.failure.has_value(); }));
    CHECK(desk.failure == code);
    CHECK_THAT(desk.uplink->status().alarm, !Catch::Contains("receipt"));
  }
}

TEST_CASE("uplink: a heartbeat that the disk does not take ends the process") {
  Desk desk(Duration(5));
  desk.answer(Verdict::continue_);
  REQUIRE(desk.until([&] { return desk.uplink->status().heartbeats > 0; }));
  desk.outgoing.break_writes(Errc::internal);
  REQUIRE(desk.until([&] { return desk.failure.has_value(); }));
}

TEST_CASE("uplink: a heartbeat that finds no room is left out, and the next one tries again") {
  Desk desk(Duration(5));
  desk.answer(Verdict::continue_);
  REQUIRE(desk.until([&] { return desk.uplink->status().heartbeats > 0; }));
  desk.outgoing.break_writes(Errc::full);
  const uint64_t before = desk.outgoing.refused();
  REQUIRE(desk.until([&] { return desk.outgoing.refused() > before + 1; }));
  CHECK_FALSE(desk.failure);
}

TEST_CASE(
    "uplink: a broker that does not authorise us raises an alarm until the collector answers") {
  Desk desk;
  desk.client->outcome = fail(Errc::config, "0x87");
  desk.client->handlers.on_connected(false);
  REQUIRE(desk.until([&] { return desk.client->resumes == 2; }));
  CHECK_THAT(desk.uplink->status().alarm, Catch::StartsWith("not authorised"));
  desk.client->outcome = {};
  desk.answer(Verdict::continue_);
  REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
  CHECK(desk.uplink->status().alarm.empty());
}

TEST_CASE("uplink: a receipt of a frozen stream says that readings cannot be delivered") {
  Desk desk;
  desk.answer(Verdict::continue_);
  REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
  auto frozen = desk.receipt(2, 3);
  frozen.status = StreamStatus::frozen;
  desk.say(frozen, *desk.collector);
  REQUIRE(desk.until([&] { return desk.uplink->undeliverable(); }));
  CHECK_THAT(desk.uplink->status().alarm, Catch::Contains("cannot be delivered"));
}

TEST_CASE("uplink: an answer with a challenge is followed by a resume that repeats it") {
  Desk desk;
  const Challenge challenge(std::array<uint8_t, Challenge::kSize>{7});
  CHECK_FALSE(desk.client->resume->challenge);

  desk.answer(Verdict::rollback, challenge);
  REQUIRE(desk.until([&] { return desk.client->resumes == 2; }));
  CHECK(desk.client->resume->challenge == challenge);
  CHECK(desk.uplink->status().alarm.empty());
  CHECK_FALSE(desk.uplink->undeliverable());

  desk.answer(Verdict::rollback, challenge);
  REQUIRE(desk.until([&] { return desk.uplink->status().verdict == Verdict::rollback; }));
  desk.settle();
  CHECK(desk.client->resumes == 2);
  CHECK(desk.uplink->undeliverable());
}

TEST_CASE("uplink: a verdict other than continue stops sending and tells the operator what to do") {
  for (const auto verdict :
       {Verdict::unknown_stream, Verdict::rollback, Verdict::stream_frozen, Verdict::key_revoked}) {
    Desk desk;
    desk.answer(verdict);
    REQUIRE(desk.until([&] { return desk.uplink->status().verdict == verdict; }));
    CHECK_FALSE(desk.uplink->status().alarm.empty());
    CHECK(desk.uplink->undeliverable() == (verdict != Verdict::unknown_stream));
    desk.settle();
    CHECK(desk.client->batches.empty());
    // A reconnect asks anew: the operator may have mended it on the other side.
    desk.client->handlers.on_connected(false);
    REQUIRE(desk.until([&] { return desk.client->resumes == 2; }));
    desk.answer(verdict);
    desk.settle();
    CHECK(desk.client->resumes == 2);
    // And so does time, on the connection that there is.
    desk.clock.ms += 15 * 60'000;
    desk.uplink->on_sealed(5);
    REQUIRE(desk.until([&] { return desk.client->resumes == 3; }));
    desk.answer(Verdict::continue_);
    REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
    CHECK(desk.uplink->status().alarm.empty());
    CHECK_FALSE(desk.uplink->undeliverable());
  }
}

TEST_CASE(
    "uplink: to a collector that does not know the stream it shows its grant, and asks again") {
  Desk desk(std::chrono::hours(1), true);
  REQUIRE(desk.until([&] { return desk.client->checkpoint_requests.size() == 1; }));
  desk.clock.ms += 2 * 60'000;
  desk.answer(Verdict::unknown_stream);
  REQUIRE(desk.until([&] { return desk.client->resumes == 2; }));
  REQUIRE(desk.client->introductions.size() == 1);
  REQUIRE(desk.until([&] { return desk.client->checkpoint_requests.size() == 2; }));
  const auto message = open_signed(desk.client->introductions.front(), payload_type::kIntroduction);
  CHECK(verify(*message, desk.device.signer->public_key()));
  const auto introduction = decode_introduction(message->body);
  CHECK(introduction->grant == desk.signed_grant);
  CHECK(introduction->public_key == desk.device.signer->public_key().der());
  CHECK(desk.client->batches.empty());

  SECTION("let in, it sends all that there is") {
    desk.answer(Verdict::continue_);
    REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
  }
  SECTION("not let in, it waits, and shows the grant once more where it is asked later") {
    desk.answer(Verdict::unknown_stream);
    REQUIRE(desk.until([&] { return !desk.uplink->status().alarm.empty(); }));
    desk.settle();
    CHECK(desk.client->introductions.size() == 1);
    CHECK(desk.client->resumes == 2);
    CHECK_FALSE(desk.uplink->undeliverable());
    desk.client->handlers.on_connected(false);
    REQUIRE(desk.until([&] { return desk.client->resumes == 3; }));
    desk.answer(Verdict::unknown_stream);
    REQUIRE(desk.until([&] { return desk.client->introductions.size() == 2; }));
  }
}

TEST_CASE("uplink: a higher receipt for less makes it ask, and an unasked \"unknown\" does") {
  Desk desk;
  desk.answer(Verdict::continue_);
  REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
  desk.say(desk.receipt(9, 5), *desk.collector);
  REQUIRE(desk.until([&] { return desk.uplink->status().linked_upto == 5; }));

  SECTION("a receipt of a store that was put back") {
    desk.say(desk.receipt(10, 2), *desk.collector);
    REQUIRE(desk.until([&] { return desk.client->resumes == 2; }));
    CHECK(desk.client->resume->receipt_number == 9);  // the proof of what was lost
    CHECK(desk.outgoing.acked_upto() == 5);
    desk.answer(Verdict::continue_, desk.client->resume->nonce, *desk.collector,
                desk.receipt(10, 2));
    REQUIRE(desk.until([&] { return desk.client->batches.size() == 8; }));
    CHECK(desk.client->batches.back() == desk.chain[4].bytes);
  }
  SECTION("an answer to a heartbeat, of a store that knows nobody") {
    desk.answer(Verdict::unknown_stream, Nonce(), *desk.collector, desk.receipt(1, 0));
    REQUIRE(desk.until([&] { return desk.client->resumes == 2; }));
    CHECK(desk.uplink->status().alarm.empty());
    desk.answer(Verdict::unknown_stream, Nonce(), *desk.collector, desk.receipt(1, 0));
    desk.settle();
    CHECK(desk.client->resumes == 2);  // it has asked
  }
}

TEST_CASE("uplink: a tombstone stands for what is lost on both sides, between what both have") {
  Desk desk;
  desk.answer(Verdict::continue_);
  REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
  desk.say(desk.receipt(9, 5), *desk.collector);
  REQUIRE(desk.until([&] { return desk.outgoing.acked_upto() == 5; }));
  desk.outgoing.drop_upto(3);

  desk.client->handlers.on_connected(false);
  REQUIRE(desk.until([&] { return desk.client->resumes == 2; }));
  desk.answer(Verdict::continue_, desk.client->resume->nonce, *desk.collector, desk.receipt(10, 1));

  REQUIRE(desk.until([&] { return desk.client->batches.size() == 8; }));
  const auto message = open_signed(desk.client->batches[5], payload_type::kTombstone);
  REQUIRE(message);
  const auto tombstone = decode_tombstone(message->body);
  CHECK(tombstone->first_batch == 2);
  CHECK(tombstone->last_batch == 3);
  CHECK(desk.client->batches[6] == desk.chain[3].bytes);
}

namespace {

/// A device with both streams, over one session.
struct BothStreams {
  BothStreams() {
    uplink = std::make_unique<Uplink>(
        runtime, clock, OutgoingStreams(billing, &diagnostic), *device.signer,
        collector->public_key(),
        UplinkOptions{.tenant = "acme", .device = "one", .heartbeat = std::chrono::hours(1)},
        [this](const io::MqttOptions&, io::MqttHandlers handlers) {
          auto made = std::make_unique<ScriptedClient>();
          made->handlers = std::move(handlers);
          client = made.get();
          return made;
        },
        [](const Error&) {});
    uplink->start();
    REQUIRE(until([&] { return client != nullptr && client->asked.size() == 2; }));
  }

  void answer(const TestDevice& stream, Verdict verdict) const {
    Receipt receipt{.stream = stream.grant.stream, .number = 1, .chain_value = stream.grant_id};
    const Answer answer{stream.grant.stream,
                        client->asked.at(stream.grant.stream).nonce,
                        verdict,
                        *sign(payload_type::kReceipt, encode(receipt), *collector),
                        {}};
    client->handlers.on_message({device.topic(TopicLeaf::answer),
                                 *sign(payload_type::kAnswer, encode(answer), *collector), false});
  }
  void receive(const TestDevice& stream, BatchNumber upto, const BatchId& id) const {
    Receipt receipt{
        .stream = stream.grant.stream, .number = 2, .linked_upto = upto, .chain_value = id};
    const auto bytes = *sign(payload_type::kReceipt, encode(receipt), *collector);
    client->handlers.on_message(
        {device.topic(TopicLeaf::receipt), encode_receipt_set({bytes}), true});
  }
  bool until(const std::function<bool()>& condition) { return run_until(runtime, condition); }

  TestDevice device{"acme", "one"};
  TestDevice other{"acme", "one", StreamClass::diagnostic};  // the same device's second stream
  std::vector<SealedBatch> chain = device.chain(5);
  std::vector<SealedBatch> other_chain = other.chain(9);
  MemoryOutgoing billing{device, chain};
  MemoryOutgoing diagnostic{other, other_chain};
  std::unique_ptr<Signer> collector = new_signer();
  FixedClock clock;
  io::Runtime runtime;
  ScriptedClient* client = nullptr;
  std::unique_ptr<Uplink> uplink;
};

}  // namespace

TEST_CASE("uplink: a diagnostic stream that has ended leaves billing as it is") {
  BothStreams desk;
  desk.answer(desk.other, Verdict::stream_frozen);
  desk.answer(desk.device, Verdict::continue_);

  REQUIRE(desk.until([&] { return desk.client->batches.size() == 5; }));
  CHECK(desk.uplink->undeliverable(StreamClass::diagnostic));
  CHECK_FALSE(desk.uplink->undeliverable());
  CHECK(desk.uplink->status().alarm.empty());
  CHECK_FALSE(desk.uplink->status(StreamClass::diagnostic).alarm.empty());
  desk.receive(desk.device, 5, desk.chain[4].id);
  REQUIRE(desk.until([&] { return desk.billing.acked_upto() == 5; }));
  CHECK(desk.diagnostic.acked_upto() == 0);
}

TEST_CASE("uplink: a tombstone is signed and sent, and its receipt lets the rest follow") {
  BothStreams desk;
  desk.diagnostic.drop_upto(7);
  desk.answer(desk.other, Verdict::continue_);

  REQUIRE(desk.until([&] { return desk.client->batches.size() == 3; }));
  const auto message = open_signed(desk.client->batches[0], payload_type::kTombstone);
  REQUIRE(message);
  CHECK(verify(*message, desk.device.signer->public_key()));
  const auto tombstone = decode_tombstone(message->body);
  CHECK(tombstone->first_batch == 1);
  CHECK(tombstone->last_id == desk.other_chain[6].id);
  CHECK(desk.client->batches[1] == desk.other_chain[7].bytes);
  CHECK(desk.client->batches[2] == desk.other_chain[8].bytes);
  CHECK(desk.uplink->status(StreamClass::diagnostic).tombstones_sent == 1);
  desk.receive(desk.other, 7, desk.other_chain[6].id);
  REQUIRE(desk.until([&] { return desk.diagnostic.acked_upto() == 7; }));
  CHECK(desk.billing.acked_upto() == 0);
}

TEST_CASE("uplink: checkpoints are asked for at the connect, and taken from the pinned key only") {
  Desk desk;
  REQUIRE(desk.until([&] { return desk.client->checkpoint_requests.size() == 1; }));
  const auto stranger = new_signer();
  const LogOrigin origin{desk.collector->public_key().id().hex(), "ledgerline", 1};
  const CheckpointAnswer answer{
      desk.device.grant.stream,
      desk.client->checkpoint_requests.front().nonce,
      *sign_checkpoint({to_string(origin), 0, empty_root()}, *desk.collector),
      {}};
  const auto say = [&](Signer& signer) {
    const Bytes bytes = *sign(payload_type::kCheckpointAnswer, encode(answer), signer);
    desk.client->handlers.on_message({desk.device.topic(TopicLeaf::answer), bytes, false});
  };

  say(*stranger);
  CHECK(desk.uplink->status().statements_refused == 1);
  CHECK(desk.uplink->status().checkpoints.verified == 0);
  say(*desk.collector);

  CHECK(desk.uplink->status().checkpoints.verified == 1);
  REQUIRE(desk.until([&] { return desk.outgoing.log_sightings()->newest == answer.note; }));
  CHECK(desk.client->checkpoint_requests.size() == 1);
}

}  // namespace ledgerline::agent
