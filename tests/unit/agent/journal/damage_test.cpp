// A journal whose stored bytes a bad disk has changed: what counts is never believed, what may be
// forgotten is forgotten.

#include "agent/journal/keys.h"
#include "agent/journal/tables.h"
#include "agent/journal/values.h"
#include "common/crc32c.h"
#include "common/io/lmdb.h"
#include "tests/unit/agent/journal/fixture.h"

using namespace ledgerline;
using namespace ledgerline::agent;
using namespace ledgerline::agent::test;

namespace {

io::LmdbEnv open_raw(const Device& device) {
  auto env = io::LmdbEnv::open({.folder = device.options.folder, .map_size_bytes = 1 << 30});
  REQUIRE(env.has_value());
  return std::move(*env);
}

/// Changes one bit of the stored value, as a bad disk would.
void flip(const Device& device, ByteView key, size_t at) {
  auto env = open_raw(device);
  auto txn = env.begin_write();
  Bytes value = copy_of(**txn->get(key));
  value[at % value.size()] ^= 1;
  REQUIRE(txn->put(key, value).has_value());
  REQUIRE(txn->commit().has_value());
}

}  // namespace

TEST_CASE(
    "a flipped bit in the stream's state, grant or meters is noticed when the journal opens") {
  for (const auto part :
       {keys::StreamPart::grant, keys::StreamPart::state, keys::StreamPart::meters}) {
    for (const size_t at : {0, 7, 30}) {
      Device device;
      device.journal.reset();
      flip(device, keys::stream(part), at);

      REQUIRE(Journal::open(device.options, device.clock).error().code() == Errc::corrupt);
    }
  }
}

TEST_CASE("a flipped bit in a run is noticed before it is sealed") {
  Device device;
  device.seqs(request({calls(1)}));
  device.journal.reset();
  flip(device, keys::run(2), 20);
  device.open();

  REQUIRE(device.journal->seal(SealWhen::now, *device.signer).error().code() == Errc::corrupt);
  REQUIRE(device.status().head_batch == 0);
}

TEST_CASE("a flipped bit in a sealed batch is noticed before it is sent") {
  Device device;
  device.seqs(request({calls(1)}));
  device.seal();
  device.journal.reset();
  flip(device, keys::batch(1), 100);
  device.open();

  REQUIRE(device.journal->batches_after(0, {}).error().code() == Errc::corrupt);
}

TEST_CASE("damage in what a receipt covers stops neither the status nor forgetting") {
  JournalOptions options;
  uint64_t disk_free = 1 << 30;
  options.disk_free = [&disk_free](const std::string&) -> Result<uint64_t> { return disk_free; };
  Device device(options);
  for (int i = 0; i < 4; ++i) {
    device.seqs(request({calls(i)}));
    device.seal();
  }
  const auto ids = device.batches();
  REQUIRE(
      device.journal->store_receipt(device.receipt(1, 4, ids[3].id), bytes_of("r")).has_value());
  device.journal.reset();
  flip(device, keys::batch(2), 100);
  flip(device, keys::skeleton(1), 5);
  flip(device, keys::skeleton(3), 5);
  device.open();
  REQUIRE(device.status().oldest_skeleton == 1);

  disk_free = 0;
  device.trim_all();

  REQUIRE(device.status().oldest_batch == 5);
  REQUIRE(device.status().oldest_skeleton == 4);
  REQUIRE(device.status().damaged_forgotten == 3);
}

TEST_CASE(
    "a damaged list of idempotency keys goes with its keys, and takes no younger ones along") {
  Device device;
  const auto first = device.seqs(request({calls(5, "old")}));
  device.clock.advance(std::chrono::hours(24));
  const auto second = device.seqs(request({calls(6, "young")}));
  device.journal.reset();
  {
    auto env = open_raw(device);
    auto txn = env.begin_write();
    const Bytes key = [&] {  // the cursor goes before its transaction
      auto cursor = io::LmdbCursor::open(*txn);
      return copy_of((*cursor->seek(keys::seen_by_hour(0, 0, 0)))->key);
    }();
    const std::vector<KeyHash> hashes = {hash_of_key("old"), hash_of_key("young")};
    Bytes value = with_checksum(key, values::encode(hashes));
    value.back() ^= 1;
    REQUIRE(txn->put(key, value).has_value());
    REQUIRE(txn->commit().has_value());
  }
  device.open();
  REQUIRE(device.status().oldest_key_hour.has_value());

  device.clock.advance(std::chrono::hours(6 * 24 + 2));
  device.trim_all();

  REQUIRE(device.status().damaged_forgotten == 1);
  REQUIRE(device.seqs(request({calls(6, "young")})) == second);
  REQUIRE(device.seqs(request({calls(5, "old")})) != first);
}

TEST_CASE("a flipped bit in an idempotency key's seqs is noticed and nothing is recorded") {
  Device device;
  device.seqs(request({calls(1, "e1")}));
  device.journal.reset();
  flip(device, keys::seen(hash_of_key("e1")), 9);
  device.open();
  const auto again = request({calls(1, "e1")});

  REQUIRE(device.journal->record(std::span(&again, 1)).error().code() == Errc::corrupt);
}

TEST_CASE("a value that was moved under another key is noticed") {
  Device device;
  device.seqs(request({calls(1)}));
  device.seal();
  device.seqs(request({calls(2)}));
  device.seal();
  device.journal.reset();
  {
    auto env = open_raw(device);
    auto txn = env.begin_write();
    const Bytes second = copy_of(**txn->get(keys::batch(2)));
    REQUIRE(txn->put(keys::batch(1), second).has_value());
    REQUIRE(txn->commit().has_value());
  }
  device.open();

  REQUIRE(device.journal->batches_after(0, {}).error().code() == Errc::corrupt);
}

TEST_CASE("a journal that a newer version wrote is left alone") {
  Device device;
  device.journal.reset();
  {
    auto env = open_raw(device);
    auto txn = env.begin_write();
    REQUIRE(put_checked(*txn, keys::format(), values::encode_format(2)).has_value());
    REQUIRE(txn->commit().has_value());
  }

  REQUIRE(Journal::open(device.options, device.clock).error().code() == Errc::config);
}
