// Packs of idempotency keys in a journal that has been full for long: next_trim() and
// next_key_work() together, as the journal calls them.

#include <catch2/catch.hpp>
#include <deque>

#include "agent/core/key_packs.h"
#include "agent/core/retention.h"

using namespace ledgerline;
using namespace ledgerline::agent;

namespace {

constexpr Timestamp kBegin{1'800'000'000'000};
constexpr uint64_t kKeyBytes = 29;

/// A journal's bytes. Every reading has a key; a receipt comes for each batch at once, or never.
struct Device {
  RetentionLimits retention;
  bool online = true;
  int steps_max = 10'000;  // after each record; under load it is one
  bool keys_turn = false;
  uint64_t reading_bytes = 10;
  KeyPacks packs = {};
  FreshFacts fresh = {};
  Timestamp now = kBegin;
  std::deque<uint64_t> batches = {};
  BatchNumber oldest_batch = 1;
  BatchNumber oldest_skeleton = 1;
  uint64_t batches_bytes = 0;
  uint64_t doomed_bytes = 0;
  uint64_t keys_written = 0;
  uint64_t refused = 0;
  size_t most_packs = 0;
  size_t most_fresh = 0;
  uint64_t given_up = 0;

  [[nodiscard]] KeyPackLimits limits() const { return key_pack_limits(retention); }
  [[nodiscard]] BatchNumber head() const { return oldest_batch + batches.size() - 1; }
  [[nodiscard]] Space space() const {
    uint64_t used = batches_bytes + doomed_bytes + (head() - oldest_skeleton + 1) * 100;
    used += fresh.entries * kKeyBytes;
    for (const KeyPack& pack : packs.packs) used += pack.entries * kKeyBytes;
    if (packs.merge) used += packs.merge->entries * kKeyBytes;
    return {.used_bytes = used,
            .file_bytes = used,
            .ahead_bytes = retention.reserve_bytes,
            .disk_free_bytes = uint64_t{1} << 40};
  }
  [[nodiscard]] Holdings holdings() const {
    Holdings out{.oldest_batch = oldest_batch,
                 .acked_upto = online ? head() : 0,
                 .oldest_key_hour = std::nullopt,
                 .key_time = now,
                 .oldest_skeleton = oldest_skeleton,
                 .oldest_skeleton_sealed_at = now,
                 .merge_bytes = merge_room(packs, hour_of(now), limits()).wanted};
    if (packs.merge) out.merging_bytes = merge_room(packs, hour_of(now), limits()).needed;
    if (!packs.packs.empty()) out.oldest_key_hour = packs.packs.front().to;
    return out;
  }

