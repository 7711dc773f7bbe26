#include "agent/core/checkpoint_watch.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {

namespace {

constexpr Timestamp kNow(1'770'000'000'000);

std::unique_ptr<Signer> new_signer() {
  return std::move(*signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519)));
}

/// A collector that shows any tree it likes.
class Collector {
 public:
  /// `branch` tells two histories apart that are the same up to `fork`.
  [[nodiscard]] std::vector<Bytes> leaves(uint64_t size, uint8_t branch = 0,
                                          uint64_t fork = 0) const {
    std::vector<Bytes> out;
    for (uint64_t n = 0; n < size; ++n)
      out.push_back({static_cast<uint8_t>(n), n < fork ? uint8_t{0} : branch});
    return out;
  }
  [[nodiscard]] std::string note(const std::vector<Bytes>& leaves, uint32_t epoch = 1,
                                 const std::string& log = "ledgerline") const {
    LogTree tree;
    for (const Bytes& leaf : leaves) tree.append(leaf);
    const LogOrigin origin{signer->public_key().id().hex(), log, epoch};
    return *sign_checkpoint({to_string(origin), tree.size(), tree.root()}, *signer);
  }
  /// With the proof that the shown tree contains its own first `known` leaves.
  [[nodiscard]] CheckpointAnswer answer(uint64_t known, const std::vector<Bytes>& shown,
                                        uint32_t epoch = 1) const {
    CheckpointAnswer out;
    out.note = note(shown, epoch);
    const NodeReader node = [&](unsigned level, uint64_t index) -> Result<Digest> {
      LogTree tree;
      for (uint64_t n = index << level; n < (index + 1) << level; ++n) tree.append(shown.at(n));
      return tree.root();
    };
    if (known < shown.size()) out.consistency = *consistency_proof(known, shown.size(), node);
    return out;
  }
  [[nodiscard]] const PublicKey& key() const { return signer->public_key(); }

  std::unique_ptr<Signer> signer = new_signer();
};

LogSightings held_after(const LogSightings& held, const CheckpointAnswer& answer,
                        const Collector& collector, Sighting expected) {
  const auto verdict = judge_checkpoint(held, answer, collector.key(), kNow);
  INFO((verdict ? verdict->why : verdict.error().text()));
  REQUIRE(verdict);
  REQUIRE(verdict->sighting == expected);
  return verdict->next;
}

}  // namespace

TEST_CASE("checkpoint watch: the log may grow, and nothing else", "[checkpoint_watch]") {
  const Collector collector;
  LogSightings held;
  uint64_t known = 0;
  held = held_after(held, collector.answer(0, collector.leaves(3)), collector, Sighting::first);
  for (const uint64_t size : {3, 4, 4, 9, 70}) {
    known = held.size;
    const auto answer = collector.answer(known, collector.leaves(size));
    held = held_after(held, answer, collector, size == known ? Sighting::same : Sighting::grown);
    REQUIRE(held.size == size);
    REQUIRE(held.epoch == 1);
    REQUIRE(held.newest == collector.note(collector.leaves(size)));
    REQUIRE_FALSE(held.keep_evidence());
  }
}

TEST_CASE("checkpoint watch: an empty log may be the first", "[checkpoint_watch]") {
  const Collector collector;
  const auto held = held_after({}, collector.answer(0, {}), collector, Sighting::first);
  REQUIRE(held.size == 0);
  held_after(held, collector.answer(0, collector.leaves(5)), collector, Sighting::grown);
}

TEST_CASE("checkpoint watch: what contradicts the log is kept beside it, both signed",
          "[checkpoint_watch]") {
  const Collector collector;
  const auto honest = collector.leaves(9);
  const auto held = held_after({}, collector.answer(0, honest), collector, Sighting::first);
  struct Case {
    const char* what;
    CheckpointAnswer answer;
    const char* why;
  };
  CheckpointAnswer without_proof = collector.answer(9, collector.leaves(20));
  without_proof.consistency.clear();
  CheckpointAnswer with_bent_proof = collector.answer(9, collector.leaves(20));
  std::swap(with_bent_proof.consistency[0], with_bent_proof.consistency[1]);
  const std::vector<Case> cases = {
      {"another leaf", collector.answer(9, collector.leaves(20, 1, 5)), "not shown to contain"},
      {"another root", collector.answer(9, collector.leaves(9, 1, 8)), "another root"},
      {"shorter", collector.answer(9, collector.leaves(8)), "8 leaves, after 9"},
      {"empty", collector.answer(9, {}), "0 leaves, after 9"},
      {"no proof", without_proof, "not shown to contain"},
      {"bent proof", with_bent_proof, "not shown to contain"},
  };
  for (const Case& each : cases) {
    INFO(each.what);
    const auto next = held_after(held, each.answer, collector, Sighting::conflict);
    REQUIRE(next.newest == held.newest);
    REQUIRE(next.size == 9);
    REQUIRE(next.keep_evidence());
    REQUIRE(next.conflict->held == held.newest);
    REQUIRE(next.conflict->shown == each.answer.note);
    REQUIRE(next.conflict->at == kNow);
    REQUIRE(next.conflict->why.find(each.why) != std::string::npos);
  }
}

