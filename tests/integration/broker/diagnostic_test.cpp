// Both streams of one device, from its journals to the fold: whatever the diagnostic journal gave
// up is counted by the collector, exactly, and billing is complete.
#include <catch2/catch.hpp>
#include <future>

#include "agent/core/recorder_by_class.h"
#include "agent/journal/group_commit.h"
#include "agent/uplink/uplink.h"
#include "collector/core/enrolling.h"
#include "collector/fold/folder.h"
#include "collector/intake/intake.h"
#include "collector/store/memory_store.h"
#include "common/io/system.h"
#include "tests/support/broker/loop.h"
#include "tests/support/broker/test_broker.h"
#include "tests/support/chaos/chaos_broker.h"
#include "tests/support/device/test_device.h"

namespace ledgerline::test {
namespace {

using agent::Journal;
using agent::JournalStatus;

/// One stream's journal and what records into it.
struct Stream {
  explicit Stream(StreamClass stream_class) : grant_of("acme", "one", stream_class) {}

  TestDevice grant_of;
  std::unique_ptr<Journal> journal;
  std::unique_ptr<agent::GroupCommit> commit;
};

/// A device with a diagnostic journal of 1 MiB, and a collector.
struct Rig {
  Rig() {
    const auto& key = signer().public_key();
    collector::DeviceEnrolment enrolment{.tenant = "acme", .device = "one"};
    enrolment.key = {key.algorithm(), key.id(), key.der(), clock.now(), std::nullopt, {}};
    for (Stream* each : {&billing, &diagnostic}) {
      StreamGrant& grant = each->grant_of.grant;
      grant.key = key.id();
      enrolment.streams.push_back({grant,
                                   *sign(payload_type::kGrant, encode(grant), *collector_signer),
                                   ledgerline::grant_id(encode(grant))});
    }
    REQUIRE(store->put_device(enrolment));
    start();
  }

  /// What works on the context goes before it, the journals after the storage thread.
  ~Rig() {
    uplink.reset();
    intake.reset();
    recorder.reset();
    for (Stream* each : {&billing, &diagnostic}) each->commit.reset();
  }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  [[nodiscard]] Signer& signer() const { return *billing.grant_of.signer; }

  void start() {
    open(billing, "/journal", {.name = "calls", .unit = "1"});
    open(diagnostic, "/journal-diagnostic", {.name = "noise", .unit = "1"});
    recorder = std::make_unique<agent::RecorderByClass>(
        agent::RecorderByClass::Ports{.billing = *billing.commit,
                                      .diagnostic = *diagnostic.commit,
                                      .diagnostic_beside_billing = *diagnostic.commit});
  }

  void open(Stream& stream, const std::string& name, const MeterRow& meter) {
    agent::JournalOptions options{.folder = folder.path() + name};
    options.retention.quota_bytes = &stream == &billing ? 64 << 20 : 1 << 20;
    options.retention.reserve_bytes = &stream == &billing ? 8 << 20 : 512 << 10;
    options.batch.age_max = Duration(20);
    stream.commit.reset();
    stream.journal.reset();
    auto opened = Journal::open(options, clock);
    REQUIRE(opened);
    stream.journal = std::move(*opened);
    const StreamGrant& grant = stream.grant_of.grant;
    REQUIRE(stream.journal->install_grant(grant, encode(grant)));
    std::array<uint8_t, BootId::kSize> boot{};
    random_bytes(boot);
    REQUIRE(stream.journal->begin_boot(
        {.boot_id = BootId(boot),
         .software = "test",
         .configuration_hash = {},
         .meters = {meter},
         .clocks = {.monotonic = clock.monotonic(), .wall = clock.now()}}));
    stream.commit = std::make_unique<agent::GroupCommit>(
        runtime, clock, *stream.journal, signer(), agent::GroupCommitOptions{},
        [](const Error& error) { FAIL(error.text()); });
  }

  /// The process ends, and a new one opens what is durable.
  void restart_agent() {
    for (Stream* each : {&billing, &diagnostic}) each->commit.reset();
    uplink.reset();
    status(StreamClass::billing);  // behind what the storage thread has under way
    start();
  }

  void start_chaos(uint32_t seed, const Chaos& what) {
    chaos = std::make_unique<ChaosBroker>(runtime, seed, what);
    start_collector(chaos->factory(), {});
    start_uplink(chaos->factory(), {});
  }

