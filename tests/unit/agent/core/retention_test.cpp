#include "agent/core/retention.h"

#include <catch2/catch.hpp>

using namespace ledgerline;
using namespace ledgerline::agent;

namespace {

constexpr uint64_t kMiB = 1 << 20;
const RetentionLimits kLimits{
    .quota_bytes = 160 * kMiB, .reserve_bytes = 8 * kMiB, .disk_free_min = 16 * kMiB};
const Timestamp kNow(int64_t{1'000'000} * 3'600'000);
constexpr Hour kHour = 1'000'000;
constexpr uint64_t kPlenty = 1'000 * kMiB;

Space used(uint64_t mib) {
  return {.used_bytes = mib * kMiB,
          .file_bytes = 160 * kMiB,
          .ahead_bytes = 8 * kMiB,
          .disk_free_bytes = kPlenty};
}

}  // namespace

TEST_CASE("inputs are refused at the quota, not before") {
  REQUIRE(may_record(used(159), kLimits).has_value());
  REQUIRE(may_record(used(160), kLimits).error().code() == Errc::full);
}

TEST_CASE(
    "a full disk refuses inputs unless the file has room inside or space held beyond its end") {
  struct Case {
    uint64_t file_mib;
    uint64_t ahead_mib;
    uint64_t disk_free_mib;
    bool may;
  };
  const std::vector<Case> cases = {
      {20, 8, 16, true}, {20, 8, 15, false}, {20, 7, 100, false},
      {35, 0, 0, false}, {36, 0, 0, true},
  };
  for (const auto& c : cases) {
    CAPTURE(c.file_mib, c.ahead_mib, c.disk_free_mib);
    const Space space{.used_bytes = 20 * kMiB,
                      .file_bytes = c.file_mib * kMiB,
                      .ahead_bytes = c.ahead_mib * kMiB,
                      .disk_free_bytes = c.disk_free_mib * kMiB};
    REQUIRE(may_record(space, kLimits).has_value() == c.may);
  }
}

TEST_CASE("nothing goes while there is room and nothing is old") {
  const Holdings held{.oldest_batch = 1,
                      .acked_upto = 500,
                      .oldest_key_hour = kHour - 7 * 24,
                      .key_time = kNow,
                      .oldest_skeleton = 1,
                      .oldest_skeleton_sealed_at = kNow - std::chrono::hours(729 * 24)};
  REQUIRE(next_trim(kNow, used(150), held, kLimits).what == Trim::nothing);
}

TEST_CASE("unreceipted batches never go, however full the journal is") {
  const Holdings held{.oldest_batch = 501, .acked_upto = 500, .oldest_skeleton = 500};
  REQUIRE(next_trim(kNow, used(168), held, kLimits).what == Trim::nothing);
}

TEST_CASE("as long as evidence is kept, only idempotency keys beyond their window go") {
  Holdings held{.oldest_batch = 3,
                .acked_upto = 500,
                .key_time = kNow,
                .oldest_skeleton_sealed_at = Timestamp(0),
                .droppable_upto = 600,
                .keep_evidence = true};
  REQUIRE(next_trim(kNow, used(168), held, kLimits).what == Trim::nothing);
  held.oldest_key_hour = kHour - 2;
  REQUIRE(next_trim(kNow, used(168), held, kLimits).what == Trim::nothing);
  held.oldest_key_hour = kHour - 24 * 365;
  REQUIRE(next_trim(kNow, used(168), held, kLimits).what == Trim::expired_keys);
}

TEST_CASE("receipted batches go first when space is short, only up to the receipt") {
  const Holdings held{
      .oldest_batch = 3, .acked_upto = 500, .oldest_key_hour = kHour - 100, .key_time = kNow};

  const TrimStep step = next_trim(kNow, used(155), held, kLimits);

  REQUIRE(step.what == Trim::batches);
  REQUIRE(step.batches_upto == 500);
  REQUIRE(step.bytes == 5 * kMiB);
}

