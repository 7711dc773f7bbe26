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

/// A tombstone for batches `first` to `last` of the honest chain.
ChainedBatch tombstone(int first, int last) {
  return {static_cast<BatchNumber>(last), id(last), id(first - 1), static_cast<BatchNumber>(first)};
}

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

TEST_CASE("linkage: a tombstone is one step of the chain, and what follows it links") {
  const auto out = link_group(stream(2), {tombstone(3, 9), honest(10)});
  CHECK(out.fates == Fates{Fate::linked, Fate::linked});
  REQUIRE(out.links.size() == 2);
  CHECK(out.links[0].number == 9);
  CHECK(out.links[0].id == id(9));
  CHECK(out.head_number == 10);
}

TEST_CASE("linkage: a tombstone may stand for batches that had come, and then for the rest") {
  const auto out = link_group(stream(5), {tombstone(3, 9)});
  CHECK(out.fates == Fates{Fate::linked});
  CHECK(out.head_number == 9);
  CHECK(out.head_id == id(9));
}

TEST_CASE("linkage: what waited inside a tombstone goes, and what waited behind it links") {
  auto out = link_group(stream(2, {5, 9, 10, 12}), {tombstone(3, 9)});
  CHECK(out.fates == Fates{Fate::linked});
  CHECK(out.head_number == 10);
  CHECK(out.parked == std::vector<BatchNumber>{12});

  out = link_group(stream(2), {honest(5), honest(11), tombstone(3, 9)});
  CHECK(out.fates == Fates{Fate::duplicate, Fate::parked, Fate::linked});
  CHECK(out.parks == std::vector<size_t>{1});
}

TEST_CASE("linkage: a tombstone again, or a batch that it stands for, is a duplicate") {
  auto buried = stream(2);
  buried.head_number = 9;
  buried.head_id = id(9);
  buried.linked[9] = id(9);  // 3 to 8 have no ids of their own
  const auto out =
      link_group(buried, {tombstone(3, 9), tombstone(3, 6), tombstone(2, 9), honest(4), honest(9)});
  CHECK(out.fates == Fates(5, Fate::duplicate));
  CHECK_FALSE(out.changed());
  CHECK(link_group(buried, {tombstone(3, 12)}).head_number == 12);
}

TEST_CASE("linkage: a tombstone ahead of the head is not held, so that it is sent again") {
  CHECK(link_group(stream(2), {tombstone(5, 9)}).fates == Fates{Fate::dropped});
  auto buried = stream(2);
  buried.head_number = 9;
  buried.head_id = id(9);
  CHECK(link_group(buried, {tombstone(6, 12)}).fates == Fates{Fate::dropped});
}

TEST_CASE("linkage: a tombstone that contradicts the chain is a fork") {
  struct Case {
    const char* what;
    LinkageState state;
    ChainedBatch tombstone;
    BatchNumber common;
  };
  const std::vector<Case> cases = {
      {"it names another head", stream(3), {9, id(9), id(103), 4}, 2},
      {"it names another id below the head", stream(3), {9, id(9), id(102), 3}, 1},
      {"its end is another than what is linked", stream(5), {4, id(104), id(2), 3}, 2},
      {"its end is another than what is parked", stream(3, {9}), {9, id(109), id(3), 4}, 3},
      {"what is parked behind it does not follow", stream(3, {10}), {9, id(109), id(3), 4}, 3},
  };
  for (const auto& test : cases) {
    INFO(test.what);
    const auto out = link_group(test.state, {test.tombstone});
    CHECK(out.fates == Fates{Fate::forked});
    CHECK(out.frozen_at == test.common);
    CHECK(out.head_number == test.state.head_number);
  }
}

TEST_CASE("linkage: after a freeze a tombstone is evidence only") {
  auto frozen = stream(2);
  frozen.status = StreamStatus::frozen;
  CHECK(link_group(frozen, {tombstone(3, 9)}).fates == Fates{Fate::kept});
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