  void start_collector(const io::MqttFactory& factory, const io::MqttOptions& broker) {
    intake = std::make_unique<collector::Intake>(runtime, clock, *store, *collector_signer,
                                                 collector::IntakeOptions{.broker = broker},
                                                 factory, [](LeafNumber) {});
    intake->start();
  }

  void start_uplink(const io::MqttFactory& factory, const io::MqttOptions& broker) {
    agent::UplinkOptions options{.tenant = "acme", .device = "one", .broker = broker};
    options.heartbeat = Duration(50);
    for (agent::SendLimits* limits : {&options.limits, &options.diagnostic_limits}) {
      limits->receipt = {Duration(100), Duration(500)};
      limits->answer = {Duration(100), Duration(500)};
      limits->refusal = {Duration(10), Duration(100)};
    }
    uplink = std::make_unique<agent::Uplink>(
        runtime, clock, agent::OutgoingStreams(*billing.journal, diagnostic.journal.get()),
        signer(), collector_signer->public_key(), options, factory,
        [](const Error& error) { FAIL(error.text()); });
    uplink->start();
    billing.commit->on_sealed([this] { tell(StreamClass::billing); });
    diagnostic.commit->on_sealed([this] { tell(StreamClass::diagnostic); });
  }

  void tell(StreamClass stream_class) {
    uplink->on_sealed(status(stream_class).head_batch, stream_class);
  }

  /// Requests of one billing reading and 99 diagnostic ones, each answered before the next.
  void record(int requests) {
    for (int i = 0; i < requests; ++i) {
      agent::RecordRequest request;
      for (int n = 0; n < 100; ++n) {
        const uint32_t meter = n == 0 ? 1 : agent::kDiagnosticMeters + 1;
        agent::RecordItem item{.reading = {.meter = meter, .time_ms = clock.now().unix_ms()}};
        item.reading.value = 1;
        item.reading.dimensions = {{"n", std::to_string(n % 20)}};
        item.reading.subject =
            n == 0 ? "" : to_hex(sha256(bytes_of(std::to_string(++noise))).view());
        item.key = std::to_string(++calls);
        request.items.push_back(std::move(item));
      }
      bool answered = false;
      recorder->record(std::move(request), [&](const agent::RecordResult& result) {
        if (!result) FAIL(result.error().message);
        answered = true;
      });
      REQUIRE(until([&] { return answered; }));
    }
  }

  JournalStatus status(StreamClass stream_class) {
    // The storage thread answers in turn, so this is as of now.
    Journal& journal = *(stream_class == StreamClass::billing ? billing : diagnostic).journal;
    auto out = std::make_shared<std::promise<Result<JournalStatus>>>();
    io::on_storage(
        runtime,
        [&journal, out] {
          out->set_value(journal.status());
          return 0;
        },
        [](int) {});
    const auto status = out->get_future().get();
    REQUIRE(status);
    return *status;
  }

  bool all_home() {
    billing.commit->tick();
    diagnostic.commit->tick();
    for (const StreamClass each : {StreamClass::billing, StreamClass::diagnostic}) {
      const JournalStatus held = status(each);
      if (held.sealed_upto + 1 != held.next_seq || held.acked_upto != held.head_batch) return false;
    }
    return true;
  }

  bool until(const std::function<bool()>& condition,
             std::chrono::milliseconds limit = std::chrono::seconds(60)) {
    return run_until(runtime, condition, limit);
  }