TEST_CASE("idempotency keys go hour by hour once no batch may go, but the last hour stays") {
  Holdings held{.oldest_batch = 501,
                .acked_upto = 500,
                .oldest_key_hour = kHour - 100,
                .key_time = kNow,
                .oldest_skeleton = 500};
  const TrimStep step = next_trim(kNow, used(155), held, kLimits);
  REQUIRE(step.what == Trim::keys_early);
  REQUIRE(step.keys_before == kHour - 99);

  held.oldest_key_hour = kHour - 1;
  REQUIRE(next_trim(kNow, used(155), held, kLimits).what == Trim::nothing);
}

TEST_CASE("idempotency keys beyond the window go without need") {
  const Holdings held{.oldest_key_hour = kHour - 7 * 24 - 1, .key_time = kNow};

  const TrimStep step = next_trim(kNow, used(1), held, kLimits);

  REQUIRE(step.what == Trim::expired_keys);
  REQUIRE(step.keys_before == kHour - 7 * 24);
}

TEST_CASE("a short disk lets receipted batches go so that their pages are used again") {
  const Holdings held{.oldest_batch = 1, .acked_upto = 5};
  const Space space{.used_bytes = 20 * kMiB, .file_bytes = 20 * kMiB, .disk_free_bytes = 0};

  const TrimStep step = next_trim(kNow, space, held, kLimits);

  REQUIRE(step.what == Trim::batches);
  REQUIRE(step.bytes == 16 * kMiB);
}

TEST_CASE("skeletons go after 24 months, below the receipt and below the batches that are kept") {
  Holdings held{.oldest_batch = 400,
                .acked_upto = 500,
                .oldest_skeleton = 1,
                .oldest_skeleton_sealed_at = kNow - std::chrono::hours(731 * 24)};
  const TrimStep step = next_trim(kNow, used(1), held, kLimits);
  REQUIRE(step.what == Trim::skeletons);
  REQUIRE(step.batches_upto == 398);  // 399 is what a tombstone would end at

  held.oldest_batch = 600;
  held.oldest_skeleton = 500;
  REQUIRE(next_trim(kNow, used(1), held, kLimits).what == Trim::nothing);
}

TEST_CASE("without room skeletons below the receipt go whatever their age, and keys only after") {
  Holdings held{.oldest_batch = 501,
                .acked_upto = 500,
                .oldest_key_hour = kHour - 100,
                .key_time = kNow,
                .oldest_skeleton = 1,
                .oldest_skeleton_sealed_at = kNow};
  const TrimStep step = next_trim(kNow, used(155), held, kLimits);
  REQUIRE(step.what == Trim::skeletons);
  REQUIRE(step.batches_upto == 499);
  REQUIRE(!step.sealed_before);

  held.oldest_skeleton = 500;
  REQUIRE(next_trim(kNow, used(155), held, kLimits).what == Trim::keys_early);
  held.oldest_key_hour = std::nullopt;
  REQUIRE(next_trim(kNow, used(155), held, kLimits).what == Trim::nothing);
}