TEST_CASE("checkpoint watch: the first contradiction stays, also when the log goes on as before",
          "[checkpoint_watch]") {
  const Collector collector;
  auto held = held_after({}, collector.answer(0, collector.leaves(9)), collector, Sighting::first);
  held = held_after(held, collector.answer(9, collector.leaves(8)), collector, Sighting::conflict);
  const auto conflict = held.conflict;

  held = held_after(held, collector.answer(9, collector.leaves(12)), collector, Sighting::grown);
  const auto again =
      held_after(held, collector.answer(12, collector.leaves(3)), collector, Sighting::conflict);

  REQUIRE(again == held);
  REQUIRE(held.conflict == conflict);
  REQUIRE(held.keep_evidence());
}

TEST_CASE("checkpoint watch: a later epoch is taken, the last note of the one before is kept",
          "[checkpoint_watch]") {
  const Collector collector;
  auto held = held_after({}, collector.answer(0, collector.leaves(9)), collector, Sighting::first);
  held = held_after(held, collector.answer(9, collector.leaves(8)), collector, Sighting::conflict);
  const std::string last_of_first = held.newest;

  held = held_after(held, collector.answer(9, collector.leaves(4, 7), 2), collector,
                    Sighting::new_epoch);

  REQUIRE(held.epoch == 2);
  REQUIRE(held.size == 4);
  REQUIRE(held.earlier == std::vector{last_of_first});
  REQUIRE(held.conflict);
  REQUIRE_FALSE(held.keep_evidence());
  const auto back =
      held_after(held, collector.answer(4, collector.leaves(20), 1), collector, Sighting::conflict);
  REQUIRE(back.keep_evidence());
  REQUIRE(back.conflict->epoch == 2);
  for (uint32_t epoch = 3; epoch < 10; ++epoch) {
    held = held_after(held, collector.answer(0, collector.leaves(1), epoch), collector,
                      Sighting::new_epoch);
  }
  REQUIRE(held.earlier.size() == LogSightings::kEarlierMax);
  REQUIRE(held.earlier.back() == collector.note(collector.leaves(1), 8));
}

TEST_CASE("checkpoint watch: what the collector did not sign says nothing", "[checkpoint_watch]") {
  const Collector collector;
  const Collector stranger;
  const auto held =
      held_after({}, collector.answer(0, collector.leaves(9)), collector, Sighting::first);
  std::string bent = collector.answer(9, collector.leaves(8)).note;
  bent[bent.find("\n8\n") + 1] = '7';
  const LogOrigin origin{collector.key().id().hex(), "ledgerline", 1};
  const std::string foreign_key =
      *sign_checkpoint({to_string(origin), 0, empty_root()}, *stranger.signer);
  for (const std::string& note : {std::string(), std::string("nonsense\n"), bent, foreign_key,
                                  stranger.answer(9, stranger.leaves(8)).note,
                                  collector.note(collector.leaves(12), 1, "b")}) {
    INFO(note);
    CheckpointAnswer answer;
    answer.note = note;
    const auto verdict = judge_checkpoint(held, answer, collector.key(), kNow);
    REQUIRE_FALSE(verdict);
    REQUIRE(verdict.error().code() == Errc::corrupt);
  }
}

TEST_CASE("checkpoint schedule: once after each connect, then hourly", "[checkpoint_watch]") {
  using std::chrono::hours;
  using std::chrono::minutes;
  const Monotonic start{5000};
  CheckpointSchedule schedule;
  REQUIRE_FALSE(schedule.ask(start));

  schedule.on_connected(start);
  REQUIRE(schedule.ask(start));
  REQUIRE_FALSE(schedule.ask(start + minutes(59)));
  REQUIRE(schedule.due() == start + hours(1));
  REQUIRE(schedule.ask(start + hours(1)));

  const Monotonic later = start + hours(1);
  schedule.on_disconnected();
  REQUIRE_FALSE(schedule.due());
  REQUIRE_FALSE(schedule.ask(later + hours(5)));
  schedule.on_connected(later + hours(5));
  REQUIRE(schedule.ask(later + hours(5)));
  // A connection that comes and goes asks no more often than once a minute.
  schedule.on_disconnected();
  schedule.on_connected(later + hours(5) + std::chrono::seconds(1));
  REQUIRE_FALSE(schedule.ask(later + hours(5) + std::chrono::seconds(1)));
  REQUIRE(schedule.ask(later + hours(5) + minutes(1)));
  // Nor does a collector that does not know the stream, but then it is asked again.
  schedule.on_unknown(later + hours(5) + minutes(1) + std::chrono::seconds(9));
  REQUIRE_FALSE(schedule.ask(later + hours(5) + minutes(1) + std::chrono::seconds(9)));
  REQUIRE(schedule.ask(later + hours(5) + minutes(2)));
}

}  // namespace ledgerline::agent
