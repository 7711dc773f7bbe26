// A store that was put back signs nothing that contradicts what this collector signed before.

#include <catch2/catch.hpp>
#include <filesystem>

#include "collector/intake/custody.h"
#include "collector/intake/log_checkpoint.h"
#include "collector/store/memory_store.h"
#include "common/io/system.h"
#include "tests/support/device/test_device.h"

namespace ledgerline::collector {
namespace {

using test::TestDevice;

class SteppedClock final : public Clock {
 public:
  Timestamp now() override { return Timestamp(ms += 1000); }
  Monotonic monotonic() override { return {ms}; }
  int64_t ms = 1'770'000'000'000;
};

struct Fleet {
  std::unique_ptr<Signer> signer = test::new_signer();
  TestDevice device{"acme", "one"};
  TestDevice second{"acme", "two"};
  SteppedClock clock;
};

/// A collector on one store. Another one of the same fleet is the same collector after its store
/// was put back.
struct Site {
  explicit Site(Fleet& of, std::string file = {})
      : fleet(of), custody(*store, *of.signer, of.clock, std::move(file)) {
    REQUIRE(store->ensure_origin(first_epoch(of.signer->public_key())));
    enroll(of.device);
    enroll(of.second);
  }
  void enroll(const TestDevice& device) {
    const auto& key = device.signer->public_key();
    DeviceEnrolment enrolment{.tenant = "acme", .device = device.grant.device};
    enrolment.key = {key.algorithm(), key.id(), key.der(), Timestamp(1), std::nullopt, {}};
    enrolment.streams = {{device.grant,
                          *sign(payload_type::kGrant, encode(device.grant), *fleet.signer),
                          device.grant_id}};
    REQUIRE(store->put_device(enrolment));
  }
  std::vector<Outbound> accept(const TestDevice& device, TopicLeaf leaf, Bytes bytes) {
    auto out = custody.accept({{device.topic(leaf), std::move(bytes), fleet.clock.now()}});
    REQUIRE(out);
    return std::move(*out);
  }
  /// Once for a device: another call seals other batches.
  void send(const TestDevice& device, size_t count) {
    for (const auto& batch : device.chain(count)) accept(device, TopicLeaf::batch, batch.bytes);
  }
  /// What the device is shown, and what it then holds, as its agent does.
  CheckpointAnswer ask(const TestDevice& device, const std::string& known = {}) {
    CheckpointRequest request{device.grant.stream, Nonce(), 0, known};
    if (!known.empty()) request.known_size = open_checkpoint(known)->checkpoint.size;
    const auto out =
        accept(device, TopicLeaf::resume,
               *sign(payload_type::kCheckpointRequest, encode(request), *device.signer));
    REQUIRE(out.size() == 1);
    const auto message = open_signed(out.front().payload, payload_type::kCheckpointAnswer);
    return *decode_checkpoint_answer(message->body);
  }
  void show_receipt(const TestDevice& device, BatchNumber upto, Timestamp issued_at) {
    const auto chain = device.chain(upto);
    Receipt receipt;
    receipt.stream = device.grant.stream;
    receipt.number = 40;
    receipt.linked_upto = upto;
    receipt.chain_value = chain.back().id;
    receipt.issued_at = issued_at;
    Resume resume;
    resume.stream = device.grant.stream;
    resume.head_batch = upto;
    resume.head_id = chain.back().id;
    resume.acked_upto = upto;
    resume.receipt_number = 40;
    resume.receipt = *sign(payload_type::kReceipt, encode(receipt), *fleet.signer);
    accept(device, TopicLeaf::resume, device.resume(resume));
  }
  [[nodiscard]] uint32_t epoch() const { return *epoch_in_force(*store); }
  [[nodiscard]] EpochStatement statement(uint64_t number = 1) const {
    const auto leaves = store->statements(LeafKind::epoch, number, 1);
    REQUIRE(leaves);
    REQUIRE(leaves->size() == 1);
    const auto open = open_statement(LeafKind::epoch, leaves->front().sealed);
    REQUIRE(open);
    REQUIRE(verify(open->message, fleet.signer->public_key()));
    return *EpochStatement::parse(open->json);
  }

