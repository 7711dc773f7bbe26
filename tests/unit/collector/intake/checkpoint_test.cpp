#include <catch2/catch.hpp>

#include "collector/intake/custody.h"
#include "collector/intake/log_checkpoint.h"
#include "collector/store/memory_store.h"
#include "tests/support/device/test_device.h"

namespace ledgerline::collector {
namespace {

using test::TestDevice;

constexpr Timestamp kNow(1'770'000'000'000);

class FixedClock final : public Clock {
 public:
  Timestamp now() override { return kNow; }
  Monotonic monotonic() override { return {}; }
};

struct Desk {
  Desk() {
    const auto& key = device.signer->public_key();
    DeviceEnrolment enrolment{.tenant = "acme", .device = "one"};
    enrolment.key = {key.algorithm(), key.id(), key.der(), Timestamp(1), std::nullopt, {}};
    enrolment.streams = {{device.grant, *sign(payload_type::kGrant, encode(device.grant), *signer),
                          device.grant_id}};
    REQUIRE(store->put_device(enrolment));
    REQUIRE(store->ensure_origin({signer->public_key().id().hex(), "ledgerline", 2}));
  }
  void link(size_t from, size_t to) {
    std::vector<Arrival> group;
    for (size_t i = from; i < to; ++i)
      group.push_back({device.topic(TopicLeaf::batch), chain[i].bytes, kNow});
    REQUIRE(custody.accept(group));
  }
  std::vector<Outbound> ask(uint64_t known, Signer& asker, StreamId stream) {
    const CheckpointRequest request{stream, nonce, known};
    const Bytes bytes = *sign(payload_type::kCheckpointRequest, encode(request), asker);
    auto out = custody.accept({{device.topic(TopicLeaf::resume), bytes, kNow}});
    REQUIRE(out);
    return std::move(*out);
  }
  CheckpointAnswer answer(uint64_t known) {
    const auto out = ask(known, *device.signer, device.grant.stream);
    REQUIRE(out.size() == 1);
    REQUIRE(out.front().topic == device.topic(TopicLeaf::answer));
    REQUIRE_FALSE(out.front().retained);
    const auto message = open_signed(out.front().payload, payload_type::kCheckpointAnswer);
    REQUIRE(message);
    REQUIRE(verify(*message, signer->public_key()));
    const auto answer = decode_checkpoint_answer(message->body);
    REQUIRE(answer);
    REQUIRE(answer->nonce == nonce);
    REQUIRE(answer->stream == device.grant.stream);
    return *answer;
  }

  std::unique_ptr<Store> store = make_memory_store();
  std::unique_ptr<Signer> signer = test::new_signer();
  TestDevice device{"acme", "one"};
  std::vector<SealedBatch> chain = device.chain(12);
  FixedClock clock;
  Custody custody{*store, *signer, clock};
  Nonce nonce{{7, 7, 7}};
};

}  // namespace

TEST_CASE("checkpoint: a device is shown the log with the proof that it contains what it knows") {
  Desk desk;
  desk.link(0, 5);
  const auto before = open_checkpoint(desk.answer(0).note);
  desk.link(5, 12);

  const auto answer = desk.answer(5);

  const auto after = open_checkpoint(answer.note);
  REQUIRE(verify_checkpoint(*after, desk.signer->public_key()));
  CHECK(after->checkpoint.size == 12);
  CHECK(parse_log_origin(after->checkpoint.origin)->epoch == 2);
  CHECK(verify_consistency(5, before->checkpoint.root, 12, after->checkpoint.root,
                           answer.consistency));
  CHECK(desk.answer(12).consistency.empty());
  CHECK(desk.answer(99).consistency.empty());
  CHECK(desk.custody.counters().checkpoints == 4);
  CHECK(desk.custody.counters().resumes == 0);
}

TEST_CASE("checkpoint: who is no device of the stream gets nothing") {
  Desk desk;
  const auto stranger = test::new_signer();
  CHECK(desk.ask(0, *stranger, desk.device.grant.stream).empty());
  CHECK(desk.ask(0, *desk.device.signer, StreamId()).empty());
  CHECK(desk.custody.counters().checkpoints == 0);
}

TEST_CASE("checkpoint: a log of another key is shown to nobody, and custody goes on") {
  Desk desk;
  const auto other = test::new_signer();
  Custody custody(*desk.store, *other, desk.clock);
  const CheckpointRequest request{desk.device.grant.stream, desk.nonce, 0};
  const Bytes bytes = *sign(payload_type::kCheckpointRequest, encode(request), *desk.device.signer);

  const auto out = custody.accept({{desk.device.topic(TopicLeaf::resume), bytes, kNow}});

  REQUIRE(out);
  CHECK(out->empty());
  CHECK(custody.counters().checkpoints_failed == 1);
}

TEST_CASE("checkpoint: the stored note is shown as long as it is of this very tree") {
  Desk desk;
  desk.link(0, 3);
  const std::string plain = *current_checkpoint(*desk.store, *desk.signer);
  const std::string cosigned = plain + "\xe2\x80\x94 witness AAAAAAE=\n";
  REQUIRE(desk.store->put_checkpoint("", cosigned));

  CHECK(*current_checkpoint(*desk.store, *desk.signer) == cosigned);
  desk.link(3, 4);
  CHECK(open_checkpoint(*current_checkpoint(*desk.store, *desk.signer))->checkpoint.size == 4);
}

}  // namespace ledgerline::collector
