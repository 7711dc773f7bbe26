// A journal that an agent wrote before idempotency keys were packed.

#include "agent/journal/journal_impl.h"
#include "tests/unit/agent/journal/raw_rows.h"

using namespace ledgerline;
using namespace ledgerline::agent;
using namespace ledgerline::agent::test;

namespace {

constexpr size_t kKeys = 5'000;

std::string name_of(size_t i) { return "old-" + std::to_string(i); }

/// Format 1: a row for each key and lists of what expires together.
void write_old_rows(const Device& device, Hour hour) {
  auto env = open_raw(device);
  auto txn = env.begin_write();
  for (size_t i = 0; i < kKeys; ++i) {
    const Bytes key = keys::seen(hash_of_key(name_of(i)));
    Bytes value;
    append_big_endian32(value, hour);
    append_big_endian64(value, i + 1);
    append_big_endian32(value, 1);
    REQUIRE(put_checked(*txn, key, value).has_value());
  }
  for (uint64_t list = 1; list <= kKeys; ++list) {
    const Bytes key = keys::seen_by_hour(hour + (list == kKeys ? 2 : 0), list, 0);
    const KeyHash hash = hash_of_key(name_of(list - 1));
    REQUIRE(put_checked(*txn, key, hash.view()).has_value());
  }
  REQUIRE(txn->erase(keys::stream(keys::StreamPart::key_packs)).has_value());
  REQUIRE(put_checked(*txn, keys::format(), values::encode_format(1)).has_value());
  REQUIRE(txn->commit().has_value());
}

}  // namespace

TEST_CASE("a journal of format 1 becomes one of today's with every key in it") {
  Device device;
  const Hour hour = hour_of(device.clock.now());
  for (size_t i = 0; i < kKeys; i += 1'000) {
    RecordRequest some;
    for (size_t j = 0; j < 1'000; ++j) some.items.push_back(calls(1));
    device.seqs(some);
  }
  device.journal.reset();
  write_old_rows(device, hour);
  CHECK(Journal::read_status(device.options)->next_seq == kKeys + 1);  // a look changes nothing

  device.open();

  CHECK(device.status().oldest_key_hour == hour);
  for (size_t i = 0; i < kKeys; i += 7) {
    REQUIRE(device.seqs(request({calls(1, name_of(i))})) == std::vector<Seq>{i + 1});
  }
  CHECK(device.seqs(request({calls(1, "new")})) == std::vector<Seq>{kKeys + 1});
  device.journal.reset();
  CHECK(rows_from(device, keys::seen(KeyHash())) == 0);
  CHECK(rows_from(device, keys::seen_by_hour(0, 0, 0)) == 0);
  const KeyPacks packs = stored_packs(device);
  REQUIRE(packs.packs.size() == 1);
  CHECK(packs.packs[0].entries == kKeys);
  CHECK(packs.packs[0].to == hour + 2);
  CHECK(packs.packs[0].last_seq == kKeys);

  device.open();
  device.clock.advance(std::chrono::hours(7 * 24 + 4));
  device.trim_all();
  CHECK(device.seqs(request({calls(1, name_of(3))})) == std::vector<Seq>{kKeys + 2});
}

TEST_CASE("an upgrade that was interrupted goes on, and a damaged old key is left out") {
  Device device;
  device.journal.reset();
  write_old_rows(device, 500'000);
  flip(device, keys::seen(hash_of_key(name_of(0))), 5);
  {  // the first 2 900 rows are moved already
    auto env = open_raw(device);
    auto txn = env.begin_write();
    std::vector<KeyEntry> moved;
    std::vector<Bytes> rows;
    {
      auto cursor = io::LmdbCursor::open(*txn);
      auto entry = cursor->seek(keys::seen(KeyHash()));
      for (size_t i = 0; i < 2'900; ++i, entry = cursor->next()) {
        rows.push_back(copy_of((*entry)->key));
        const Seq seq = big_endian64((*entry)->value.subspan(4));
        moved.push_back({.hash = *keys::hash_of_seen(rows.back()), .range = {seq, 1}});
      }
    }
    REQUIRE(put_key_blocks(*txn, 1, moved).has_value());
    for (const Bytes& row : rows) REQUIRE(txn->erase(row).has_value());
    REQUIRE(txn->commit().has_value());
  }

  device.open();

  for (size_t i = 1; i < kKeys; i += 3) {
    REQUIRE(device.seqs(request({calls(1, name_of(i))})) == std::vector<Seq>{i + 1});
  }
}

TEST_CASE("an upgrade that was interrupted behind the keys knows their hours still") {
  Device device;
  device.journal.reset();
  write_old_rows(device, 500'000);
  device.open();
  device.journal.reset();
  const KeyPacks packs = stored_packs(device);
  {
    auto env = open_raw(device);
    auto txn = env.begin_write();
    const KeyHash hash = hash_of_key("x");
    REQUIRE(put_checked(*txn, keys::seen_by_hour(500'002, 9, 0), hash.view()).has_value());
    REQUIRE(put_checked(*txn, keys::format(), values::encode_format(1)).has_value());
    REQUIRE(txn->commit().has_value());
  }
  device.open();
  device.journal.reset();
  CHECK(stored_packs(device) == packs);
  CHECK(rows_from(device, keys::seen_by_hour(0, 0, 0)) == 0);
}
