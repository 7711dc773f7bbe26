// Boots that begin with a clock that cannot be right, and clocks that are stepped.

#include "agent/journal/values.h"
#include "tests/unit/agent/journal/fixture.h"

namespace ledgerline::agent {

using namespace std::chrono_literals;
using test::calls;
using test::Device;
using test::request;

namespace {

constexpr Timestamp kNow{1'800'000'000'000};

RecordItem timeless(const Device& device, int64_t value) {
  RecordItem out = calls(value);
  out.reading.time_ms = device.clock.mono.ms;
  out.reading.monotonic_time = true;
  return out;
}

Seq meter_now(Device& device, int64_t value = 1) {
  return device.seqs(request({timeless(device, value)})).at(0);
}

/// The machine was without power and wakes in 1970.
void power_cycle(Device& device) {
  device.clock.wall = Timestamp(0);
  device.clock.mono = {3'000};
  device.machine += "+";
  device.synchronised = false;
  device.open();
}

/// Each batch in the order of its stream: "boot", "table", "anchor" and the readings' values.
std::vector<std::string> sealed(Device& device) {
  std::vector<std::string> out;
  MeterRows meters;
  for (const auto& batch : device.batches()) {
    const auto columns = open_columns(*open_envelope(batch.sealed), meters);
    REQUIRE(columns.has_value());
    REQUIRE(apply_meter_tables(columns->records, meters).has_value());
    size_t record = 0;
    for (size_t i = 0; i <= columns->size(); ++i) {
      while (record < columns->records.size() &&
             columns->records[record].before_seq <= columns->first_seq + i) {
        const auto& kind = columns->records[record++].kind;
        out.emplace_back(std::holds_alternative<BootRecord>(kind)    ? "boot"
                         : std::holds_alternative<ClockAnchor>(kind) ? "anchor"
                                                                     : "table");
      }
      if (i < columns->size()) out.push_back(std::to_string(columns->values[i]));
    }
  }
  return out;
}

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

}  // namespace

TEST_CASE("a boot in 1970 seals and promises nothing until the time is known") {
  Device device;
  meter_now(device, 1);
  device.seal();
  const auto promised = device.journal->heartbeat()->complete_through;

  power_cycle(device);
  meter_now(device, 2);
  device.clock.advance(48h);
  meter_now(device, 3);

  REQUIRE(device.observe_clocks() == ClockVerdict::impossible);
  REQUIRE(device.observe_clocks() == ClockVerdict::unchanged);
  REQUIRE(device.seal() == 0);
  REQUIRE(device.seal(SealWhen::due) == 0);
  REQUIRE(device.journal->heartbeat()->complete_through == promised);
  const ClockStatus clock = device.status().clock;
  REQUIRE_FALSE(clock.anchored);
  REQUIRE(clock.doubt == ClockVerdict::impossible);
  REQUIRE(clock.waiting == 2);

  device.clock.wall = kNow + 72h;
  REQUIRE(device.observe_clocks() == ClockVerdict::believed);

  REQUIRE(device.seal() == 1);
  REQUIRE(sealed(device) == words("boot table anchor 1 boot anchor 2 3"));
  REQUIRE(device.journal->heartbeat()->complete_through == kNow + 72h - 5s);
  REQUIRE(device.status().clock.anchored);
  REQUIRE(device.status().clock.doubt == ClockVerdict::unchanged);
  REQUIRE(device.status().clock.waiting == 0);
  REQUIRE(test::verified_values(device) == std::vector<int64_t>{1, 2, 3});
}

TEST_CASE("a journal whose first boot ever is in 1970 promises nothing at all") {
  Device device;
  device.clock.wall = Timestamp(0);
  device.machine = "boot-2";
  device.open();

  REQUIRE(device.journal->heartbeat()->complete_through == Timestamp());
  REQUIRE_FALSE(device.status().promised.has_value());
}

TEST_CASE("what an earlier boot left is sealed while the newest one waits") {
  Device device;
  meter_now(device, 1);
  power_cycle(device);
  meter_now(device, 2);

  REQUIRE(device.seal(SealWhen::due) == 1);

  REQUIRE(sealed(device) == words("boot table anchor 1"));
  REQUIRE(device.seal(SealWhen::due) == 0);
}

TEST_CASE("a boot that ends without a time is sealed as it is by the next one") {
  Device device;
  power_cycle(device);
  meter_now(device, 2);
  power_cycle(device);
  meter_now(device, 3);

  REQUIRE(device.status().clock.waiting == 1);
  device.seal(SealWhen::due);
  REQUIRE(sealed(device) == words("boot table anchor boot 2"));

  device.clock.wall = kNow + 24h;
  REQUIRE(device.observe_clocks() == ClockVerdict::believed);
  device.seal();
  REQUIRE(sealed(device) == words("boot table anchor boot 2 boot anchor 3"));
}

TEST_CASE("a process that starts again in one boot of the machine places what the first left") {
  Device device;
  power_cycle(device);
  meter_now(device, 2);
  device.clock.advance(1h);
  device.open();
  meter_now(device, 3);
  REQUIRE(device.status().clock.waiting == 2);

  SECTION("when it learns the time") {
    device.clock.wall = kNow + 24h;
    REQUIRE(device.observe_clocks() == ClockVerdict::believed);
    device.seal();
    REQUIRE(sealed(device) == words("boot table anchor boot anchor 2 boot anchor 3"));
  }
  SECTION("when a third one starts with the time known") {
    device.clock.wall = kNow + 24h;
    device.open();
    meter_now(device, 4);
    device.seal();
    REQUIRE(sealed(device) == words("boot table anchor boot anchor 2 boot anchor 3 boot anchor 4"));
  }
  REQUIRE(test::verified_values(device).front() == 2);
  REQUIRE(device.status().clock.anchored);
}

TEST_CASE("of very many starts without a time the oldest go on without one") {
  Device device;
  power_cycle(device);
  for (size_t i = 1; i < Boots::kWaitingMax; ++i) device.open();
  REQUIRE(device.seal() == 1);
  meter_now(device);
  device.open();

  REQUIRE(device.seal() == 1);
  device.clock.wall = kNow + 24h;
  REQUIRE(device.observe_clocks() == ClockVerdict::believed);
  device.seal();
  REQUIRE(test::verified_values(device) == std::vector<int64_t>{1});
}

TEST_CASE("a clock that a receipt proves wrong is not believed") {
  Device device;
  meter_now(device);
  device.seal();
  Receipt receipt = device.receipt(1, 1, device.batches().at(0).id);
  receipt.issued_at = kNow + 24h * 100;
  const auto collector = test::new_signer();
  REQUIRE(device.journal->store_receipt(
      receipt, *sign(payload_type::kReceipt, encode(receipt), *collector)));
  REQUIRE(device.status().clock.floor == receipt.issued_at);

  // Also by what is on disk: this is how a power cycle meets it.
  device.clock.wall = kNow + 24h * 60;
  device.machine = "boot-2";
  device.open();

  REQUIRE_FALSE(device.status().clock.anchored);
  device.clock.wall = receipt.issued_at;
  REQUIRE(device.observe_clocks() == ClockVerdict::believed);
}

TEST_CASE("a step that nobody vouches for does not replace a synchronised time") {
  Device device;
  device.machine = "boot-1";
  device.open();
  device.synchronised = true;
  REQUIRE(device.observe_clocks() == ClockVerdict::believed);
  const auto before = device.journal->heartbeat()->complete_through;
  device.synchronised = false;
  device.clock.advance(1h);

  for (const Duration step : {Duration(40 * 24h), Duration(-40 * 24h)}) {
    const Timestamp right = device.clock.wall;
    device.clock.wall = right + step;
    REQUIRE(device.observe_clocks() != ClockVerdict::believed);
    // The promise counts from the same time as the readings.
    REQUIRE(device.journal->heartbeat()->complete_through == before + 1h);
    REQUIRE_FALSE(device.status().clock.doubt == ClockVerdict::unchanged);
    device.open();  // nor does a new start of the process
    REQUIRE(device.journal->heartbeat()->complete_through == before + 1h);
    device.clock.wall = right;
    device.observe_clocks();
    REQUIRE(device.status().clock.doubt == ClockVerdict::unchanged);
  }
  meter_now(device);
  device.seal();
  REQUIRE(sealed(device) ==
          words("boot table anchor boot anchor anchor boot anchor boot anchor 1"));
}

TEST_CASE("a step of a clock that was never synchronised is believed, the promise doubts it") {
  Device device;
  const auto before = device.journal->heartbeat()->complete_through;
  meter_now(device, 1);
  device.clock.wall = device.clock.wall + 40 * 24h;

  REQUIRE(device.observe_clocks() == ClockVerdict::believed);
  meter_now(device, 2);
  REQUIRE(device.journal->heartbeat()->complete_through == before);
  device.seal();
  REQUIRE(sealed(device) == words("boot table anchor 1 anchor 2"));

  device.clock.wall = device.clock.wall - 40 * 24h;
  REQUIRE(device.observe_clocks() == ClockVerdict::believed);
  device.clock.advance(10s);
  REQUIRE(device.journal->heartbeat()->complete_through == before + 10s);
}

TEST_CASE("a backlog that waited for the time is sealed in parts") {
  JournalOptions options;
  options.batch.readings_max = 10;
  Device device(options);
  power_cycle(device);
  for (int i = 0; i < 400; ++i) meter_now(device);
  device.clock.wall = kNow + 24h;
  REQUIRE(device.observe_clocks() == ClockVerdict::believed);

  size_t calls = 0;
  for (size_t batches = 1; batches > 0; ++calls) {
    batches = device.seal(SealWhen::due);
    REQUIRE(batches <= 16);
    device.clock.advance(1s);
  }

  REQUIRE(calls > 2);
  REQUIRE(test::verified_values(device).size() == 400);
}

TEST_CASE("a journal that fills up while it waits for the time loses nothing that it took") {
  Device device({.retention = {.quota_bytes = 1 << 20, .reserve_bytes = 1 << 20}});
  power_cycle(device);
  device.seal();  // the boot before
  int64_t taken = 0;
  for (int i = 0; i < 40'000; ++i) {
    auto one = request({timeless(device, 1)});
    one.can_wait = i % 2 == 0;
    taken += device.record(std::move(one)) ? 1 : 0;
    device.clock.advance(1s);
  }
  REQUIRE(device.status().coarsening);
  REQUIRE(taken < 40'000);
  REQUIRE(device.seal() == 0);

  device.clock.wall = kNow + 24h;
  REQUIRE(device.observe_clocks() == ClockVerdict::believed);
  device.seal();
  const auto batches = device.batches();
  REQUIRE(device.journal->store_receipt(device.receipt(1, batches.size(), batches.back().id), {}));
  device.trim_all();
  device.seal();

  // Sealing compares the sums of what it sealed with what was recorded.
  REQUIRE_FALSE(device.status().coarsening);
  REQUIRE(device.status().sealed_upto == device.status().next_seq - 1);
  REQUIRE(device.status().totals.at(0).second == taken);
}

}  // namespace ledgerline::agent
