#include "collector/core/linkage.h"

#include <catch2/catch.hpp>

namespace ledgerline::collector {
namespace {

BatchId id(int n) {
  std::array<uint8_t, 32> bytes{};
  bytes[0] = static_cast<uint8_t>(n >> 8);
  bytes[1] = static_cast<uint8_t>(n);
  return BatchId(bytes);
}

/// Batch n of the honest chain: its id is n, the grant's is 0.
ChainedBatch honest(int n) { return {static_cast<BatchNumber>(n), id(n), id(n - 1)}; }

/// A stream linked up to `head`, with the parked batches.
LinkageState stream(int head, const std::vector<int>& parked = {}) {
  LinkageState state{.head_number = static_cast<BatchNumber>(head), .head_id = id(head)};
  for (int n = 0; n <= head; ++n) state.linked[static_cast<BatchNumber>(n)] = id(n);
  for (const int n : parked) state.parked[static_cast<BatchNumber>(n)] = honest(n);
  return state;
}

using Fates = std::vector<Fate>;

}  // namespace

TEST_CASE("linkage: a group links in order, whatever the order of arrival") {
  const auto out = link_group(stream(0), {honest(3), honest(1), honest(2)});
  CHECK(out.fates == Fates{Fate::linked, Fate::linked, Fate::linked});
  REQUIRE(out.links.size() == 3);
  for (size_t i = 0; i < 3; ++i) CHECK(out.links[i].number == i + 1);
  CHECK(out.links[2].arrival == 0U);
  CHECK(out.parks.empty());
  CHECK(out.parked.empty());
  CHECK(out.head_id == id(3));
}

TEST_CASE(
    "linkage: a batch ahead of the head is parked, and linked from there when the gap is filled") {
  auto out = link_group(stream(1), {honest(3), honest(5)});
  CHECK(out.fates == Fates{Fate::parked, Fate::parked});
  CHECK(out.parks == std::vector<size_t>{0, 1});
  CHECK(out.parked == std::vector<BatchNumber>{3, 5});

  out = link_group(stream(1, {3, 5}), {honest(2)});
  REQUIRE(out.links.size() == 2);
  CHECK_FALSE(out.links[1].arrival);
  CHECK(out.head_number == 3);
  CHECK(out.parked == std::vector<BatchNumber>{5});
}

TEST_CASE("linkage: the same batch again is a duplicate and changes nothing") {
  const auto out = link_group(stream(3, {5}), {honest(1), honest(3), honest(5)});
  CHECK(out.fates == Fates{Fate::duplicate, Fate::duplicate, Fate::duplicate});
  CHECK_FALSE(out.changed());
  CHECK(link_group(stream(0), {honest(1), honest(1)}).fates ==
        Fates{Fate::linked, Fate::duplicate});
}

TEST_CASE("linkage: every contradiction is a fork, named with the last batch both can share") {
  struct Case {
    const char* what;
    LinkageState state;
    ChainedBatch batch;
    BatchNumber common;
  };
  const std::vector<Case> cases = {
      {"another first batch", stream(3), {1, id(101), id(0)}, 0},
      {"another batch 2 on the same batch 1", stream(3), {2, id(102), id(1)}, 1},
      {"another batch 3 on another batch 2", stream(3), {3, id(103), id(102)}, 1},
      {"a next batch on another head", stream(3), {4, id(104), id(103)}, 2},
      {"a first batch that names another grant", stream(0), {1, id(101), id(100)}, 0},
      {"another batch for a parked number", stream(3, {5}), {5, id(105), id(4)}, 3},
      {"it contradicts the parked batch before it", stream(3, {5}), {6, id(106), id(105)}, 3},
      {"it contradicts the parked batch after it", stream(3, {6}), {5, id(105), id(4)}, 3},
      {"it links, but the parked batch after it does not follow",
       stream(3, {5}),
       {4, id(104), id(3)},
       3},
  };
  for (const auto& test : cases) {
    INFO(test.what);
    const auto out = link_group(test.state, {test.batch});
    CHECK(out.fates == Fates{Fate::forked});
    CHECK(out.frozen_at == test.common);
    CHECK(out.keeps == std::vector<size_t>{0});
    CHECK(out.links.empty());
    CHECK(out.head_number == test.state.head_number);
  }
}

TEST_CASE("linkage: after a freeze nothing links, and evidence is kept once, up to its limit") {
  auto out =
      link_group(stream(2), {{2, id(102), id(1)}, honest(3), honest(1), {2, id(102), id(1)}});
  CHECK(out.fates == Fates{Fate::forked, Fate::kept, Fate::duplicate, Fate::duplicate});
  CHECK(out.head_number == 2);

  auto frozen = stream(2);
  frozen.status = StreamStatus::frozen;
  for (size_t i = 0; i < Linkage::kForksMax - 1; ++i)
    frozen.forks.insert(id(1000 + static_cast<int>(i)));
  out = link_group(frozen, {honest(3), honest(4)});
  CHECK(out.fates == Fates{Fate::kept, Fate::dropped});
  CHECK_FALSE(out.frozen_at);
}

TEST_CASE(
    "linkage: beyond the limit of parked batches nothing is kept, so that the agent sends it "
    "again") {
  std::vector<ChainedBatch> far;
  for (int n = 2; n <= 70; ++n) far.push_back(honest(n));
  const auto out = link_group(stream(0), far);
  CHECK(out.parked.size() == Linkage::kParkedMax);
  CHECK(std::count(out.fates.begin(), out.fates.end(), Fate::dropped) == 5);
  // The one that fills the gap has no need of a place.
  far.push_back(honest(1));
  CHECK(link_group(stream(0), far).head_number == 65);
}

TEST_CASE("linkage: a resume is judged by what is held") {
  const HeldStream held{.head_number = 5, .head_id = id(5)};
  const auto ask = [](BatchNumber head, BatchId head_id, BatchNumber acked) {
    Resume resume;
    resume.head_batch = head;
    resume.head_id = head_id;
    resume.acked_upto = acked;
    return resume;
  };
  CHECK(judge_resume(held, ask(5, id(5), 5)).verdict == Verdict::continue_);
  CHECK(judge_resume(held, ask(9, id(9), 0)).verdict == Verdict::continue_);  // receipts were lost
  CHECK(judge_resume(held, ask(4, id(4), 4)).verdict == Verdict::rollback);
  CHECK(judge_resume(held, ask(5, id(105), 5)).verdict == Verdict::rollback);
  auto parked = held;
  parked.parked = {7};
  CHECK(judge_resume(parked, ask(6, id(6), 5)).verdict == Verdict::rollback);
  CHECK(judge_resume(parked, ask(7, id(7), 5)).verdict == Verdict::continue_);

  const auto restored = judge_resume(held, ask(9, id(9), 8));
  CHECK(restored.verdict == Verdict::continue_);
  CHECK(restored.collector_is_behind);
  auto frozen = held;
  frozen.status = StreamStatus::frozen;
  CHECK(judge_resume(frozen, ask(5, id(5), 5)).verdict == Verdict::stream_frozen);
}

}  // namespace ledgerline::collector
