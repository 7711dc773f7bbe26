#include "collector/intake/custody.h"

#include <catch2/catch.hpp>

#include "collector/store/memory_store.h"
#include "tests/support/batch/crafted_batch.h"
#include "tests/support/device/test_device.h"

namespace ledgerline::collector {
namespace {

using test::TestDevice;

class FixedClock final : public Clock {
 public:
  Timestamp now() override { return Timestamp(1'770'000'000'000); }
  Monotonic monotonic() override { return {}; }
};

struct Desk {
  explicit Desk(StreamClass stream_class = StreamClass::billing)
      : device("acme", "one", stream_class) {
    const auto& key = device.signer->public_key();
    DeviceEnrolment enrolment{.tenant = "acme", .device = "one"};
    enrolment.key = {key.algorithm(), key.id(), key.der(), Timestamp(1), std::nullopt, {}};
    enrolment.streams = {{device.grant, *sign(payload_type::kGrant, encode(device.grant), *signer),
                          device.grant_id}};
    REQUIRE(store->put_device(enrolment));
  }
  [[nodiscard]] Arrival arrival(const Bytes& bytes) const {
    return {device.topic(TopicLeaf::batch), bytes, Timestamp(1'770'000'000'000)};
  }

  std::shared_ptr<MemoryDatabase> database = make_memory_database();
  std::unique_ptr<Store> store = open_memory_store(database);
  std::unique_ptr<Signer> signer = test::new_signer();
  TestDevice device;
  FixedClock clock;
  Custody custody{*store, *signer, clock};
};

Receipt only_receipt(const std::vector<Outbound>& out) {
  REQUIRE(out.size() == 1);
  REQUIRE(out.front().retained);
  const auto set = decode_receipt_set(out.front().payload);
  REQUIRE(set->size() == 1);
  return *decode_receipt(open_signed(set->front(), payload_type::kReceipt)->body);
}

/// A manifest of format 2 with this stream: what a newer agent might send.
Bytes newer_format(const Bytes& sealed) {
  // Field 1 of the manifest is the format; it stands first in the manifest, which stands first in
  // the envelope.
  Bytes out = sealed;
  const Bytes head = {0x08, 0x01};
  const auto at = std::search(out.begin(), out.end(), head.begin(), head.end());
  REQUIRE(at != out.end());
  at[1] = 0x02;
  return out;
}

Arrival beat(const Desk& desk, const Heartbeat& heartbeat) {
  return {desk.device.topic(TopicLeaf::heartbeat),
          *sign(payload_type::kHeartbeat, encode(heartbeat), *desk.device.signer),
          Timestamp(1'770'000'000'000)};
}

/// The receipt in the answer to a resume of the device that says it has receipt `number`.
Receipt answered(Desk& desk, uint64_t number, BatchNumber head, const BatchId& head_id) {
  Resume resume;
  resume.stream = desk.device.grant.stream;
  resume.head_batch = head;
  resume.head_id = head_id;
  resume.receipt_number = number;
  const Arrival arrival{desk.device.topic(TopicLeaf::resume),
                        *sign(payload_type::kResume, encode(resume), *desk.device.signer),
                        Timestamp(1'770'000'000'000)};
  const auto out = desk.custody.accept({arrival});
  REQUIRE(out->size() == 1);
  const auto answer = decode_answer(open_signed(out->front().payload, payload_type::kAnswer)->body);
  REQUIRE(answer->verdict == Verdict::continue_);
  return *decode_receipt(open_signed(answer->receipt, payload_type::kReceipt)->body);
}

/// Further streams of the device, without batches.
void grant_more(Desk& desk, uint8_t count) {
  const auto row = desk.store->device("acme", "one");
  DeviceEnrolment more{.tenant = "acme", .device = "one"};
  more.expected_revision = row->revision;
  more.key = row->keys.front();
  for (uint8_t n = 1; n <= count; ++n) {
    StreamGrant grant = desk.device.grant;
    grant.stream = StreamId(std::array<uint8_t, StreamId::kSize>{n});
    more.streams.push_back(
        {grant, *sign(payload_type::kGrant, encode(grant), *desk.signer), grant_id(encode(grant))});
  }
  REQUIRE(desk.store->put_device(more));
}

}  // namespace

TEST_CASE("custody: a group is one transaction and one receipt") {
  Desk desk;
  const auto chain = desk.device.chain(20);
  std::vector<Arrival> group;
  for (const auto& batch : chain) group.push_back(desk.arrival(batch.bytes));

  const auto out = desk.custody.accept(group);

  const auto receipt = only_receipt(*out);
  CHECK(receipt.linked_upto == 20);
  CHECK(receipt.chain_value == chain.back().id);
  CHECK(receipt.number == 1);
  CHECK(desk.store->stream(desk.device.grant.stream)->revision == 2);  // 1 is the enrolment
  CHECK(desk.custody.next_leaf() == 20);
}

TEST_CASE("custody: duplicates alone write nothing and get the stored receipt") {
  Desk desk;
  const auto chain = desk.device.chain(2);
  const std::vector<Arrival> group = {desk.arrival(chain[0].bytes), desk.arrival(chain[1].bytes)};
  const auto first = desk.custody.accept(group);

  const auto again = desk.custody.accept(group);

  CHECK(again->front().payload == first->front().payload);
  CHECK(desk.store->stream(desk.device.grant.stream)->revision == 2);
  CHECK(desk.custody.counters().duplicates == 2);
}

TEST_CASE(
    "custody: an unknown format is kept once, without a receipt, and offered again at the next "
    "start") {
  Desk desk;
  const auto chain = desk.device.chain(1);
  const auto newer = newer_format(chain[0].bytes);

  for (int i = 0; i < 3; ++i) CHECK(desk.custody.accept({desk.arrival(newer)})->empty());

  const auto kept = desk.store->list_quarantine("acme", "one");
  REQUIRE(kept->size() == 1);
  CHECK(kept->front().reason == "unknown format");
  CHECK(kept->front().bytes == newer);
  Custody restarted(*desk.store, *desk.signer, desk.clock);
  CHECK(restarted.offer_unknown_formats_again()->empty());  // still unknown
  CHECK(restarted.accept({desk.arrival(newer)})->empty());
  CHECK(desk.store->list_quarantine("acme", "one")->size() == 1);

  // As if an older version had not understood what this one does.
  QuarantineItem item{"acme",           "one",          desk.device.topic(TopicLeaf::batch),
                      "unknown format", chain[0].bytes, Timestamp(1)};
  REQUIRE(desk.store->quarantine(item));
  Custody upgraded(*desk.store, *desk.signer, desk.clock);
  CHECK(only_receipt(*upgraded.offer_unknown_formats_again()).linked_upto == 1);
}

TEST_CASE("custody: a device's quarantine has a budget, beyond it nothing is written") {
  Desk desk;
  const Bytes junk(60'000, 7);
  uint64_t kept_before = 0;
  for (int i = 0; i < 100; ++i) {
    REQUIRE(desk.custody.accept({desk.arrival(junk)}));
    const auto counters = desk.store->quarantine_counters("acme", "one");
    CHECK(counters->kept_bytes <= QuarantineCounters::kKeptBytesMax);
    kept_before = counters->kept_count;
  }
  CHECK(kept_before == QuarantineCounters::kKeptBytesMax / junk.size());
  CHECK(desk.custody.counters().refused[static_cast<size_t>(Refusal::not_readable)] == 100);
  CHECK(desk.custody.counters().quarantine_full > 0);
}

TEST_CASE("custody: batches of one group that only link through each other are one chain") {
  Desk desk;
  const auto chain = desk.device.chain(4);
  CHECK(only_receipt(
            *desk.custody.accept({desk.arrival(chain[3].bytes), desk.arrival(chain[1].bytes)}))
            .parked == std::vector<BatchNumber>{2, 4});
  const auto receipt = only_receipt(
      *desk.custody.accept({desk.arrival(chain[2].bytes), desk.arrival(chain[0].bytes)}));
  CHECK(receipt.linked_upto == 4);
  CHECK(receipt.parked.empty());
  CHECK(desk.custody.counters().linked_from_parked == 2);
  for (LeafNumber leaf = 0; leaf < 4; ++leaf)
    CHECK(desk.store->leaf(leaf)->sealed == chain[leaf].bytes);
}

TEST_CASE("custody: a batch by subject is kept, also one whose sections are wrong in themselves") {
  std::vector<test::WrongSections> cases = test::wrong_sections();
  cases.push_back({"nothing wrong", "", [](test::SubjectBatch&) {}});
  for (const auto& each : cases) {
    INFO(each.name);
    Desk desk;
    test::SubjectBatch batch(desk.device.grant.stream);
    each.change(batch);
    auto crafted = batch.crafted();
    crafted.previous = desk.device.grant_id;
    const Bytes sealed = craft(crafted, *desk.device.signer);

    CHECK(only_receipt(*desk.custody.accept({desk.arrival(sealed)})).linked_upto == 1);
    CHECK(desk.store->leaf(0)->sealed == sealed);
  }
}

TEST_CASE("custody: a batch with a section withheld or changed is refused") {
  Desk desk;
  auto crafted = test::SubjectBatch(desk.device.grant.stream).crafted();
  crafted.previous = desk.device.grant_id;
  const Bytes sealed = craft(crafted, *desk.device.signer);

  CHECK(desk.custody.accept({desk.arrival(*withhold_others(sealed, {}))})->empty());
  CHECK(desk.custody.accept({desk.arrival(test::with_wrong_section(sealed))})->empty());

  CHECK(desk.custody.next_leaf() == 0);
  CHECK(only_receipt(*desk.custody.accept({desk.arrival(sealed)})).linked_upto == 1);
}

TEST_CASE("custody: a batch linked for one stream does not answer for a refused one") {
  Desk desk;
  const auto chain = desk.device.chain(1);
  const auto out = desk.custody.accept({desk.arrival(test::with_wrong_section(chain[0].bytes)),
                                        {"ledgerline/v1/x/00/y/receipt", chain[0].bytes, {}}});
  CHECK(out->empty());
  CHECK(desk.store->log_head()->size == 0);
}

TEST_CASE("custody: a fork quarantines the device: its other streams freeze in the same commit") {
  Desk desk;
  grant_more(desk, 1);
  const StreamId other(std::array<uint8_t, StreamId::kSize>{1});
  const auto chain = desk.device.chain(1);
  const auto branch = desk.device.seal_batch(1, desk.device.grant_id, 7);

  const auto out = desk.custody.accept({desk.arrival(chain[0].bytes), desk.arrival(branch.bytes)});

  CHECK(desk.store->stream(desk.device.grant.stream)->status == StreamStatus::frozen);
  CHECK(desk.store->stream(other)->status == StreamStatus::frozen);
  REQUIRE(out->size() == 1);
  const auto receipts = decode_receipt_set(out->front().payload);
  REQUIRE(receipts->size() == 2);
  for (const auto& bytes : *receipts) {
    const auto receipt = decode_receipt(open_signed(bytes, payload_type::kReceipt)->body);
    CHECK(receipt->status == StreamStatus::frozen);
  }
}

TEST_CASE("custody: a device with many streams gets a receipt set that its agent can read") {
  Desk desk;
  grant_more(desk, 20);
  const auto chain = desk.device.chain(1);
  const auto branch = desk.device.seal_batch(1, desk.device.grant_id, 7);

  // The fork freezes them all, so each has a receipt.
  const auto out = desk.custody.accept({desk.arrival(chain[0].bytes), desk.arrival(branch.bytes)});

  REQUIRE(out->size() == 1);
  const auto receipts = decode_receipt_set(out->front().payload);
  REQUIRE(receipts);
  CHECK(receipts->size() == kReceiptSetMax);
}

TEST_CASE("custody: refused messages without content use the budget up, and then cost no commit") {
  Desk desk;
  const std::vector<Arrival> group(500, desk.arrival({}));
  for (int i = 0; i < 4; ++i) REQUIRE(desk.custody.accept(group));

  const auto counters = desk.store->quarantine_counters("acme", "one");
  CHECK(counters->kept_count == QuarantineCounters::kKeptCountMax);
  CHECK(counters->count == QuarantineCounters::kKeptCountMax + 1);  // the one that did not fit
  CHECK(desk.custody.counters().quarantine_full == 999);
  CHECK(desk.custody.counters().refused[static_cast<size_t>(Refusal::not_readable)] == 2000);
}

TEST_CASE("custody: of a group's heartbeats only the newest of a stream is kept") {
  Desk desk;
  std::vector<Arrival> group;
  for (const uint64_t number : {2U, 5U, 3U, 4U}) {
    group.push_back({desk.device.topic(TopicLeaf::heartbeat), desk.device.heartbeat(number, number),
                     Timestamp(1'770'000'000'000)});
  }

  REQUIRE(desk.custody.accept(group));

  const auto track = desk.store->stream(desk.device.grant.stream)->heartbeats;
  CHECK(track.newest.number == 5);
  CHECK(track.waiting.size() == 1);
  CHECK(desk.custody.counters().heartbeats == 1);
  CHECK(desk.custody.counters().heartbeats_stale == 3);
}

TEST_CASE("custody: a promise far ahead of its receipt counts up to then, and a person is told") {
  Desk desk;
  Heartbeat heartbeat{.stream = desk.device.grant.stream, .number = 1};
  heartbeat.complete_through = Timestamp(2'085'978'496'000);  // 2036, before the time was set
  REQUIRE(desk.custody.accept({beat(desk, heartbeat)}));
  heartbeat.number = 2;
  REQUIRE(desk.custody.accept({beat(desk, heartbeat)}));

  CHECK(desk.store->progress("acme", "one")->front().complete_through ==
        Timestamp(1'770'000'000'000));
  const auto exceptions = desk.store->list_exceptions({.kind = "implausible_time"});
  REQUIRE(exceptions->size() == 1);
  CHECK(exceptions->front().device == "one");
  CHECK(exceptions->front().count == 2);
  CHECK_THAT(exceptions->front().detail, Catch::Contains("up to 2036-02-07"));
}

TEST_CASE(
    "custody: a collector put back from a backup numbers on from the newest receipt out there") {
  Desk desk;
  const auto chain = desk.device.chain(4);
  std::vector<Arrival> group;
  for (size_t i = 0; i < 3; ++i) group.push_back(desk.arrival(chain[i].bytes));
  REQUIRE(only_receipt(*desk.custody.accept(group)).number == 1);

  const auto receipt = answered(desk, 40, 3, chain[2].id);

  CHECK(receipt.number == 41);
  CHECK(receipt.linked_upto == 3);
  CHECK(receipt.chain_value == chain[2].id);
  for (const uint64_t older : {40, 5, 0}) CHECK(answered(desk, older, 3, chain[2].id).number == 41);
  CHECK(desk.store->stream(desk.device.grant.stream)->revision == 3);
  CHECK(only_receipt(*desk.custody.accept({desk.arrival(chain[3].bytes)})).number == 42);
}

TEST_CASE("custody: a receipt number that nobody can have issued is not believed") {
  Desk desk;
  const auto chain = desk.device.chain(1);
  REQUIRE(desk.custody.accept({desk.arrival(chain[0].bytes)}));
  for (const uint64_t number : {UINT64_MAX, UINT64_MAX - 1, Custody::kReceiptNumberMax + 1}) {
    CHECK(answered(desk, number, 1, chain[0].id).number == 1);
  }
  CHECK(desk.store->stream(desk.device.grant.stream)->revision == 2);
  CHECK(answered(desk, Custody::kReceiptNumberMax, 1, chain[0].id).number ==
        Custody::kReceiptNumberMax + 1);
}

TEST_CASE("custody: a tombstone is linked like the batches it stands for, and gets their receipt") {
  Desk desk(StreamClass::diagnostic);
  const auto chain = desk.device.chain(12);
  REQUIRE(desk.custody.accept({desk.arrival(chain[0].bytes), desk.arrival(chain[1].bytes)}));
  const Bytes tombstone = desk.device.tombstone(3, 10, chain[1].id, chain[9].id);

  const auto receipt =
      only_receipt(*desk.custody.accept({desk.arrival(tombstone), desk.arrival(chain[10].bytes)}));

  CHECK(receipt.linked_upto == 11);
  CHECK(receipt.chain_value == chain[10].id);
  CHECK(desk.custody.counters().tombstones == 1);
  const auto leaf = desk.store->leaf(2);
  CHECK(leaf->kind == LeafKind::tombstone);
  CHECK(leaf->data == tombstone_id(open_signed(tombstone, payload_type::kTombstone)->body));
  CHECK(leaf->sealed == tombstone);
  // Again, and a batch that it stands for: nothing is news.
  const auto again =
      only_receipt(*desk.custody.accept({desk.arrival(tombstone), desk.arrival(chain[4].bytes)}));
  CHECK(again.number == receipt.number);
  CHECK(desk.custody.counters().duplicates == 2);
  // A longer one of an agent that the receipt did not reach yet.
  const auto longer = only_receipt(*desk.custody.accept(
      {desk.arrival(desk.device.tombstone(3, 12, chain[1].id, chain[11].id))}));
  CHECK(longer.linked_upto == 12);
}

TEST_CASE(
    "custody: a tombstone for a billing stream, or one that is not its device's, is refused") {
  Desk billing;
  const auto chain = billing.device.chain(3);
  const Bytes tombstone = billing.device.tombstone(1, 3, billing.device.grant_id, chain[2].id);
  CHECK(billing.custody.accept({billing.arrival(tombstone)})->empty());
  CHECK(billing.store->list_quarantine("acme", "one")->front().reason ==
        "tombstone for a billing stream");

  Desk desk(StreamClass::diagnostic);
  TestDevice other("acme", "two", StreamClass::diagnostic);
  other.grant.stream = desk.device.grant.stream;
  for (const Bytes& bytes :
       {other.tombstone(1, 3, desk.device.grant_id, chain[2].id),
        *sign(payload_type::kTombstone, Bytes{1, 2, 3}, *desk.device.signer)}) {
    CHECK(desk.custody.accept({desk.arrival(bytes)})->empty());
  }
  CHECK(desk.custody.counters().refused[static_cast<size_t>(Refusal::wrong_key)] == 1);
  CHECK(desk.custody.counters().refused[static_cast<size_t>(Refusal::not_readable)] == 1);
  CHECK(desk.store->log_head()->size == 0);
}

TEST_CASE("custody: a clock a little ahead is nobody's work") {
  Desk desk;
  Heartbeat heartbeat{.stream = desk.device.grant.stream, .number = 1};
  heartbeat.complete_through = Timestamp(1'770'000'060'000);
  REQUIRE(desk.custody.accept({beat(desk, heartbeat)}));

  CHECK(desk.store->progress("acme", "one")->front().complete_through ==
        Timestamp(1'770'000'000'000));
  CHECK(desk.store->list_exceptions({})->empty());
}

}  // namespace ledgerline::collector
