#include "agent/uplink/checkpoint_uplink.h"

#include <atomic>
#include <catch2/catch.hpp>

#include "tests/support/broker/loop.h"
#include "tests/support/device/memory_outgoing.h"

namespace ledgerline::agent {
namespace {

using test::MemoryOutgoing;
using test::TestDevice;

class FixedClock final : public Clock {
 public:
  Timestamp now() override { return Timestamp(1'770'000'000'000); }
  Monotonic monotonic() override { return {ms}; }
  std::atomic<int64_t> ms = 1000;
};

struct Desk {
  Desk() {
    uplink.begin(device.grant.stream);
    uplink.on_connected();
    REQUIRE(until([&] { return !requests.empty(); }));
  }
  [[nodiscard]] std::string note(uint8_t leaves, uint8_t branch = 0, uint32_t epoch = 1) const {
    LogTree tree;
    for (uint8_t n = 0; n < leaves; ++n) tree.append(Bytes{n, branch});
    const LogOrigin origin{collector->public_key().id().hex(), "ledgerline", epoch};
    return *sign_checkpoint({to_string(origin), tree.size(), tree.root()}, *collector);
  }
  void answer(const std::string& text, std::optional<Nonce> nonce = std::nullopt) {
    uplink.on_answer({device.grant.stream, nonce.value_or(requests.back().nonce), text, {}});
  }
  bool until(const std::function<bool()>& condition) { return test::run_until(runtime, condition); }
  void ask_again() {
    const size_t before = requests.size();
    uplink.on_disconnected();
    clock.ms += 100'000;
    uplink.on_connected();
    REQUIRE(until([&] { return requests.size() == before + 1; }));
  }

  TestDevice device{"acme", "one"};
  MemoryOutgoing outgoing{device, {}};
  std::unique_ptr<Signer> collector = test::new_signer();
  FixedClock clock;
  io::Runtime runtime;
  std::vector<CheckpointRequest> requests;
  std::optional<Errc> failure;
  CheckpointUplink uplink{runtime,
                          clock,
                          outgoing,
                          *device.signer,
                          collector->public_key(),
                          [this](TopicLeaf leaf, Bytes payload, const io::Published& done) {
                            REQUIRE(leaf == TopicLeaf::resume);
                            const auto message =
                                open_signed(payload, payload_type::kCheckpointRequest);
                            REQUIRE(verify(*message, device.signer->public_key()));
                            requests.push_back(*decode_checkpoint_request(message->body));
                            done({});
                          },
                          [this](const Error& error) { failure = error.code(); }};
};

}  // namespace

TEST_CASE("checkpoints: what the collector shows is kept and named in the next question") {
  Desk desk;
  CHECK(desk.requests.front().stream == desk.device.grant.stream);
  CHECK(desk.requests.front().known_size == 0);
  CHECK(desk.requests.front().known.empty());

  desk.answer(desk.note(8));

  REQUIRE(desk.until([&] { return desk.outgoing.log_sightings()->size == 8; }));
  desk.ask_again();
  CHECK(desk.requests.back().known_size == 8);
  CHECK(desk.requests.back().known == desk.note(8));
  CHECK(desk.requests.back().nonce != desk.requests.front().nonce);
  CHECK(desk.uplink.counters().asked == 2);
  CHECK(desk.uplink.counters().verified == 1);
}

TEST_CASE("checkpoints: a collector that did not know the stream is asked again") {
  Desk desk;
  desk.clock.ms += 100'000;

  desk.uplink.on_unknown();

  REQUIRE(desk.until([&] { return desk.requests.size() == 2; }));
  desk.answer(desk.note(8));
  CHECK(desk.uplink.counters().verified == 1);
}

TEST_CASE("checkpoints: a log that is another one is kept as a contradiction") {
  Desk desk;
  desk.answer(desk.note(8));
  REQUIRE(desk.until([&] { return desk.outgoing.log_sightings()->size == 8; }));
  desk.ask_again();

  desk.answer(desk.note(8, 1));

  REQUIRE(desk.until([&] { return desk.outgoing.log_sightings()->keep_evidence(); }));
  CHECK(desk.outgoing.log_sightings()->conflict->held == desk.note(8));
  CHECK(desk.outgoing.log_sightings()->conflict->shown == desk.note(8, 1));
  CHECK(desk.uplink.counters().conflicts == 1);
}

TEST_CASE("checkpoints: a later epoch ends the hold, and the note that was held stays") {
  Desk desk;
  desk.answer(desk.note(8));
  REQUIRE(desk.until([&] { return desk.outgoing.log_sightings()->size == 8; }));
  desk.ask_again();
  desk.answer(desk.note(5, 1));
  REQUIRE(desk.until([&] { return desk.outgoing.log_sightings()->keep_evidence(); }));

  desk.ask_again();
  CHECK(desk.requests.back().known == desk.note(8));  // what the collector has to account for
  desk.answer(desk.note(6, 1, 2));

  REQUIRE(desk.until([&] { return !desk.outgoing.log_sightings()->keep_evidence(); }));
  const LogSightings held = *desk.outgoing.log_sightings();
  CHECK(held.newest == desk.note(6, 1, 2));
  CHECK(held.earlier == std::vector<std::string>{desk.note(8)});
  CHECK(held.conflict->shown == desk.note(5, 1));  // still the proof of what was
}

TEST_CASE("checkpoints: an answer to no question, or a second one, changes nothing") {
  Desk desk;
  desk.answer(desk.note(8), Nonce());
  CHECK(desk.uplink.counters().verified == 0);
  desk.answer(desk.note(8));
  desk.answer(desk.note(7));
  CHECK(desk.uplink.counters().verified == 1);
  CHECK(desk.uplink.counters().conflicts == 0);
  desk.ask_again();
  desk.answer("nonsense");
  CHECK(desk.uplink.counters().refused == 1);
}

TEST_CASE("checkpoints: a journal that cannot keep one ends the process, a full one does not") {
  Desk desk;
  desk.outgoing.break_writes(Errc::full);
  desk.answer(desk.note(8));
  desk.ask_again();
  CHECK_FALSE(desk.failure);
  desk.outgoing.break_writes(Errc::internal);
  desk.answer(desk.note(8));
  REQUIRE(desk.until([&] { return desk.failure.has_value(); }));
}

}  // namespace ledgerline::agent
