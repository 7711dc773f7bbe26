// The real uplink and the real intake with a broker between them that loses, doubles, reorders,
// damages, replays and lies.
#include <catch2/catch.hpp>

#include "agent/uplink/uplink.h"
#include "collector/intake/intake.h"
#include "collector/store/memory_store.h"
#include "common/io/system.h"
#include "tests/support/broker/loop.h"
#include "tests/support/chaos/chaos_broker.h"
#include "tests/support/device/memory_outgoing.h"

namespace ledgerline::test {

TEST_CASE("chaos: whatever the broker does, every batch is in the log once, in order") {
  struct Case {
    const char* what;
    Chaos chaos;
  };
  const std::vector<Case> cases = {
      {"an honest broker", {}},
      {"it loses", {.lose = 100}},
      {"it doubles and replays", {.twice = 200, .replay = 200}},
      {"it reorders", {.reorder = 300}},
      {"it damages", {.damage = 100}},
      {"it refuses and breaks connections", {.refuse = 50, .disconnect = 10}},
      {"all of it",
       {.lose = 50,
        .twice = 100,
        .reorder = 100,
        .damage = 30,
        .replay = 100,
        .refuse = 20,
        .disconnect = 5}},
  };
  for (uint32_t seed = 1; seed <= cases.size(); ++seed) {
    const auto& test = cases[seed - 1];
    INFO(test.what << ", seed " << seed);
    io::SystemClock clock;
    const auto collector_signer = new_signer();
    const auto store = collector::make_memory_store();
    const TestDevice device("acme", "one");
    const auto& key = device.signer->public_key();
    collector::DeviceEnrolment enrolment{.tenant = "acme", .device = "one"};
    enrolment.key = {key.algorithm(), key.id(), key.der(), Timestamp(1), std::nullopt, {}};
    enrolment.streams = {{device.grant,
                          *sign(payload_type::kGrant, encode(device.grant), *collector_signer),
                          device.grant_id}};
    REQUIRE(store->put_device(enrolment));
    const auto chain = device.chain(300);
    MemoryOutgoing outgoing(device, chain);
    io::Runtime runtime;
    ChaosBroker broker(runtime, seed, test.chaos);
    collector::Intake intake(runtime, clock, *store, *collector_signer, {}, broker.factory(), {});
    agent::UplinkOptions options{.tenant = "acme", .device = "one", .heartbeat = Duration(20)};
    options.limits.receipt = {Duration(30), Duration(200)};
    options.limits.answer = {Duration(30), Duration(200)};
    options.limits.refusal = {Duration(5), Duration(50)};
    agent::Uplink uplink(runtime, clock, outgoing, *device.signer, collector_signer->public_key(),
                         options, broker.factory(), [](const Error& error) { FAIL(error.text()); });
    intake.start();
    uplink.start();

    REQUIRE(run_until(
        runtime, [&] { return outgoing.acked_upto() == chain.size(); }, std::chrono::seconds(60)));

    const auto log = store->read_log(0, {.count = 1000, .bytes = 64 << 20});
    REQUIRE(log->size() == chain.size());
    for (size_t i = 0; i < chain.size(); ++i) REQUIRE((*log)[i].sealed == chain[i].bytes);
    CHECK(uplink.status().alarm.empty());
    CHECK(store->stream(device.grant.stream)->status == StreamStatus::open);
    CHECK(intake.status().queue_dropped == 0);
  }
}

}  // namespace ledgerline::test
