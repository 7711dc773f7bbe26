// A journal whose stored bytes a bad disk has changed: what counts is never believed, what may be
// forgotten is forgotten.

#include "tests/unit/agent/journal/raw_rows.h"

using namespace ledgerline;
using namespace ledgerline::agent;
using namespace ledgerline::agent::test;

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
    REQUIRE(
        put_checked(*txn, keys::format(), values::encode_format(values::kFormat + 1)).has_value());
    REQUIRE(txn->commit().has_value());
  }

  REQUIRE(Journal::open(device.options, device.clock).error().code() == Errc::config);
}
