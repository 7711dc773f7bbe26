#include "agent/core/key_packs.h"

#include <catch2/catch.hpp>
#include <numeric>

using namespace ledgerline;
using namespace ledgerline::agent;

namespace {

const KeyPackLimits kLimits{.fresh_max = 100, .pack_max = 20'000, .span_hours = 24, .fan = 8};

constexpr uint64_t kRoom = UINT64_MAX;

KeyPack pack(uint64_t id, uint64_t entries, Hour from, Hour to) {
  return {.id = id, .entries = entries, .from = from, .to = to, .last_seq = id * 10};
}

KeyPacks neighbours(size_t count) {
  KeyPacks out;
  for (uint64_t id = 1; id <= count; ++id) out.packs.push_back(pack(id, 100, 5, 5));
  out.next_id = count + 1;
  return out;
}

/// Does what is due until nothing is, as the journal would. Counts what it writes.
struct Plant {
  KeyPackLimits limits = kLimits;
  KeyPacks packs;
  FreshFacts fresh;
  uint64_t written = 0;

  void record(size_t entries, Hour hour) {
    if (fresh.entries == 0) fresh.from = hour;
    fresh.entries += entries;
    written += entries;
    tidy(hour);
  }

  void tidy(Hour now) {
    while (step(now, UINT64_MAX)) {
    }
  }

  bool step(Hour now, uint64_t slice) {
    switch (next_key_work(packs, fresh, now, kRoom, limits)) {
      case KeyWork::nothing:
        return false;
      case KeyWork::pack_fresh:
        packs.packs.push_back(pack(packs.next_id++, fresh.entries, fresh.from, fresh.from));
        written += fresh.entries;
        fresh = {};
        return true;
      case KeyWork::begin_merge:
        packs.merge = mergeable(packs, now, limits);
        ++packs.next_id;
        break;
      case KeyWork::go_on_merging:
        break;
    }
    uint64_t left = 0;
    for (size_t i = 0; i < packs.merge->count; ++i)
      left += packs.packs[packs.merge->first + i].entries;
    left -= packs.merge->entries;
    packs.merge->entries += std::min(left, slice);
    written += std::min(left, slice);
    if (left <= slice) end_merge(packs);
    return true;
  }

  [[nodiscard]] uint64_t entries() const {
    return std::accumulate(packs.packs.begin(), packs.packs.end(), uint64_t{fresh.entries},
                           [](uint64_t sum, const KeyPack& each) { return sum + each.entries; });
  }
};

}  // namespace

TEST_CASE("fresh keys are packed once they are many, and when their hour is over") {
  const KeyPacks none;
  CHECK(next_key_work(none, {.entries = 0, .from = 0}, 9, kRoom, kLimits) == KeyWork::nothing);
  CHECK(next_key_work(none, {.entries = 99, .from = 9}, 9, kRoom, kLimits) == KeyWork::nothing);
  CHECK(next_key_work(none, {.entries = 100, .from = 9}, 9, kRoom, kLimits) == KeyWork::pack_fresh);
  CHECK(next_key_work(none, {.entries = 1, .from = 8}, 9, kRoom, kLimits) == KeyWork::pack_fresh);
}

TEST_CASE("what can be merged is, before more is packed, until fresh keys are too many") {
  KeyPacks packs = neighbours(8);
  CHECK(next_key_work(packs, {.entries = 100, .from = 5}, 5, kRoom, kLimits) ==
        KeyWork::begin_merge);
  packs.merge = mergeable(packs, 5, kLimits);
  CHECK(next_key_work(packs, {.entries = 399, .from = 5}, 5, kRoom, kLimits) ==
        KeyWork::go_on_merging);
  CHECK(next_key_work(packs, {.entries = 400, .from = 5}, 5, kRoom, kLimits) ==
        KeyWork::pack_fresh);
  CHECK(merge_slice_entries(10, 1'000) == 1'000);
  CHECK(merge_slice_entries(500, 1'000) == 3'000);
  CHECK(merge_slice_entries(50'000, 1'000) == 4'000);
}

TEST_CASE("however fast keys come, one step for each commit is enough") {
  // As the journal works under load: 1024 keys in a commit, then one step.
  Plant plant;
  plant.limits = key_pack_limits(RetentionLimits());
  size_t most = 0;
  for (int commit = 0; commit < 8'000; ++commit) {
    if (plant.fresh.entries == 0) plant.fresh.from = 1000;
    plant.fresh.entries += 1'024;
    plant.step(1000, merge_slice_entries(1'024, 32 * 145));
    most = std::max(most, plant.packs.packs.size());
    CHECK(plant.fresh.entries <= 4 * 2'048 + 1'024);
  }
  CHECK(plant.entries() == 8'000 * 1'024);
  CHECK(most <= 100);
}

TEST_CASE("neighbours of one size are merged, and the merged one takes their place") {
  CHECK(!mergeable(neighbours(7), 5, kLimits));
  KeyPacks packs = neighbours(9);
  packs.merge = mergeable(packs, 5, kLimits);
  REQUIRE(packs.merge);
  CHECK(packs.merge->first == 1);
  CHECK(packs.merge->count == 8);
  CHECK(next_key_work(packs, {}, 5, kRoom, kLimits) == KeyWork::go_on_merging);

  packs.merge->entries = 800;
  packs.packs[3].to = 6;
  packs.packs[8].to = 6;
  end_merge(packs);

  REQUIRE(packs.packs.size() == 2);
  CHECK(packs.packs[1] == KeyPack{.id = 10, .entries = 800, .from = 5, .to = 6, .last_seq = 90});
  CHECK(packs.doomed == std::vector<uint64_t>{2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(!packs.merge);
}

TEST_CASE("packs of other sizes, of other hours or too large are not merged") {
  KeyPacks sizes = neighbours(8);
  sizes.packs[4].entries = 6'400;
  CHECK(!mergeable(sizes, 5, kLimits));

  KeyPacks hours = neighbours(8);
  hours.packs[7].from = 24;
  CHECK(!mergeable(hours, 5, kLimits));
  hours.packs[7].from = 23;
  CHECK(mergeable(hours, 5, kLimits));

  KeyPacks large = neighbours(8);
  for (KeyPack& each : large.packs) each.entries = 2'501;
  CHECK(!mergeable(large, 5, kLimits));
}

TEST_CASE("a span of hours that is over becomes one pack, or as few as there may be") {
  KeyPacks packs = neighbours(3);
  packs.packs[1].entries = 6'400;
  packs.packs.push_back(pack(4, 13'300, 6, 6));
  packs.packs.push_back(pack(5, 100, 24, 24));
  packs.next_id = 6;
  CHECK(!mergeable(packs, 23, kLimits));
  packs.merge = mergeable(packs, 24, kLimits);
  REQUIRE(packs.merge);
  CHECK(packs.merge->first == 0);
  CHECK(packs.merge->count == 4);

  packs.packs[3].entries = 13'401;
  CHECK(mergeable(packs, 24, kLimits)->count == 3);
}

TEST_CASE("a merge goes on while older packs go, and ends without one of its own") {
  KeyPacks packs = neighbours(10);
  packs.packs[0].to = 3;
  packs.packs[1].to = 4;
  packs.packs[2].to = 4;
  packs.merge = KeyMerge{.first = 2, .count = 8, .output = 77, .entries = 5};

  CHECK(!forget_oldest(packs, 3));
  REQUIRE(forget_oldest(packs, 4));
  CHECK(packs.merge->first == 1);
  REQUIRE(forget_oldest(packs, 5));
  CHECK(packs.merge->first == 0);
  CHECK(packs.doomed == std::vector<uint64_t>{1, 2});

  REQUIRE(forget_oldest(packs, 5));
  CHECK(!packs.merge);
  CHECK(packs.doomed == std::vector<uint64_t>{1, 2, 77, 3});
  CHECK(packs.packs.size() == 7);
  CHECK(!forget_oldest(packs, 5));
}

TEST_CASE("a merge waits for the room that it takes for a while") {
  KeyPacks packs = neighbours(8);  // 800 entries of 28 bytes, and LMDB's part
  CHECK(merge_room(neighbours(7), 5, kLimits).wanted == 0);
  const uint64_t room = 23'126;
  CHECK(merge_room(packs, 5, kLimits).needed == room);
  CHECK(merge_room(packs, 5, kLimits).wanted == room + room / 4 + 140'000);  // of the largest pack
  CHECK(next_key_work(packs, {}, 5, room - 1, kLimits) == KeyWork::nothing);
  CHECK(next_key_work(packs, {.entries = 100, .from = 5}, 5, 0, kLimits) == KeyWork::pack_fresh);
  CHECK(next_key_work(packs, {}, 5, room, kLimits) == KeyWork::begin_merge);

  packs.merge = mergeable(packs, 5, kLimits);
  CHECK(merge_room(packs, 5, kLimits).needed == room);
  CHECK(next_key_work(packs, {}, 5, room, kLimits) == KeyWork::go_on_merging);
  CHECK(next_key_work(packs, {}, 5, room - 1, kLimits) == KeyWork::nothing);
  packs.merge->entries = 400;
  CHECK(next_key_work(packs, {}, 5, 12'000, kLimits) == KeyWork::go_on_merging);

  packs.merge->output = 9;
  give_up_merge(packs);
  CHECK(!packs.merge);
  CHECK(packs.packs.size() == 8);
  CHECK(packs.doomed == std::vector<uint64_t>{9});
}

TEST_CASE("of too many packs the oldest is forgotten") {
  KeyPacks packs = neighbours(KeyPacks::kPacksMax);
  add_pack(packs, pack(packs.next_id, 1, 6, 6));
  CHECK(packs.packs.size() == KeyPacks::kPacksMax);
  CHECK(packs.packs.front().id == 2);
  CHECK(packs.doomed == std::vector<uint64_t>{1});
}

TEST_CASE("an hour's last keys are packed before their span is merged") {
  const KeyPacks packs = neighbours(3);
  CHECK(next_key_work(packs, {.entries = 1, .from = 23}, 24, kRoom, kLimits) ==
        KeyWork::pack_fresh);
  CHECK(next_key_work(packs, {}, 24, kRoom, kLimits) == KeyWork::begin_merge);
}

TEST_CASE("a week of keys is in few packs, each written a few times, at any rate") {
  const uint64_t per_hour = GENERATE(1, 3'600, 360'000);
  RetentionLimits retention;
  retention.quota_bytes = uint64_t{4} << 30;
  Plant plant;
  plant.limits = key_pack_limits(retention);
  uint64_t recorded = 0;
  for (Hour hour = 1000; hour < 1000 + 7 * 24; ++hour) {
    for (uint64_t left = per_hour; left > 0;) {
      const uint64_t some = std::min<uint64_t>(left, 100);
      plant.record(some, hour);
      recorded += some;
      left -= some;
    }
  }
  CHECK(plant.entries() == recorded);
  CHECK(plant.packs.packs.size() <= 40);
  // As they come, packed, and once for each size that they were merged to.
  CHECK(plant.written <= recorded * 9);
  for (size_t i = 0; i < plant.packs.packs.size(); ++i) {
    const KeyPack& each = plant.packs.packs[i];
    CHECK(each.to / plant.limits.span_hours == each.from / plant.limits.span_hours);
    CHECK((i == 0 || plant.packs.packs[i - 1].to <= each.from));
  }
}

TEST_CASE("the limits follow the quota and the window") {
  RetentionLimits small;
  small.quota_bytes = 1 << 20;
  small.idempotency_window = std::chrono::hours(2);
  const KeyPackLimits limits = key_pack_limits(small);
  CHECK(limits.pack_max == 2'340);
  CHECK(limits.fresh_max == 146);
  CHECK(limits.span_hours == 1);
  CHECK(key_pack_limits(RetentionLimits()).fresh_max == 2'048);
  CHECK(key_pack_limits(RetentionLimits()).span_hours == 21);
}
