#include "agent/journal/values.h"
#include "tests/unit/agent/journal/fixture.h"

namespace ledgerline::agent {
namespace {

using test::calls;
using test::Device;
using test::request;

LogSightings sightings(uint32_t conflict_epoch) {
  LogSightings out{.newest = "note\n", .epoch = 2, .size = 9, .earlier = {"before\n"}};
  out.conflict =
      LogSightings::Conflict{conflict_epoch, "held\n", "shown\n", "8 leaves", Timestamp(7)};
  return out;
}

/// Seven batches, six of them under a receipt.
void fill(Device& device) {
  for (int i = 0; i < 7; ++i) {
    device.seqs(request({calls(i)}));
    device.seal();
  }
  const auto ids = device.batches();
  REQUIRE(
      device.journal->store_receipt(device.receipt(1, 6, ids[5].id), bytes_of("r")).has_value());
}

}  // namespace

TEST_CASE("what was seen of the collector's log survives a restart, and a look from outside") {
  Device device;
  REQUIRE(*device.journal->log_sightings() == LogSightings());
  REQUIRE(device.journal->keep_log_sightings(sightings(1)));
  REQUIRE(*device.journal->log_sightings() == sightings(1));

  device.open();

  REQUIRE(*device.journal->log_sightings() == sightings(1));
  REQUIRE(device.status().log == sightings(1));
  REQUIRE(Journal::read_status(device.options)->log == sightings(1));
}

TEST_CASE(
    "no batch is forgotten while the collector contradicts itself, and again when that ends") {
  JournalOptions options;
  uint64_t disk_free = 1 << 30;
  options.disk_free = [&disk_free](const std::string&) -> Result<uint64_t> { return disk_free; };
  Device device(options);
  fill(device);
  REQUIRE(device.journal->keep_log_sightings(sightings(2)));
  device.open();

  disk_free = 0;
  device.trim_all();
  device.clock.advance(std::chrono::hours(731 * 24));
  device.trim_all();
  REQUIRE(device.status().oldest_batch == 1);
  REQUIRE(device.status().oldest_skeleton == 1);

  REQUIRE(device.journal->keep_log_sightings(sightings(1)));
  device.trim_all();
  REQUIRE(device.status().oldest_batch == 7);
}

TEST_CASE("sightings of the log are read as they were written, and nothing else is") {
  for (const LogSightings& each : {LogSightings(), sightings(2)}) {
    const Bytes whole = values::encode(each);
    REQUIRE(*values::decode_log_sightings(whole) == each);
    for (size_t size = 0; size < whole.size(); ++size)
      REQUIRE_FALSE(values::decode_log_sightings(ByteView(whole).first(size)));
    Bytes longer = whole;
    longer.push_back(0);
    REQUIRE_FALSE(values::decode_log_sightings(longer));
  }
  LogSightings many = sightings(2);
  many.earlier.assign(LogSightings::kEarlierMax, "n");
  Bytes bytes = values::encode(many);
  REQUIRE(values::decode_log_sightings(bytes));
  bytes[4 + 8 + 4 + many.newest.size()] = LogSightings::kEarlierMax + 1;
  REQUIRE_FALSE(values::decode_log_sightings(bytes));
}

}  // namespace ledgerline::agent
