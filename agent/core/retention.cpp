#include "agent/core/retention.h"

#include <algorithm>

namespace ledgerline::agent {

namespace {

constexpr int64_t kHourMs = 3'600'000;

/// Trimming begins before the quota is reached, so that inputs are pushed back only where nothing
/// more may be given up.
uint64_t trim_above(const RetentionLimits& limits) {
  return limits.quota_bytes - limits.quota_bytes / 16;
}

uint64_t difference(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

/// Room that the file has in itself.
uint64_t inside_bytes(const Space& space) { return difference(space.file_bytes, space.used_bytes); }

bool can_grow(const Space& space, const RetentionLimits& limits) {
  return space.ahead_bytes >= limits.reserve_bytes && space.disk_free_bytes >= limits.disk_free_min;
}

/// A commit copies the pages that it changes: it needs up to the reserve beyond the file's end or
/// inside. Twice that inside, because the pages that the last commits freed may not be used yet.
bool disk_is_short(const Space& space, const RetentionLimits& limits) {
  return !can_grow(space, limits) && inside_bytes(space) < 2 * limits.reserve_bytes;
}

/// Until disk_is_short().
uint64_t room_on_disk(const Space& space, const RetentionLimits& limits) {
  const uint64_t inside = inside_bytes(space);
  if (!can_grow(space, limits)) return difference(inside, 2 * limits.reserve_bytes);
  return inside + (space.disk_free_bytes - limits.disk_free_min);
}

uint64_t bytes_wanted(const Space& space, const RetentionLimits& limits) {
  const uint64_t above = trim_above(limits);
  if (space.used_bytes > above) return space.used_bytes - above;
  return disk_is_short(space, limits) ? 2 * limits.reserve_bytes : 0;
}

/// Where the collector holds nothing of it.
TrimStep what_may_go(const Holdings& holdings, uint64_t wanted, const RetentionLimits& limits) {
  if (holdings.oldest_key_hour) {
    // Without its key an event that is repeated counts twice.
    const bool is_old =
        *holdings.oldest_key_hour < hour_of(holdings.key_time - limits.idempotency_window_min);
    const bool has_no_reading =
        holdings.oldest_key_seq && *holdings.oldest_key_seq < holdings.oldest_batch_seq;
    if (is_old || has_no_reading) {
      return {.what = Trim::keys_early, .keys_before = *holdings.oldest_key_hour + 1};
    }
  }
  if (holdings.oldest_batch <= holdings.droppable_upto) {
    return {.what = Trim::unreceipted, .batches_upto = holdings.droppable_upto, .bytes = wanted};
  }
  return {};
}

}  // namespace

uint64_t map_bytes(const RetentionLimits& limits) {
  constexpr uint64_t kPage = 4096;
  constexpr uint64_t kTrimBytes = 1 << 20;
  const uint64_t size = limits.quota_bytes + limits.reserve_bytes + kTrimBytes;
  return (size + kPage - 1) / kPage * kPage;
}

Hour hour_of(Timestamp t) {
  const int64_t hour = std::max<int64_t>(t.unix_ms(), 0) / kHourMs;
  return static_cast<Hour>(std::min<int64_t>(hour, UINT32_MAX));
}

Timestamp start_of(Hour hour) { return Timestamp(int64_t{hour} * kHourMs); }

KeyClock advanced(const KeyClock& last, Monotonic now) {
  const Duration passed = std::max(now - last.read_at, Duration(0));
  return {.at = last.at + passed, .read_at = now};
}

uint64_t room_before_trimming(const Space& space, const RetentionLimits& limits) {
  if (disk_is_short(space, limits)) return 0;
  return std::min(difference(trim_above(limits), space.used_bytes), room_on_disk(space, limits));
}

Status may_record(const Space& space, const RetentionLimits& limits) {
  if (space.used_bytes >= limits.quota_bytes) {
    return fail(
        Error(Errc::full, "the journal's quota is used up by readings that no receipt covers yet")
            .with("used_bytes", std::to_string(space.used_bytes))
            .with("quota_bytes", std::to_string(limits.quota_bytes)));
  }
  if (disk_is_short(space, limits)) {
    return fail(Error(Errc::full, "the disk of the journal is full")
                    .with("disk_free_bytes", std::to_string(space.disk_free_bytes)));
  }
  return {};
}

Status may_coarsen(const Space& space, const RetentionLimits& limits) {
  const uint64_t half = limits.reserve_bytes / 2;
  if (space.used_bytes >= limits.quota_bytes + half ||
      inside_bytes(space) + space.ahead_bytes < half) {
    return fail(Errc::full, "the journal's reserve is used up as well");
  }
  return {};
}

TrimStep next_trim(Timestamp now, const Space& space, const Holdings& holdings,
                   const RetentionLimits& limits) {
  const Hour expired_before = hour_of(holdings.key_time - limits.idempotency_window);
  if (holdings.oldest_key_hour && *holdings.oldest_key_hour < expired_before) {
    return {.what = Trim::expired_keys, .keys_before = expired_before};
  }
  const uint64_t room = room_before_trimming(space, limits);
  const bool starves = holdings.merging_bytes && *holdings.merging_bytes > room;
  if (holdings.keep_evidence) return {.what = starves ? Trim::merge : Trim::nothing};
  const uint64_t for_readings = bytes_wanted(space, limits);
  const uint64_t wanted = std::max(for_readings, difference(holdings.merge_bytes, room));
  if (wanted > 0 && holdings.oldest_batch <= holdings.acked_upto) {
    return {.what = Trim::batches, .batches_upto = holdings.acked_upto, .bytes = wanted};
  }
  // The skeleton at acked_upto stays: the next receipt is compared with those from there on. So
  // does the one before the oldest batch: a tombstone for what is forgotten ends there.
  const BatchNumber end = std::min(holdings.oldest_batch - 1, holdings.acked_upto);
  const bool has_skeletons = holdings.oldest_skeleton < end;
  if (wanted > 0 && has_skeletons) return {.what = Trim::skeletons, .batches_upto = end - 1};
  if (for_readings > 0 && starves) return {.what = Trim::merge};
  if (wanted > 0) {
    const TrimStep step = what_may_go(holdings, wanted, limits);
    return step.what == Trim::nothing && starves ? TrimStep{.what = Trim::merge} : step;
  }
  if (!has_skeletons) return {};
  const Timestamp sealed_before = now - limits.skeleton_age;
  if (holdings.oldest_skeleton_sealed_at && *holdings.oldest_skeleton_sealed_at < sealed_before) {
    return {.what = Trim::skeletons, .batches_upto = end - 1, .sealed_before = sealed_before};
  }
  return {};
}

}  // namespace ledgerline::agent
