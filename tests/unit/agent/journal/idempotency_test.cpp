// Idempotency keys over packing, merging, forgetting, restarts and damage.

#include <map>
#include <random>

#include "tests/unit/agent/journal/raw_rows.h"

using namespace ledgerline;
using namespace ledgerline::agent;
using namespace ledgerline::agent::test;

namespace {

/// Packs of 146 keys and a few, merged up to 2340.
JournalOptions small() {
  JournalOptions options;
  options.retention.quota_bytes = 1 << 20;
  options.retention.slice_keys = 3;
  return options;
}

RecordRequest keyed(int first, int count) {
  RecordRequest out;
  for (int i = 0; i < count; ++i) out.items.push_back(calls(1, "e" + std::to_string(first + i)));
  return out;
}

void pass_receipt(Device& device) {
  device.seal();
  const auto batches = device.batches(device.status().acked_upto);
  if (batches.empty()) return;
  const Receipt receipt =
      device.receipt(device.status().receipt_number + 1, batches.back().number, batches.back().id);
  REQUIRE(device.journal->store_receipt(receipt, Bytes{1}).has_value());
}

}  // namespace

TEST_CASE("every key is found again, however it was packed, merged and loaded") {
  Device device(small());
  std::mt19937 random(7);
  std::map<int, Seq> first;
  int next = 0;
  for (int round = 0; round < 400; ++round) {
    const int begin = random() % 3 == 0 && next > 50
                          ? static_cast<int>(random() % static_cast<unsigned>(next - 40))
                          : next;
    const int count = 1 + static_cast<int>(random() % 40);
    const auto seqs = device.seqs(keyed(begin, count));
    for (int i = 0; i < count; ++i) {
      const auto [known, is_new] = first.try_emplace(begin + i, seqs[static_cast<size_t>(i)]);
      REQUIRE(known->second == seqs[static_cast<size_t>(i)]);
      next = std::max(next, begin + i + 1);
    }
    REQUIRE(device.journal->trim().has_value());
    if (round % 16 == 0) pass_receipt(device);
    if (round % 23 == 0) device.open();
  }
  REQUIRE(next > 3'000);
  REQUIRE(device.status().next_seq == static_cast<Seq>(next) + 1);

  device.trim_all();
  device.open();
  for (int i = 0; i < next; ++i) {
    REQUIRE(device.seqs(keyed(i, 1)).front() == first.at(i));
  }
  device.journal.reset();
  CHECK(rows_from(device, keys::fresh_keys(0)) < 146);
  const KeyPacks packs = stored_packs(device);
  CHECK(packs.packs.size() < 12);
  CHECK(packs.doomed.empty());
  uint64_t blocks = 0;
  for (const KeyPack& each : packs.packs) blocks += each.entries / kBlockEntries + 2;
  CHECK(rows_from(device, keys::key_block(0, KeyHash())) <= blocks);
}

TEST_CASE("a merge that ends at any point goes on after a restart") {
  JournalOptions options;
  options.retention.quota_bytes = 4 << 20;
  Device device(options);
  for (int i = 0; i < 8; ++i) {
    device.seqs(keyed(i * 1'000, 1'000));
    if (i < 7) REQUIRE(device.journal->trim().has_value());
  }
  device.open();
  size_t interrupted = 0;
  for (;;) {
    const auto more = device.journal->trim();
    REQUIRE(more.has_value());
    if (!*more) break;
    device.journal.reset();
    if (stored_packs(device).merge) ++interrupted;
    device.open();
    for (int i = 0; i < 8'000; i += 500) REQUIRE(device.seqs(keyed(i, 1)).front() == Seq(i) + 1);
  }
  CHECK(interrupted > 0);
  REQUIRE(device.status().next_seq == 8'001);
  for (int i = 0; i < 8'000; i += 50) REQUIRE(device.seqs(keyed(i, 50)).front() == Seq(i) + 1);
  device.journal.reset();
  const KeyPacks packs = stored_packs(device);
  REQUIRE(packs.packs.size() == 1);
  CHECK(packs.packs.front().entries == 8'000);
}

TEST_CASE("the ranges of one request stay together, in its order, in a block of any size") {
  Device device;
  for (int i = 0; i < 600; i += 2) device.seqs(keyed(i, 1));
  RecordRequest mixed = keyed(0, 600);  // every second one was recorded before
  mixed.request_key = "r1";
  const auto seqs = device.seqs(mixed);
  for (RecordItem& item : mixed.items) item.key.clear();
  for (int i = 0; i < 2; ++i) {
    REQUIRE(device.seqs(mixed) == seqs);
    device.clock.advance(std::chrono::hours(1));
    device.trim_all();
    device.open();
  }
  device.journal.reset();
  CHECK(stored_packs(device).packs.size() == 1);
}

TEST_CASE("where there are keys of one hour only, the next hour packs them") {
  Device device;
  device.seqs(keyed(0, 3));
  device.trim_all();
  CHECK(device.status().oldest_key_hour == hour_of(device.clock.now()));
  device.clock.advance(std::chrono::hours(1));
  device.trim_all();
  CHECK(device.status().oldest_key_hour == hour_of(device.clock.now()) - 1);
  device.journal.reset();
  CHECK(rows_from(device, keys::fresh_keys(0)) == 0);
  CHECK(stored_packs(device).packs.size() == 1);
}

TEST_CASE("a bit that flips in a pack costs at most the key that it hit, and is counted") {
  Device device(small());
  device.seqs(keyed(0, 292));
  device.trim_all();
  device.journal.reset();
  const Bytes block = first_key(device, keys::key_block(0, KeyHash()));
  // Of the first, a middle and the last entry: a hash's highest byte, its lowest, a seq, the count.
  const size_t entry = GENERATE(0, 36, 72, 144);
  const size_t byte = GENERATE(0, 15, 23, 27);
  flip(device, block, entry * KeyEntry::kSize + byte);
  device.open();
  for (int i = 0; i < 292; ++i) device.seqs(keyed(i, 1));

  CHECK(device.status().next_seq <= 294);
  CHECK(device.status().damaged_forgotten == 1);

  for (int i = 1; i < 9; ++i) {  // a merge takes what is left, in order
    device.seqs(keyed(i * 1'000, 292));
    device.trim_all();
  }
  const Seq before = device.status().next_seq;
  for (int i = 0; i < 292; ++i) device.seqs(keyed(i, 1));
  CHECK(device.status().next_seq == before);
  CHECK(device.status().damaged_forgotten == 1);
  device.open();
  CHECK(device.status().damaged_forgotten == 0);  // it was written anew
}

TEST_CASE("of a damaged list of fresh keys what is left answers") {
  Device device;
  const auto first = device.seqs(request({calls(1, "a")}));
  const auto second = device.seqs(request({calls(1, "b"), calls(1, "c")}));
  const auto third = device.seqs(request({calls(1, "d")}));
  device.journal.reset();
  flip(device, keys::fresh_keys(2), 9);  // a byte of b's hash
  device.open();

  CHECK(device.status().damaged_forgotten == 1);
  CHECK(device.seqs(request({calls(1, "a")})) == first);
  CHECK(device.seqs(request({calls(1, "c")})).front() == second.back());
  CHECK(device.seqs(request({calls(1, "d")})) == third);
  CHECK(device.seqs(request({calls(1, "b")})).front() == 5);
  device.clock.advance(std::chrono::hours(1));
  device.trim_all();
  device.journal.reset();
  CHECK(rows_from(device, keys::fresh_keys(0)) == 0);
}

TEST_CASE("a merge that finds no room gives up, and nothing is refused or forgotten for it") {
  JournalOptions options;
  options.retention.quota_bytes = 2 << 20;
  Device device(options);
  int key = 0;
  RecordResult last;
  for (;; key += 100) {  // nothing gets a receipt
    last = device.record(keyed(key, 100));
    if (!last) break;
    REQUIRE(device.journal->trim().has_value());
    REQUIRE(device.status().used_bytes < device.options.retention.quota_bytes + (64 << 10));
  }
  CHECK(last.error().code == Errc::full);
  device.trim_all();
  device.journal.reset();
  const KeyPackLimits limits = key_pack_limits(device.options.retention);
  CHECK(mergeable(stored_packs(device), hour_of(device.clock.now()), limits));  // put off
  device.open();
  pass_receipt(device);
  device.trim_all();
  for (int i = 0; i < key; i += 100) REQUIRE(device.seqs(keyed(i, 100)).front() == Seq(i) + 1);
  device.journal.reset();
  CHECK_FALSE(mergeable(stored_packs(device), hour_of(device.clock.now()), limits));
}

TEST_CASE("for lack of room the oldest pack goes, and one is enough where it gives room") {
  Device device(small());
  for (int hour = 0; hour < 12; ++hour) {
    for (int i = 0; i < 10; ++i) device.seqs(keyed(hour * 2'000 + i * 200, 200));
    pass_receipt(device);
    device.clock.advance(std::chrono::hours(1));
    device.trim_all();
  }
  // 24 000 keys are 672 000 bytes: with batches and skeletons gone first they fit but for the
  // oldest.
  const auto oldest = device.status().oldest_key_hour;
  REQUIRE(oldest.has_value());
  CHECK(device.seqs(keyed(23'000, 1)).front() == 23'001);
  CHECK(*oldest + 12 > hour_of(device.clock.now()) - 1);
}

TEST_CASE("in a journal that keys fill, packs are merged and the newest keys are known") {
  Device device(small());
  int next = 0;
  size_t most = 0;
  for (int round = 0; round < 600; ++round) {
    device.seqs(keyed(next, 60));
    next += 60;
    device.clock.advance(std::chrono::minutes(1));
    if (round % 10 == 0) pass_receipt(device);
    device.trim_all();
    if (round % 10 == 9) {
      device.journal.reset();
      most = std::max(most, stored_packs(device).packs.size());
      device.open();
    }
  }
  CHECK(most <= 30);
  const Seq end = device.status().next_seq;
  for (int i = next - 15'000; i < next; i += 100) {
    REQUIRE(device.seqs(keyed(i, 1)) == std::vector<Seq>{static_cast<Seq>(i) + 1});
  }
  CHECK(device.status().next_seq == end);
}

TEST_CASE("in a full journal under load, few keys wait in memory for their pack") {
  JournalOptions options;
  options.retention.quota_bytes = 2 << 20;
  Device device(options);
  std::mt19937_64 random(5);
  while (device.status().oldest_batch == 1) {
    RecordRequest some;
    for (int i = 0; i < 4'000; ++i) some.items.push_back(calls(random() >> 2));
    device.seqs(some);
    pass_receipt(device);
    device.trim_all();
  }
  for (int group = 0; group < 60; ++group) {
    device.seqs(keyed(group * 300, 300));
    pass_receipt(device);
    REQUIRE(device.journal->trim().has_value());  // one step, as under load
  }
  device.journal.reset();
  CHECK(rows_from(device, keys::fresh_keys(0)) <= 4 * 292 / 300 + 3);
}
