// What a collector does that was put back from an older copy, or lost its store: reliability.md
// 1.5.

#include <catch2/catch.hpp>

#include "collector/intake/custody.h"
#include "collector/store/memory_store.h"
#include "tests/support/device/test_device.h"

namespace ledgerline::collector {
namespace {

using test::TestDevice;

constexpr Timestamp kNow{1'770'000'000'000};

class SteppedClock final : public Clock {
 public:
  Timestamp now() override { return kNow; }
  Monotonic monotonic() override { return {ms += 60'000}; }
  int64_t ms = 0;
};

class Desk {
 public:
  explicit Desk(StreamClass stream_class = StreamClass::billing)
      : device("acme", "one", stream_class) {
    signed_grant = *sign(payload_type::kGrant, encode(device.grant), *signer);
  }

  void enroll() {
    const auto& key = device.signer->public_key();
    DeviceEnrolment enrolment{.tenant = "acme", .device = "one"};
    enrolment.key = {key.algorithm(), key.id(), key.der(), Timestamp(1), std::nullopt, {}};
    enrolment.streams = {{device.grant, signed_grant, device.grant_id}};
    REQUIRE(store->put_device(enrolment));
  }

  [[nodiscard]] Arrival arrival(TopicLeaf leaf, Bytes bytes) const {
    return {device.topic(leaf), std::move(bytes), kNow};
  }
  std::vector<Outbound> accept(TopicLeaf leaf, Bytes bytes) {
    auto out = custody.accept({arrival(leaf, std::move(bytes))});
    REQUIRE(out);
    return std::move(*out);
  }
  void send(const std::vector<SealedBatch>& chain, size_t from, size_t to) {
    for (size_t i = from; i <= to; ++i) accept(TopicLeaf::batch, chain[i - 1].bytes);
  }

  /// A receipt as this collector gave it before it lost what it covers.
  [[nodiscard]] Bytes receipt(uint64_t number, BatchNumber upto, const BatchId& id,
                              Signer& by) const {
    Receipt out;
    out.stream = device.grant.stream;
    out.number = number;
    out.linked_upto = upto;
    out.chain_value = id;
    return *sign(payload_type::kReceipt, encode(out), by);
  }
  /// Of a device with `head` batches and a receipt for `acked` of them.
  Verdict resume(const std::vector<SealedBatch>& chain, BatchNumber head, BatchNumber acked,
                 uint64_t number = 40) {
    return resume_with(chain, head, acked, number,
                       receipt(number, acked, chain[acked - 1].id, *signer));
  }
  Verdict resume_with(const std::vector<SealedBatch>& chain, BatchNumber head, BatchNumber acked,
                      uint64_t number, Bytes shown) {
    Resume resume;
    resume.stream = device.grant.stream;
    resume.head_batch = head;
    resume.head_id = head == 0 ? device.grant_id : chain[head - 1].id;
    resume.acked_upto = acked;
    resume.receipt_number = number;
    resume.receipt = std::move(shown);
    resume.challenge = challenge;
    last_resume = device.resume(resume);
    return hear(last_resume);
  }
  /// As an agent does: what the collector wants to hear back goes into the next resume.
  Verdict hear(const Bytes& resume) {
    const Answer answer = answer_in(accept(TopicLeaf::resume, resume));
    challenge = answer.challenge;
    return answer.verdict;
  }
  static Answer answer_in(const std::vector<Outbound>& out) {
    REQUIRE(out.size() == 1);
    return *decode_answer(open_signed(out.front().payload, payload_type::kAnswer)->body);
  }
  void introduce(Signer& by, const Bytes& grant) {
    const Introduction introduction{grant, by.public_key().algorithm(), by.public_key().der()};
    REQUIRE(accept(TopicLeaf::resume, *sign(payload_type::kIntroduction, encode(introduction), by))
                .empty());
  }

  [[nodiscard]] StreamRow row() const { return *store->stream(device.grant.stream); }
  [[nodiscard]] std::vector<ExceptionRow> exceptions(std::string_view kind) const {
    return *store->list_exceptions({.kind = std::string(kind)});
  }

  std::shared_ptr<MemoryDatabase> database = make_memory_database();
  std::unique_ptr<Store> store = open_memory_store(database);
  std::unique_ptr<Signer> signer = test::new_signer();
  TestDevice device;
  SteppedClock clock;
  Custody custody{*store, *signer, clock};
  Bytes signed_grant;
  Bytes last_resume;
  std::optional<Challenge> challenge;  // of the newest answer
};

}  // namespace

TEST_CASE("recovery: a receipt of ours above our head says what was lost, until it is back") {
  Desk desk;
  desk.enroll();
  const auto chain = desk.device.chain(6);
  desk.send(chain, 1, 2);

  REQUIRE(desk.resume(chain, 6, 5) == Verdict::continue_);

  CHECK(desk.row().presented_upto == 5);
  CHECK(desk.row().presented_receipt == 40);
  CHECK(desk.row().missing() == 3);
  CHECK(desk.custody.counters().recovering == Recovering{.streams = 1, .batches = 3});
  const auto open = desk.exceptions("recovery");
  REQUIRE(open.size() == 1);
  CHECK(open.front().count == 3);
  CHECK(open.front().device == "one");
  CHECK(open.front().detail.find("lost batches 3 to 5") != std::string::npos);

  desk.send(chain, 3, 4);
  CHECK(desk.exceptions("recovery").size() == 1);
  desk.send(chain, 5, 5);
  CHECK(desk.exceptions("recovery").empty());
  CHECK(desk.custody.counters().recovering == Recovering{});
}

TEST_CASE("recovery: the same resume again, or an older one, changes nothing") {
  Desk desk;
  desk.enroll();
  const auto chain = desk.device.chain(6);
  desk.send(chain, 1, 2);
  REQUIRE(desk.resume(chain, 6, 5) == Verdict::continue_);
  const uint64_t revision = desk.row().revision;

  desk.resume(chain, 6, 5);
  desk.resume(chain, 6, 4, 39);

  CHECK(desk.row().revision == revision);
  CHECK(desk.row().presented_upto == 5);
}

TEST_CASE("recovery: what a device only says, or another collector signed, proves no loss") {
  Desk desk;
  desk.enroll();
  const auto chain = desk.device.chain(6);
  desk.send(chain, 1, 2);
  const auto stranger = test::new_signer();

  desk.resume_with(chain, 6, 5, 40, {});
  desk.resume_with(chain, 6, 5, 40, desk.receipt(40, 5, chain[4].id, *stranger));

  CHECK(desk.row().presented_upto == 0);
  CHECK(desk.exceptions("recovery").empty());
  CHECK(desk.custody.counters().behind_agent == 2);
}

TEST_CASE("recovery: a heartbeat that shows more than is held makes the device ask") {
  Desk desk;
  desk.enroll();
  const auto chain = desk.device.chain(6);
  desk.send(chain, 1, 2);
  Heartbeat beat;
  beat.stream = desk.device.grant.stream;
  beat.number = 1;
  beat.head_id = chain[5].id;
  beat.acked_upto = 5;
  beat.receipt_number = 40;
  const auto message = [&] {
    return *sign(payload_type::kHeartbeat, encode(beat), *desk.device.signer);
  };

  const auto out = desk.accept(TopicLeaf::heartbeat, message());

  REQUIRE(out.size() == 1);
  const auto set = decode_receipt_set(out.front().payload);
  const auto receipt = *decode_receipt(open_signed(set->front(), payload_type::kReceipt)->body);
  CHECK(receipt.number > 40);
  CHECK(receipt.linked_upto == 2);
  // It was told, and has not asked a minute later: the receipt may be lost. The number stays.
  beat.number = 2;
  const auto again = desk.accept(TopicLeaf::heartbeat, message());
  REQUIRE(again.size() == 1);
  CHECK(again.front().payload == out.front().payload);
  REQUIRE(desk.resume(chain, 6, 5) == Verdict::continue_);
  beat.number = 3;
  CHECK(desk.accept(TopicLeaf::heartbeat, message()).empty());  // it has shown the proof
}

TEST_CASE("recovery: a billing stream takes a tombstone for what was lost here, and no other") {
  Desk desk;
  desk.enroll();
  const auto chain = desk.device.chain(8);
  desk.send(chain, 1, 2);
  const auto tombstone = [&](BatchNumber first, BatchNumber last) {
    const BatchId& previous = first == 1 ? desk.device.grant_id : chain[first - 2].id;
    return desk.device.tombstone(first, last, previous, chain[last - 1].id);
  };
  const auto refused = [&] {
    return desk.custody.counters().refused[static_cast<size_t>(Refusal::billing_tombstone)];
  };
  desk.accept(TopicLeaf::batch, tombstone(3, 4));
  CHECK(refused() == 1);  // nothing is known to be lost
  REQUIRE(desk.resume(chain, 8, 6) == Verdict::continue_);
  desk.accept(TopicLeaf::batch, tombstone(3, 7));
  CHECK(refused() == 2);  // beyond the receipt
  CHECK(desk.row().head_number == 2);

  desk.accept(TopicLeaf::batch, tombstone(1, 4));

  CHECK(desk.row().head_number == 4);
  CHECK(desk.store->leaf(2)->kind == LeafKind::tombstone);
  desk.send(chain, 5, 6);
  CHECK(desk.row().missing() == 0);
  CHECK(desk.exceptions("recovery").empty());
  desk.accept(TopicLeaf::batch, tombstone(5, 6));
  CHECK(refused() == 3);   // all is back
  desk.send(chain, 3, 3);  // lies inside the tombstone
  CHECK(desk.custody.counters().duplicates == 1);
}

TEST_CASE("rollback: what is held beyond the device is said, until the device goes on") {
  Desk desk;
  desk.enroll();
  const auto chain = desk.device.chain(6);
  desk.send(chain, 1, 5);

  REQUIRE(desk.resume(chain, 3, 3, 3) == Verdict::rollback);
  CHECK(desk.exceptions("rollback").empty());
  REQUIRE(desk.resume(chain, 3, 3, 3) == Verdict::rollback);

  const auto open = desk.exceptions("rollback");
  REQUIRE(open.size() == 1);
  CHECK(open.front().count == 2);
  CHECK(open.front().detail.find("batches 4 to 5 beyond that") != std::string::npos);
  CHECK(desk.row().rolled_back);
  desk.resume(chain, 3, 3, 3);
  CHECK(desk.exceptions("rollback").size() == 1);
  desk.send(chain, 6, 6);
  CHECK(desk.exceptions("rollback").empty());
  CHECK_FALSE(desk.row().rolled_back);
}

TEST_CASE("rollback: a resume of the past that comes again says nothing about now") {
  Desk desk;
  desk.enroll();
  const auto chain = desk.device.chain(6);
  desk.send(chain, 1, 3);
  REQUIRE(desk.resume(chain, 3, 3, 3) == Verdict::continue_);
  const Bytes old = desk.last_resume;
  desk.send(chain, 4, 5);

  for (int again = 0; again < 3; ++again) REQUIRE(desk.hear(old) == Verdict::rollback);
  CHECK(desk.exceptions("rollback").empty());

  // What a device that was put back proved about itself is no proof once it has gone on.
  REQUIRE(desk.resume(chain, 3, 3, 3) == Verdict::rollback);
  const Bytes proof = desk.last_resume;
  REQUIRE(desk.exceptions("rollback").size() == 1);
  desk.send(chain, 6, 6);
  REQUIRE(desk.exceptions("rollback").empty());
  REQUIRE(desk.hear(proof) == Verdict::rollback);
  CHECK(desk.exceptions("rollback").empty());
}

TEST_CASE("rollback: ends where the device proves that it has all again, and not by a replay") {
  Desk desk;
  desk.enroll();
  const auto chain = desk.device.chain(5);
  desk.send(chain, 1, 5);
  REQUIRE(desk.resume(chain, 5, 5, 5) == Verdict::continue_);
  const Bytes whole = desk.last_resume;
  REQUIRE(desk.resume(chain, 3, 3, 3) == Verdict::rollback);
  REQUIRE(desk.resume(chain, 3, 3, 3) == Verdict::rollback);
  const Bytes proof = desk.last_resume;
  REQUIRE(desk.exceptions("rollback").size() == 1);

  REQUIRE(desk.hear(whole) == Verdict::continue_);
  CHECK(desk.exceptions("rollback").size() == 1);
  REQUIRE(desk.resume(chain, 5, 5, 5) == Verdict::continue_);
  CHECK(desk.exceptions("rollback").empty());
  REQUIRE(desk.hear(proof) == Verdict::rollback);
  CHECK(desk.exceptions("rollback").empty());
}

TEST_CASE("fork: says which batch, how many starts of the agent, and what to do") {
  Desk desk;
  desk.enroll();
  const auto chain = desk.device.chain(2);
  desk.send(chain, 1, 2);
  const auto branch = desk.device.seal_batch(2, chain[0].id, 7);

  desk.accept(TopicLeaf::batch, branch.bytes);

  const auto open = desk.exceptions("fork");
  REQUIRE(open.size() == 1);
  CHECK(open.front().detail.find("batch 2 came with other contents") != std::string::npos);
  CHECK(open.front().detail.find("starts of the agent") != std::string::npos);
}

TEST_CASE("introduction: a store that knows nobody answers, and lets in only in recover mode") {
  Desk desk;
  const auto chain = desk.device.chain(4);
  REQUIRE(desk.resume(chain, 4, 3) == Verdict::unknown_stream);
  desk.introduce(*desk.device.signer, desk.signed_grant);
  CHECK(desk.custody.counters().unknown_streams == 1);
  const auto unknown = desk.exceptions("unknown_stream");
  REQUIRE(unknown.size() == 1);
  CHECK(unknown.front().device == "one");
  CHECK_FALSE(desk.store->device("acme", "one"));

  REQUIRE(desk.store->put_recovery_mode({.active = true, .reason = "disk lost"}));
  desk.introduce(*desk.device.signer, desk.signed_grant);

  CHECK(desk.exceptions("unknown_stream").empty());
  REQUIRE(desk.exceptions("introduced").size() == 1);
  CHECK(desk.row().head_number == 0);
  CHECK(desk.row().grant_id == desk.device.grant_id);
  REQUIRE(desk.resume(chain, 4, 3) == Verdict::continue_);
  CHECK(desk.row().missing() == 3);
  desk.send(chain, 1, 4);
  CHECK(desk.row().missing() == 0);
  CHECK(desk.row().head_number == 4);
  desk.introduce(*desk.device.signer, desk.signed_grant);  // again: it is known
  CHECK(desk.custody.counters().introduced == 1);
}

TEST_CASE("introduction: only of our grant, by its key, on its topic") {
  Desk desk;
  REQUIRE(desk.store->put_recovery_mode({.active = true, .reason = "disk lost"}));
  const auto stranger = test::new_signer();
  StreamGrant other = desk.device.grant;
  other.device = "two";

  desk.introduce(*desk.device.signer,
                 *sign(payload_type::kGrant, encode(desk.device.grant), *stranger));
  desk.introduce(*stranger, desk.signed_grant);
  desk.introduce(*desk.device.signer, *sign(payload_type::kGrant, encode(other), *desk.signer));

  CHECK(desk.custody.counters().introduced == 0);
  CHECK_FALSE(desk.store->device("acme", "one"));
  CHECK(desk.custody.counters().refused[static_cast<size_t>(Refusal::bad_signature)] == 1);
  CHECK(desk.custody.counters().refused[static_cast<size_t>(Refusal::foreign_topic)] == 2);
}

TEST_CASE("introduction: a revoked key and a stream that another one replaced stay out") {
  Desk desk;
  desk.enroll();
  REQUIRE(desk.store->put_recovery_mode({.active = true, .reason = "older copy"}));
  StreamGrant older = desk.device.grant;
  older.stream = StreamId(std::array<uint8_t, StreamId::kSize>{1});
  older.issued_at = desk.device.grant.issued_at - std::chrono::hours(1);
  desk.introduce(*desk.device.signer, *sign(payload_type::kGrant, encode(older), *desk.signer));
  CHECK_FALSE(desk.store->stream(older.stream));
  CHECK(desk.exceptions("unknown_stream").size() == 1);

  StreamGrant newer = desk.device.grant;
  newer.stream = StreamId(std::array<uint8_t, StreamId::kSize>{2});
  newer.issued_at = desk.device.grant.issued_at + std::chrono::hours(1);
  desk.introduce(*desk.device.signer, *sign(payload_type::kGrant, encode(newer), *desk.signer));
  CHECK(desk.store->stream(newer.stream)->status == StreamStatus::open);
  CHECK(desk.row().status == StreamStatus::closed);  // it took its place

  REQUIRE(desk.store->revoke_key("acme", "one", desk.device.grant.key, Timestamp(5), "stolen"));
  StreamGrant newest = newer;
  newest.stream = StreamId(std::array<uint8_t, StreamId::kSize>{3});
  newest.issued_at = newer.issued_at + std::chrono::hours(1);
  desk.introduce(*desk.device.signer, *sign(payload_type::kGrant, encode(newest), *desk.signer));
  CHECK_FALSE(desk.store->stream(newest.stream));
}

TEST_CASE("a heartbeat of a stream that is not here is answered, once in a while") {
  Desk desk;
  const auto answer =
      Desk::answer_in(desk.accept(TopicLeaf::heartbeat, desk.device.heartbeat(1, 1)));
  CHECK(answer.verdict == Verdict::unknown_stream);
  CHECK(answer.nonce == Nonce());
  CHECK(answer.stream == desk.device.grant.stream);
}

}  // namespace ledgerline::collector
