// A diagnostic journal that is full gives up its oldest batches; a billing one never does.

#include "tests/unit/agent/journal/fixture.h"

using namespace ledgerline;
using namespace ledgerline::agent;
using namespace ledgerline::agent::test;

namespace {

JournalOptions small() {
  JournalOptions options;
  options.retention.quota_bytes = 1 << 20;
  options.retention.reserve_bytes = 512 << 10;
  return options;
}

RecordRequest bulky() {
  std::vector<RecordItem> items(100, calls(1));
  static int number = 0;
  for (auto& item : items) {
    item.reading.subject = to_hex(sha256(bytes_of(std::to_string(++number))).view());
  }
  return request(std::move(items));
}

/// Records and seals, as an agent without a collector does. Returns how many readings were taken.
size_t fill(Device& device, int requests) {
  size_t recorded = 0;
  for (int i = 0; i < requests; ++i) {
    if (const auto answer = device.record(bulky())) recorded += answer->seqs.size();
    device.seal();
    device.trim_all();
    device.clock.advance(std::chrono::seconds(1));
  }
  return recorded;
}

StoredBatch first_after(Device& device, BatchNumber number) {
  const auto stored = device.journal->batches_after(number, {});
  if (!stored) FAIL(stored.error().text());
  REQUIRE_FALSE(stored->empty());
  return stored->front();
}

Tombstone tombstone_of(const StoredBatch& stored) {
  REQUIRE(stored.tombstone_from != 0);
  const auto out = decode_tombstone(stored.sealed);
  if (!out) FAIL(out.error().text());
  return *out;
}

Manifest manifest_of(const StoredBatch& stored) {
  const auto open = open_envelope(stored.sealed);
  REQUIRE(open.has_value());
  return open->manifest;
}

}  // namespace