  Fleet& fleet;
  std::shared_ptr<MemoryDatabase> database = make_memory_database();
  std::unique_ptr<Store> store = open_memory_store(database);
  Custody custody;
};

LogOrigin origin_of(const std::string& note) {
  return *parse_log_origin(open_checkpoint(note)->checkpoint.origin);
}

}  // namespace

TEST_CASE("epoch: a checkpoint of ours that the log does not hold begins one, and is named in it") {
  Fleet fleet;
  Site before(fleet);
  before.send(fleet.device, 5);
  const std::string held = before.ask(fleet.device).note;
  Site after(fleet);
  after.send(fleet.device, 2);
  const LogHead head = *after.store->log_head();

  const CheckpointAnswer answer = after.ask(fleet.device, held);

  CHECK(origin_of(answer.note).epoch == 2);
  CHECK(after.epoch() == 2);
  const EpochStatement statement = after.statement();
  CHECK(statement.shown == held);
  CHECK(statement.log_leaves == 2);
  CHECK(statement.root == head.root);
  CHECK(statement.by == "collector");
  CHECK(after.store->leaf(2)->kind == LeafKind::epoch);
  CHECK(after.store->list_exceptions({.kind = "new_epoch"})->size() == 1);
  CHECK(after.custody.counters().epochs_begun == 1);
  CHECK(after.custody.counters().log_epoch == 2);
  CHECK(after.custody.counters().rating_halted);
  CHECK_FALSE(before.custody.counters().rating_halted);

  after.ask(fleet.second, held);  // accounted for
  after.ask(fleet.device, answer.note);
  CHECK(after.epoch() == 2);
}

TEST_CASE("epoch: a log that has grown past a loss with other leaves is found out as well") {
  Fleet fleet;
  Site before(fleet);
  before.send(fleet.device, 5);
  const std::string held = before.ask(fleet.device).note;
  Site after(fleet);
  after.send(fleet.second, 7);
  after.send(fleet.device, 5);

  CHECK(origin_of(after.ask(fleet.device, held).note).epoch == 2);
}

TEST_CASE("epoch: a log that holds what is shown goes on, and so it does whatever others claim") {
  Fleet fleet;
  Site site(fleet);
  site.send(fleet.device, 300);  // more than a tile
  const std::string held = site.ask(fleet.device).note;
  site.send(fleet.second, 9);
  const auto stranger = test::new_signer();
  const Checkpoint larger{open_checkpoint(held)->checkpoint.origin, 5000, Digest()};

  CHECK(origin_of(site.ask(fleet.device, held).note).epoch == 1);
  CHECK(origin_of(site.ask(fleet.device, *sign_checkpoint(larger, *stranger)).note).epoch == 1);
  CHECK(site.custody.counters().epochs_begun == 0);
}

TEST_CASE("epoch: a store put back twice ends above the epoch that is lost") {
  Fleet fleet;
  Site first(fleet);
  first.send(fleet.device, 5);
  const std::string held = first.ask(fleet.device).note;
  Site second(fleet);
  const std::string of_second = second.ask(fleet.device, held).note;
  REQUIRE(origin_of(of_second).epoch == 2);
  Site third(fleet);

  CHECK(origin_of(third.ask(fleet.device, of_second).note).epoch == 3);
}

TEST_CASE("epoch: one for a store that was put back, however many devices show their receipts") {
  Fleet fleet;
  Site site(fleet);
  const Timestamp lost_life = fleet.clock.now();

  site.show_receipt(fleet.device, 4, lost_life);
  CHECK(site.epoch() == 2);
  CHECK(*rating_halted(*site.store));
  CHECK(site.statement().shown.empty());
  CHECK(site.statement().reason.find("acme/one shows a receipt") != std::string::npos);
  site.show_receipt(fleet.second, 4, lost_life);
  CHECK(site.epoch() == 2);
  CHECK(site.store->list_exceptions({.kind = "recovery"})->size() == 2);

  // Given after this epoch began: what began it was put back once more.
  site.show_receipt(fleet.device, 9, fleet.clock.now());
  CHECK(site.epoch() == 3);
}

TEST_CASE("epoch: the file beside the store tells at the start, before anybody is shown anything") {
  Fleet fleet;
  const std::string folder =
      (std::filesystem::temp_directory_path() / fleet.device.grant.stream.hex()).string();
  std::filesystem::create_directory(folder);
  const std::string file = folder + "/checkpoint";
  {
    Site before(fleet, file);
    REQUIRE(before.custody.compare_with_checkpoint_file());
    before.send(fleet.device, 5);
    const std::string note = before.ask(fleet.device).note;
    CHECK(*io::read_file(file) == note);
    REQUIRE(before.custody.compare_with_checkpoint_file());
    CHECK(before.epoch() == 1);
  }
  Site after(fleet, file);
  after.send(fleet.device, 2);

  REQUIRE(after.custody.compare_with_checkpoint_file());

  CHECK(after.epoch() == 2);
  CHECK(*rating_halted(*after.store));
  CHECK(after.statement().reason.find(file) != std::string::npos);
  CHECK(origin_of(after.ask(fleet.second).note).epoch == 2);
  CHECK(origin_of(*io::read_file(file)).epoch == 2);
  std::filesystem::remove_all(folder);
}

TEST_CASE("epoch: a log that grows meanwhile is named as it is; who was second begins none") {
  Fleet fleet;
  Site site(fleet);
  site.send(fleet.device, 2);
  before_next_write(*site.database, [&] { site.send(fleet.second, 1); });

  const EpochCause cause{.epoch = 1, .shown = std::nullopt, .reason = "r"};
  CHECK(*begin_epoch(*site.store, *fleet.signer, cause, Timestamp(7)) == 2);

  CHECK(site.statement().log_leaves == 3);
  CHECK(*epoch_began(*site.store) == Timestamp(7));
  CHECK_FALSE(*begin_epoch(*site.store, *fleet.signer, cause, Timestamp(8)));
  CHECK(*site.store->statement_count(LeafKind::epoch) == 1);
  const auto stranger = test::new_signer();
  CHECK(begin_epoch(*site.store, *stranger, cause, Timestamp(9)).error().code() == Errc::config);
}

}  // namespace ledgerline::collector
