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
  [[nodiscard]] std::string note(uint8_t leaves, uint8_t branch = 0) const {
    LogTree tree;
    for (uint8_t n = 0; n < leaves; ++n) tree.append(Bytes{n, branch});
    const LogOrigin origin{collector->public_key().id().hex(), "ledgerline", 1};
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

  desk.answer(desk.note(8));

  REQUIRE(desk.until([&] { return desk.outgoing.log_sightings()->size == 8; }));
  desk.ask_again();
  CHECK(desk.requests.back().known_size == 8);
  CHECK(desk.requests.back().nonce != desk.requests.front().nonce);
  CHECK(desk.uplink.counters().asked == 2);
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