TEST_CASE("a full diagnostic journal takes every reading and gives up the oldest batches") {
  Device device(small(), StreamClass::diagnostic);

  REQUIRE(fill(device, 400) == 40'000);

  const auto status = device.status();
  REQUIRE(status.next_seq == 40'001);
  REQUIRE(status.used_bytes < (1 << 20));
  const auto stored = first_after(device, 0);
  const Tombstone tombstone = tombstone_of(stored);
  REQUIRE(device.journal->batches_after(0, {})->size() == 1);
  CHECK(tombstone.stream == device.grant.stream);
  CHECK(tombstone.first_batch == 1);
  CHECK(tombstone.last_batch == stored.number);
  CHECK(tombstone.last_batch > 64);
  CHECK(tombstone.first_seq == 1);
  CHECK(tombstone.previous == grant_id(device.grant_body));
  CHECK(tombstone.from == Timestamp(1'800'000'000'000));
  CHECK(tombstone.created_at > tombstone.from);
  CHECK(status.dropped == tombstone.last_seq);

  // The rest links behind it, decodes with its meters and adds up from its totals.
  MeterRows meters;
  REQUIRE(apply_meter_tables(tombstone.records, meters));
  BatchId previous = tombstone.last_id;
  Seq next_seq = tombstone.last_seq + 1;
  Int128 total = tombstone.totals.front().second;
  for (const auto& batch : device.batches(stored.number)) {
    const auto open = open_envelope(batch.sealed);
    REQUIRE(open->manifest.previous == previous);
    REQUIRE(open->manifest.first_seq == next_seq);
    const auto columns = open_columns(*open, meters);
    REQUIRE(columns.has_value());
    for (const int64_t value : columns->values) total += value;
    REQUIRE(open->manifest.totals.front().second == total);
    previous = open->id;
    next_seq = open->manifest.last_seq + 1;
  }
  CHECK(next_seq == 40'001);
}

TEST_CASE("a full diagnostic journal remembers the keys of the readings that it has") {
  Device device(small(), StreamClass::diagnostic);
  int key = 0;
  const auto keyed = [&](int first) {
    RecordRequest out = bulky();
    for (auto& item : out.items) item.key = std::to_string(first++);
    return out;
  };
  for (int i = 0; i < 400; ++i, key += 100) {
    REQUIRE(device.seqs(keyed(key)).size() == 100);
    device.seal();
    device.trim_all();
  }
  const Seq kept_from = manifest_of(first_after(device, first_after(device, 0).number)).first_seq;
  CHECK(kept_from > 1'000);
  CHECK(kept_from < 39'901);

  CHECK(device.seqs(keyed(key - 100)).front() == 39'901);  // the newest request again
  CHECK(device.seqs(keyed(0)).front() > 40'000);           // the oldest is forgotten
}

TEST_CASE("a full billing journal gives up nothing that has no receipt") {
  Device device(small());
  REQUIRE(fill(device, 400) < 40'000);
  CHECK(device.status().oldest_batch == 1);
  CHECK(device.status().dropped == 0);
  CHECK(first_after(device, 0).tombstone_from == 0);
}

TEST_CASE("a tombstone names the newest boot and anchor of what was given up") {
  Device device(small(), StreamClass::diagnostic);
  fill(device, 30);
  device.open();  // boot 2, of which the records are given up too
  fill(device, 400);

  const Tombstone tombstone = tombstone_of(first_after(device, 0));

  std::vector<BootId> boots;
  std::vector<Timestamp> anchors;
  for (const Record& record : tombstone.records) {
    CHECK(record.before_seq == tombstone.last_seq + 1);
    if (const auto* boot = std::get_if<BootRecord>(&record.kind)) boots.push_back(boot->boot_id);
    if (const auto* anchor = std::get_if<ClockAnchor>(&record.kind))
      anchors.push_back(anchor->wall);
  }
  CHECK(boots == std::vector<BootId>{*BootId::from(std::string(16, 2))});
  CHECK(anchors == std::vector<Timestamp>{Timestamp(1'800'000'000'000) + std::chrono::seconds(30)});
}

TEST_CASE("a tombstone is there after a restart, and grows until a receipt covers it") {
  Device device(small(), StreamClass::diagnostic);
  fill(device, 300);
  const auto before = first_after(device, 0);
  device.open();
  CHECK(first_after(device, 0).sealed == before.sealed);

  fill(device, 100);

  const auto after = first_after(device, 0);
  CHECK(after.tombstone_from == 1);
  CHECK(after.number > before.number);
  CHECK(first_after(device, before.number).sealed == after.sealed);
}

TEST_CASE("a receipt for the end of a tombstone settles it, and the next one begins behind") {
  Device device(small(), StreamClass::diagnostic);
  fill(device, 300);
  const auto stored = first_after(device, 0);

  REQUIRE(device.journal->store_receipt(device.receipt(1, stored.number, stored.id), {}) ==
          ReceiptOutcome::stored);

  CHECK(device.status().dropped == 0);
  CHECK(first_after(device, stored.number).tombstone_from == 0);
  fill(device, 300);
  const Tombstone next = tombstone_of(first_after(device, stored.number));
  CHECK(next.first_batch == stored.number + 1);
  CHECK(next.previous == stored.id);
  CHECK(next.first_seq == tombstone_of(stored).last_seq + 1);
  CHECK(next.from > tombstone_of(stored).from);
  // A collector that was put back from before the receipt is told of both at once.
  CHECK(first_after(device, 0).tombstone_from == 1);
  CHECK(first_after(device, 0).number == next.last_batch);
}

TEST_CASE("a receipt for a batch that was on its way when it was given up shortens the tombstone") {
  Device device(small(), StreamClass::diagnostic);
  device.seqs(bulky());
  device.seal();
  const auto sent = first_after(device, 0);
  fill(device, 300);
  const auto whole = first_after(device, 0);

  SECTION("where its id is known still") {
    REQUIRE(device.journal->store_receipt(device.receipt(1, 1, sent.id), {}) ==
            ReceiptOutcome::stored);
    const Tombstone rest = tombstone_of(first_after(device, 1));
    CHECK(rest.first_batch == 2);
    CHECK(rest.last_batch == whole.number);
    CHECK(rest.previous == sent.id);
    CHECK(rest.first_seq == manifest_of(sent).last_seq + 1);
  }
  SECTION("and with another id it is refused") {
    const auto outcome = device.journal->store_receipt(device.receipt(1, 1, whole.id), {});
    CHECK(outcome.error().code() == Errc::corrupt);
    CHECK(device.status().acked_upto == 0);
  }
  SECTION("but proves nothing where the id went too") {
    const auto outcome =
        device.journal->store_receipt(device.receipt(1, whole.number - 1, sent.id), {});
    REQUIRE(outcome == ReceiptOutcome::unproven);
    CHECK(device.status().acked_upto == 0);
    CHECK(first_after(device, whole.number - 1).number == whole.number);
  }
}

TEST_CASE("skeletons are trimmed over the gaps that tombstones leave") {
  JournalOptions options = small();
  options.retention.skeleton_age = std::chrono::hours(1);
  Device device(options, StreamClass::diagnostic);
  fill(device, 300);
  const auto stored = first_after(device, 0);
  REQUIRE(device.journal->store_receipt(device.receipt(1, stored.number, stored.id), {}));
  device.clock.advance(std::chrono::hours(2));

  device.trim_all();

  CHECK(device.status().oldest_skeleton == stored.number);
  CHECK(device.status().damaged_forgotten == 0);
  CHECK(device.journal->store_receipt(device.receipt(1, stored.number, stored.id), {}) ==
        ReceiptOutcome::repeated);
}

namespace {

/// A billing journal under receipts that had to forget batches for lack of room.
struct Forgetful {
  Forgetful() {
    for (int i = 0; i < 400; ++i) {
      REQUIRE(device.record(bulky()));
      device.seal();
      const auto state = *device.journal->resume_state();
      const Receipt receipt = device.receipt(++number, state.head_batch, state.head_id);
      if (i % 10 == 9) REQUIRE(device.journal->store_receipt(receipt, Bytes{1}).has_value());
      device.trim_all();
      device.clock.advance(std::chrono::seconds(1));
    }
    REQUIRE(device.status().oldest_batch > 10);
  }
  Device device{small()};
  uint64_t number = 0;
};

}  // namespace

TEST_CASE(
    "what a billing journal forgot under a receipt, a tombstone stands for when asked again") {
  Forgetful forgetful;
  Device& device = forgetful.device;
  const BatchNumber oldest = device.status().oldest_batch;

  const auto stored = first_after(device, 0);

  const Tombstone tombstone = tombstone_of(stored);
  CHECK(stored.number == oldest - 1);
  CHECK(tombstone.first_batch == 1);
  CHECK(tombstone.previous == grant_id(device.grant_body));
  CHECK(tombstone.first_seq == 1);
  CHECK(tombstone.reason.find("receipt") != std::string::npos);
  // The rest decodes behind it and adds up from its totals.
  MeterRows meters;
  REQUIRE(apply_meter_tables(tombstone.records, meters));
  const auto rest = first_after(device, stored.number);
  const auto open = open_envelope(rest.sealed);
  CHECK(open->manifest.previous == tombstone.last_id);
  CHECK(open->manifest.first_seq == tombstone.last_seq + 1);
  const auto columns = open_columns(*open, meters);
  REQUIRE(columns.has_value());
  Int128 total = tombstone.totals.front().second;
  for (const int64_t value : columns->values) total += value;
  CHECK(open->manifest.totals.front().second == total);
  // It brings the boot that the rest belongs to.
  const auto boot =
      std::find_if(tombstone.records.begin(), tombstone.records.end(),
                   [](const Record& r) { return std::holds_alternative<BootRecord>(r.kind); });
  REQUIRE(boot != tombstone.records.end());
  CHECK(std::get<BootRecord>(boot->kind).boot_id != BootId());
}

TEST_CASE("a tombstone begins behind what the collector has, where that skeleton is kept") {
  Forgetful forgetful;
  Device& device = forgetful.device;
  const auto status = device.status();
  const BatchNumber after = status.oldest_batch - 3;
  REQUIRE(status.oldest_skeleton <= after);
  CHECK(tombstone_of(first_after(device, after)).first_batch == after + 1);
  device.open();  // it survives a restart
  CHECK(tombstone_of(first_after(device, 0)).last_batch == status.oldest_batch - 1);
}