  uint64_t counted(const std::string& meter) {
    uint64_t out = 0;
    const auto all = store->list_series({.tenant = "acme", .limit = 100'000});
    for (const auto& series : *all) {
      if (series.key.meter != meter) continue;
      const auto rows = store->usage(series.id, {0}, {10'000'000});
      for (const auto& row : *rows) out += row.value.count;
    }
    return out;
  }

  /// The sums at the end: nothing is missing that is not named.
  uint64_t check_sums(uint64_t requests) {
    collector::Folder fold(*store, {.series_per_device_max = 100'000});
    REQUIRE(fold.run_to_end());
    CHECK(counted("calls") == requests);
    uint64_t dropped = 0;
    const auto exceptions = store->list_exceptions({});
    for (const auto& row : *exceptions) {
      INFO(row.detail);
      CHECK(row.kind == "diagnostics_dropped");
      dropped += row.count;
    }
    CHECK(counted("noise") + dropped == requests * 99);
    const auto streams = store->progress("acme", "one");
    for (const auto& progress : *streams) {
      CHECK(progress.status == StreamStatus::open);
      CHECK(progress.folded_number == progress.head_number);
    }
    return dropped;
  }

  TemporaryFolder folder;
  io::SystemClock clock;
  std::unique_ptr<Signer> collector_signer = new_signer();
  std::unique_ptr<collector::Store> store = collector::make_memory_store();
  Stream billing{StreamClass::billing};
  Stream diagnostic{StreamClass::diagnostic};
  io::Runtime runtime;
  std::unique_ptr<ChaosBroker> chaos;
  std::unique_ptr<agent::RecorderByClass> recorder;
  std::unique_ptr<collector::Intake> intake;
  std::unique_ptr<agent::Uplink> uplink;
  int noise = 0;
  int calls = 0;
};

/// The real broker, with the rights that the collector gives out.
std::string rights(collector::Store& store, Clock& clock) {
  return collector::access_list(*store.list_devices({}), clock.now());
}

}  // namespace

TEST_CASE(
    "diagnostics: what overflowed while the broker was away is counted, and billing is whole") {
  Rig rig;
  TestBroker broker({.acl = rights(*rig.store, rig.clock)});
  broker.start();
  rig.start_collector(io::mqtt_factory(rig.runtime), broker.client(collector::kCollectorIdentity));
  rig.start_uplink(io::mqtt_factory(rig.runtime), broker.client("acme.one"));
  rig.record(20);
  REQUIRE(rig.until([&] { return rig.status(StreamClass::diagnostic).acked_upto > 0; }));

  broker.kill();
  rig.record(500);
  CHECK(rig.status(StreamClass::diagnostic).dropped > 0);
  broker.start();
  REQUIRE(rig.until([&] { return rig.all_home(); }));

  CHECK(rig.check_sums(520) > 10'000);
  CHECK(rig.uplink->status(StreamClass::diagnostic).tombstones_sent > 0);
  CHECK(rig.uplink->status(StreamClass::diagnostic).alarm.empty());
  CHECK(rig.intake->status().custody.tombstones > 0);
}

TEST_CASE("diagnostics: a tombstone that was never sent is there after a kill") {
  Rig rig;
  rig.record(500);
  const uint64_t dropped = rig.status(StreamClass::diagnostic).dropped;
  REQUIRE(dropped > 0);
  rig.restart_agent();
  CHECK(rig.status(StreamClass::diagnostic).dropped >= dropped);

  rig.start_chaos(1, {});
  REQUIRE(rig.until([&] { return rig.all_home(); }));

  // The journal may have gone on to make room after its last answer.
  CHECK(rig.check_sums(500) >= dropped);
}

TEST_CASE("diagnostics: a tombstone whose receipt was lost grows on, and is counted once") {
  Rig rig;
  rig.record(500);
  const JournalStatus before = rig.status(StreamClass::diagnostic);
  const auto first = rig.diagnostic.journal->batches_after(0, {});
  REQUIRE(first->front().tombstone_from == 1);
  const Bytes sent = *sign(payload_type::kTombstone, first->front().sealed, rig.signer());
  {
    collector::Custody custody(*rig.store, *rig.collector_signer, rig.clock);
    REQUIRE(
        custody.accept({{rig.diagnostic.grant_of.topic(TopicLeaf::batch), sent, rig.clock.now()}}));
  }
  rig.record(200);
  const uint64_t dropped = rig.status(StreamClass::diagnostic).dropped;
  REQUIRE(dropped > before.dropped);

  rig.start_chaos(1, {});
  REQUIRE(rig.until([&] { return rig.all_home(); }));

  CHECK(rig.check_sums(700) >= dropped);
  CHECK(rig.store->list_exceptions({})->size() == 1);
}

TEST_CASE("diagnostics: whatever the broker does while they overflow, the sums are right") {
  for (uint32_t seed = 1; seed <= 2; ++seed) {
    INFO("seed " << seed);
    Rig rig;
    rig.start_chaos(seed, {.lose = 50,
                           .twice = 100,
                           .reorder = 100,
                           .damage = 30,
                           .replay = 100,
                           .refuse = 20,
                           .disconnect = 10});
    int requests = 0;
    for (int round = 0; round < 5; ++round) {
      rig.record(120);
      requests += 120;
      if (round % 2 == 1) {
        rig.restart_agent();
        rig.start_uplink(rig.chaos->factory(), {});
      }
    }
    REQUIRE(rig.until([&] { return rig.all_home(); }));

    rig.check_sums(static_cast<uint64_t>(requests));
    CHECK(rig.uplink->status(StreamClass::diagnostic).alarm.empty());
    CHECK(rig.uplink->status().alarm.empty());
  }
}

}  // namespace ledgerline::test
