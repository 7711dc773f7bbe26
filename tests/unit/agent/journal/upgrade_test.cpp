// A journal that an agent wrote before idempotency keys were packed.

#include <fstream>

#include "agent/journal/journal_impl.h"
#include "common/compress.h"
#include "common/io/system.h"
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

TEST_CASE("an upgrade goes on where it was interrupted, and an older agent refuses it by then") {
  Device device;
  device.journal.reset();
  write_old_rows(device, 500'000);
  flip(device, keys::seen(hash_of_key(name_of(0))), 5);  // its seq
  const size_t steps = GENERATE(1, 2, 3, 4);
  {
    auto env = open_raw(device);
    REQUIRE(upgrade(env, steps).has_value());
    const auto txn = env.begin_read();
    CHECK(*values::decode_format(**get_checked(*txn, keys::format())) == values::kFormat);
  }
  CHECK(rows_from(device, keys::seen_by_hour(0, 0, 0)) > 0);

  device.open();

  for (size_t i = 1; i < kKeys; i += 3) {
    REQUIRE(device.seqs(request({calls(1, name_of(i))})) == std::vector<Seq>{i + 1});
  }
  device.journal.reset();
  CHECK(rows_from(device, keys::seen(KeyHash())) == 0);
  CHECK(rows_from(device, keys::seen_by_hour(0, 0, 0)) == 0);
  const KeyPack pack = stored_packs(device).packs.front();
  CHECK(pack.from == 500'000);
  CHECK(pack.to == 500'002);
  CHECK(pack.entries == kKeys - 1);
}

TEST_CASE("old keys without a list of their hours are kept for a window from the upgrade on") {
  Device device;
  const Hour hour = hour_of(device.clock.now());
  device.journal.reset();
  write_old_rows(device, hour);
  {
    auto env = open_raw(device);
    auto txn = env.begin_write();
    for (uint64_t list = 1; list <= kKeys; ++list) {
      REQUIRE(txn->erase(keys::seen_by_hour(hour + (list == kKeys ? 2 : 0), list, 0)).has_value());
    }
    const Bytes clock = keys::stream(keys::StreamPart::key_clock);
    if (GENERATE(false, true)) REQUIRE(txn->put(clock, Bytes{1, 2, 3}).has_value());
    REQUIRE(txn->commit().has_value());
  }
  device.open();
  device.clock.advance(std::chrono::hours(24));
  device.trim_all();
  CHECK(device.seqs(request({calls(1, name_of(8))})) == std::vector<Seq>{9});
  CHECK(device.status().oldest_key_hour == hour);
}

TEST_CASE("a journal of format 1 that nobody enrolled yet is one of today's at once") {
  TemporaryFolder folder;
  JournalOptions options;
  options.folder = folder.path();
  FakeClock clock;
  {
    auto env = io::LmdbEnv::open({.folder = options.folder, .map_size_bytes = 1 << 30});
    auto txn = env->begin_write();
    REQUIRE(put_checked(*txn, keys::format(), values::encode_format(1)).has_value());
    REQUIRE(txn->commit().has_value());
  }
  CHECK(Journal::open(options, clock).has_value());
  CHECK(Journal::open(options, clock).has_value());
}

// The last agent of format 1 wrote it: e0 to e59, twenty an hour; a request of seqs 61, 6, 62, 63;
// a batch with a receipt; reading 64. LMDB's files have the machine's width: this one has 64 bits.
TEST_CASE("a journal that an agent of format 1 wrote goes on with its keys") {
  if (sizeof(size_t) != 8) return;
  const auto stored =
      io::read_file(LEDGERLINE_SOURCE_DIR "/tests/golden/journal_format_1.mdb.zst").value();
  const Bytes file = decompress(bytes_of(stored), 53'248).value();
  TemporaryFolder folder;
  JournalOptions options;
  options.folder = folder.path();
  std::ofstream(folder.path() + "/data.mdb", std::ios::binary) << text_of(file);
  FakeClock clock;
  clock.advance(std::chrono::hours(4));
  const auto journal = Journal::open(options, clock).value();
  REQUIRE(journal
              ->begin_boot({.boot_id = *BootId::from(std::string(16, 'b')),
                            .software = "test",
                            .configuration_hash = Digest(),
                            .meters = {{.name = "calls", .unit = "1"}},
                            .clocks = {.monotonic = clock.mono, .wall = clock.wall}})
              .has_value());

  RecordRequest again;
  std::vector<Seq> first;
  for (Seq seq = 1; seq <= 60; ++seq) {
    again.items.push_back(calls(1, "e" + std::to_string(seq - 1)));
    first.push_back(seq);
  }
  const std::vector<RecordRequest> requests = {
      again, request({calls(1), calls(1), calls(1), calls(1)}, "a request"),
      request({calls(7, "last"), calls(7, "new")})};
  const auto answers = journal->record(requests).value();
  CHECK(answers.at(0)->seqs == first);
  CHECK(answers.at(1)->seqs == std::vector<Seq>{61, 6, 62, 63});
  CHECK(answers.at(2)->seqs == std::vector<Seq>{64, 65});
  const JournalStatus status = journal->status().value();
  CHECK(status.acked_upto == 1);
  CHECK(status.sealed_upto == 63);
}