TEST_CASE("the key clock advances by monotonic time, and stands still over a reboot") {
  const KeyClock last{.at = kNow, .read_at = {5'000}};

  REQUIRE(advanced(last, {7'500}) == KeyClock{.at = kNow + Duration(2'500), .read_at = {7'500}});
  REQUIRE(advanced(last, {100}) == KeyClock{.at = kNow, .read_at = {100}});
}

TEST_CASE("a diagnostic stream gives up unreceipted batches, after everything else") {
  Holdings held{.oldest_batch = 501,
                .acked_upto = 500,
                .oldest_key_hour = kHour - 100,
                .key_time = kNow,
                .oldest_skeleton = 499,
                .droppable_upto = 900};
  REQUIRE(next_trim(kNow, used(155), held, kLimits).what == Trim::skeletons);
  held.oldest_skeleton = 500;
  REQUIRE(next_trim(kNow, used(155), held, kLimits).what == Trim::keys_early);
  held.oldest_key_hour = kHour;

  const TrimStep step = next_trim(kNow, used(155), held, kLimits);

  REQUIRE(step.what == Trim::unreceipted);
  REQUIRE(step.batches_upto == 900);
  REQUIRE(step.bytes == 5 * kMiB);
  REQUIRE(next_trim(kNow, used(150), held, kLimits).what == Trim::nothing);
  held.oldest_batch = 901;
  REQUIRE(next_trim(kNow, used(155), held, kLimits).what == Trim::nothing);
}

TEST_CASE("a diagnostic stream's keys go with the readings that they are for, whatever their age") {
  Holdings held{.oldest_batch = 501,
                .acked_upto = 500,
                .oldest_key_hour = kHour,
                .key_time = kNow,
                .oldest_skeleton = 500,
                .droppable_upto = 900,
                .oldest_batch_seq = 7000,
                .oldest_key_seq = 6999};
  const TrimStep step = next_trim(kNow, used(155), held, kLimits);
  REQUIRE(step.what == Trim::keys_early);
  REQUIRE(step.keys_before == kHour + 1);
  held.oldest_key_seq = 7000;
  REQUIRE(next_trim(kNow, used(155), held, kLimits).what == Trim::unreceipted);
  // Of a billing stream the last hour's keys stay.
  held.droppable_upto = 0;
  held.oldest_key_seq.reset();
  held.oldest_batch_seq = 1;
  REQUIRE(next_trim(kNow, used(155), held, kLimits).what == Trim::nothing);
}

TEST_CASE("room for a merge is made of what may go, but readings go before it") {
  // 150 MiB is where trimming begins.
  Holdings held{.oldest_batch = 1,
                .acked_upto = 500,
                .oldest_key_hour = kHour - 24,
                .key_time = kNow,
                .oldest_skeleton = 1,
                .oldest_skeleton_sealed_at = kNow,
                .merge_bytes = 10 * kMiB};
  CHECK(next_trim(kNow, used(140), held, kLimits).what == Trim::nothing);
  const TrimStep batches = next_trim(kNow, used(142), held, kLimits);
  CHECK(batches.what == Trim::batches);
  CHECK(batches.bytes == 2 * kMiB);
  held.oldest_batch = 501;
  CHECK(next_trim(kNow, used(142), held, kLimits).what == Trim::skeletons);
  held.oldest_skeleton = 500;
  CHECK(next_trim(kNow, used(142), held, kLimits).what == Trim::keys_early);
  held.merging_bytes = 7 * kMiB;
  CHECK(next_trim(kNow, used(142), held, kLimits).what == Trim::keys_early);
  CHECK(next_trim(kNow, used(151), held, kLimits).what == Trim::merge);
  held.merging_bytes.reset();
  CHECK(next_trim(kNow, used(151), held, kLimits).what == Trim::keys_early);
}

TEST_CASE("a merge that gets no room is given up") {
  Holdings held{.oldest_batch = 501,
                .acked_upto = 500,
                .oldest_key_hour = kHour,
                .key_time = kNow,
                .oldest_skeleton = 500,
                .merge_bytes = 10 * kMiB};
  CHECK(next_trim(kNow, used(142), held, kLimits).what == Trim::nothing);
  held.merging_bytes = 8 * kMiB;
  CHECK(next_trim(kNow, used(142), held, kLimits).what == Trim::nothing);
  CHECK(next_trim(kNow, used(143), held, kLimits).what == Trim::merge);
  held.keep_evidence = true;
  held.oldest_batch = 1;
  CHECK(next_trim(kNow, used(143), held, kLimits).what == Trim::merge);
  CHECK(next_trim(kNow, used(142), held, kLimits).what == Trim::nothing);
}

TEST_CASE("the room before trimming is what the quota and the disk have") {
  CHECK(room_before_trimming(used(140), kLimits) == 10 * kMiB);
  CHECK(room_before_trimming(used(151), kLimits) == 0);
  Space space{.used_bytes = 20 * kMiB,
              .file_bytes = 40 * kMiB,
              .ahead_bytes = 8 * kMiB,
              .disk_free_bytes = 19 * kMiB};
  CHECK(room_before_trimming(space, kLimits) == 23 * kMiB);
  space.ahead_bytes = 0;
  CHECK(room_before_trimming(space, kLimits) == 4 * kMiB);
  space.file_bytes = 30 * kMiB;
  CHECK(room_before_trimming(space, kLimits) == 0);
}
