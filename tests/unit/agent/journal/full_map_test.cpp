// A journal whose file has no page left: nothing ends, and what may be forgotten makes room.

#include "tests/unit/agent/journal/fixture.h"

using namespace ledgerline;
using namespace ledgerline::agent;
using namespace ledgerline::agent::test;

namespace {

/// Without a reserve, so that the file is full as soon as the quota is used up.
JournalOptions without_reserve() {
  JournalOptions options;
  options.retention.quota_bytes = 1 << 20;
  options.retention.reserve_bytes = 0;
  return options;
}

RecordRequest bulky() {
  std::vector<RecordItem> items(100, calls(1));
  static int number = 0;
  for (auto& item : items) item.reading.subject = "subject-" + std::to_string(++number * 7919);
  return request(std::move(items));
}

/// Anchors are recorded whatever the quota says: they take the last pages.
void fill_to_the_last_page(Device& device) {
  for (int i = 0; i < 20'000; ++i) {
    device.clock.wall = device.clock.wall + std::chrono::seconds(1);
    if (device.observe_clocks() != ClockVerdict::believed) return;
  }
  FAIL("the file never became full");
}

}  // namespace

TEST_CASE("sealing that finds no page left is put off, and a receipt makes room for it") {
  Device device(without_reserve());
  device.seqs(bulky());
  const size_t sealed = device.seal();
  const auto batches = device.batches();
  while (device.record(bulky())) continue;
  fill_to_the_last_page(device);

  const auto put_off = device.journal->seal(SealWhen::now, *device.signer);
  REQUIRE(put_off.has_value());
  REQUIRE(device.status().seals_put_off > 0);
  REQUIRE(device.status().head_batch >= sealed);

  REQUIRE(device.journal->store_receipt(device.receipt(1, sealed, batches.back().id), {}));
  REQUIRE(device.journal->trim().has_value());
}

TEST_CASE("a start finds room where receipted batches may go") {
  Device device(without_reserve());
  while (device.record(bulky())) {
    if (device.status().used_bytes < 700'000) device.seal();
  }
  const auto batches = device.batches();
  REQUIRE(device.journal->store_receipt(device.receipt(1, batches.size(), batches.back().id), {}));
  for (int i = 0; i < 200; ++i) {
    device.clock.wall = device.clock.wall + std::chrono::seconds(1);
    REQUIRE(device.observe_clocks() == ClockVerdict::believed);
  }

  device.open();

  REQUIRE(device.status().oldest_batch > 1);
}