  void record(uint64_t keys, Duration in) {
    now = now + in;
    if (!may_record(space(), retention)) {
      ++refused;
    } else {
      if (fresh.entries == 0) fresh.from = hour_of(now);
      fresh.entries += keys;
      batches.push_back(keys * reading_bytes);
      batches_bytes += batches.back();
    }
    for (int steps = 0; steps < steps_max && step(); ++steps) REQUIRE(steps < 9'999);
    most_packs = std::max(most_packs, packs.packs.size());
    most_fresh = std::max(most_fresh, fresh.entries);
  }

  bool step() {
    keys_turn = !keys_turn;
    return keys_turn ? tidy() || make_space() : make_space() || tidy();
  }

  bool make_space() {
    if (!packs.doomed.empty()) {
      packs.doomed.clear();
      doomed_bytes = 0;
      return true;
    }
    const TrimStep trim = next_trim(now, space(), holdings(), retention);
    return trim.what != Trim::nothing && forget(trim);
  }

  bool tidy() {
    const uint64_t room = room_before_trimming(space(), retention);
    return tidy(next_key_work(packs, fresh, hour_of(now), room, limits()));
  }

  bool forget(const TrimStep& trim) {
    switch (trim.what) {
      case Trim::batches:
        for (uint64_t freed = 0; freed < trim.bytes && !batches.empty(); ++oldest_batch) {
          freed += batches.front();
          batches_bytes -= batches.front();
          batches.pop_front();
        }
        return true;
      case Trim::skeletons:
        oldest_skeleton = trim.batches_upto + 1;
        return true;
      case Trim::expired_keys:
      case Trim::keys_early:
        doomed_bytes += packs.packs.front().entries * kKeyBytes;
        if (packs.merge && packs.merge->first == 0)
          doomed_bytes += packs.merge->entries * kKeyBytes;
        return forget_oldest(packs, trim.keys_before);
      case Trim::merge:
        doomed_bytes += packs.merge->entries * kKeyBytes;
        give_up_merge(packs);
        ++given_up;
        return true;
      default:
        FAIL("a billing stream without age has no such step");
        return false;
    }
  }

  bool tidy(KeyWork work) {
    if (work == KeyWork::nothing) return false;
    if (work == KeyWork::pack_fresh) {
      add_pack(packs, {.id = packs.next_id++,
                       .entries = fresh.entries,
                       .from = fresh.from,
                       .to = hour_of(now)});
      keys_written += fresh.entries;
      fresh = {};
      return true;
    }
    if (work == KeyWork::begin_merge) {
      packs.merge = mergeable(packs, hour_of(now), limits());
      ++packs.next_id;
    }
    uint64_t inputs = 0;
    for (size_t i = 0; i < packs.merge->count; ++i)
      inputs += packs.packs[packs.merge->first + i].entries;
    const uint64_t some = std::min<uint64_t>(inputs - packs.merge->entries, 32 * 145 * 4);
    packs.merge->entries += some;
    keys_written += some;
    if (packs.merge->entries == inputs) {
      end_merge(packs);
      doomed_bytes += inputs * kKeyBytes;
    }
    return true;
  }

  [[nodiscard]] uint64_t keys() const {
    uint64_t out = fresh.entries;
    for (const KeyPack& pack : packs.packs) out += pack.entries;
    return out;
  }
};

}  // namespace

TEST_CASE("packs stay few in a journal that has been full for weeks") {
  struct Load {
    uint64_t quota_mib;
    uint64_t per_s;
    int days;
  };
  const Load load = GENERATE(Load{256, 10, 20}, Load{256, 100, 4}, Load{64, 10, 20},
                             Load{64, 1, 60}, Load{32, 100, 1}, Load{1'024, 1'000, 2});
  Device device;
  device.retention.quota_bytes = load.quota_mib << 20;
  const uint64_t keys = std::min<uint64_t>(2'048, load.per_s * 600);
  uint64_t recorded = 0;
  while (device.now - kBegin < std::chrono::days(load.days)) {
    device.record(keys, std::chrono::milliseconds(keys * 1'000 / load.per_s));
    recorded += keys;
  }
  CAPTURE(load.quota_mib, load.per_s, device.given_up, device.packs.packs.size(), device.most_packs,
          double(device.keys_written) / double(recorded));
  CHECK(device.refused == 0);
  CHECK(device.most_packs <= 60);
  CHECK(device.keys_written <= recorded * 8);
  // Room for a merge is all that keys do not get of what is theirs.
  const uint64_t wanted = load.per_s * 7 * 86'400;
  const uint64_t fitting = device.retention.quota_bytes / 16 * 13 / kKeyBytes;
  CHECK(device.keys() >= std::min(wanted, fitting));
}

TEST_CASE("readings that no receipt covers take the room of merges, and get it back") {
  Device device;
  device.retention.quota_bytes = uint64_t{64} << 20;
  device.online = false;
  while (device.refused == 0) device.record(2'048, std::chrono::seconds(20));
  CHECK(device.space().used_bytes >= device.retention.quota_bytes);
  CHECK(!device.packs.merge);
  CHECK(device.keys() <= 2 * 3'600 * 103);  // down to the shortest window

  device.online = true;
  device.most_packs = 0;
  for (int i = 0; i < 500; ++i) device.record(2'048, std::chrono::seconds(20));
  CHECK(device.packs.packs.size() <= 60);
}

TEST_CASE("a burst into a journal full of receipted batches leaves few keys unpacked, few packs") {
  Device device{.retention = {}};
  device.reading_bytes = 60;
  for (int i = 0; i < 5'000; ++i) device.record(1'024, std::chrono::minutes(5));
  REQUIRE(device.space().used_bytes > device.retention.quota_bytes / 16 * 13);
  device.steps_max = 1;
  device.most_packs = 0;
  for (int i = 0; i < 4'000; ++i) device.record(1'024, Duration(50));
  CHECK(device.refused == 0);
  CHECK(device.most_fresh <= 4 * device.limits().fresh_max + 2 * 1'024);
  CHECK(device.most_packs <= 100);
}
