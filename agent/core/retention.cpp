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

/// Room that the file has in itself.
uint64_t inside_bytes(const Space& space) {
  return space.file_bytes > space.used_bytes ? space.file_bytes - space.used_bytes : 0;
}

/// A commit copies the pages that it changes: it needs up to the reserve beyond the file's end or
/// inside. Twice that inside, because the pages that the last commits freed may not be used yet.
bool disk_is_short(const Space& space, const RetentionLimits& limits) {
  const bool can_grow =
      space.ahead_bytes >= limits.reserve_bytes && space.disk_free_bytes >= limits.disk_free_min;
  return !can_grow && inside_bytes(space) < 2 * limits.reserve_bytes;
}

uint64_t bytes_wanted(const Space& space, const RetentionLimits& limits) {
  const uint64_t above = trim_above(limits);
  if (space.used_bytes > above) return space.used_bytes - above;
  return disk_is_short(space, limits) ? 2 * limits.reserve_bytes : 0;
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
  const uint64_t above = trim_above(limits);
  if (space.used_bytes > above || disk_is_short(space, limits)) return 0;
  return above - space.used_bytes;
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
  if (holdings.keep_evidence) return {};
  const uint64_t wanted = bytes_wanted(space, limits);
  if (wanted > 0 && holdings.oldest_batch <= holdings.acked_upto) {
    return {.what = Trim::batches, .batches_upto = holdings.acked_upto, .bytes = wanted};
  }
  // The skeleton at acked_upto stays: the next receipt is compared with those from there on. So
  // does the one before the oldest batch: a tombstone for what is forgotten ends there.
  const BatchNumber end = std::min(holdings.oldest_batch - 1, holdings.acked_upto);
  const bool has_skeletons = holdings.oldest_skeleton < end;
  if (wanted > 0 && has_skeletons) return {.what = Trim::skeletons, .batches_upto = end - 1};
  // Last: without its key an event that is repeated counts twice.
  const Hour kept_from = hour_of(holdings.key_time - limits.idempotency_window_min);
  if (wanted > 0 && holdings.oldest_key_hour && *holdings.oldest_key_hour < kept_from) {
    return {.what = Trim::keys_early, .keys_before = *holdings.oldest_key_hour + 1};
  }
  const bool key_without_reading =
      holdings.oldest_key_seq && *holdings.oldest_key_seq < holdings.oldest_batch_seq;
  if (wanted > 0 && holdings.oldest_key_hour && key_without_reading) {
    return {.what = Trim::keys_early, .keys_before = *holdings.oldest_key_hour + 1};
  }
  if (wanted > 0 && holdings.oldest_batch <= holdings.droppable_upto) {
    return {.what = Trim::unreceipted, .batches_upto = holdings.droppable_upto, .bytes = wanted};
  }
  if (wanted > 0 || !has_skeletons) return {};
  const Timestamp sealed_before = now - limits.skeleton_age;
  if (holdings.oldest_skeleton_sealed_at && *holdings.oldest_skeleton_sealed_at < sealed_before) {
    return {.what = Trim::skeletons, .batches_upto = end - 1, .sealed_before = sealed_before};
  }
  return {};
}

}  // namespace ledgerline::agent
