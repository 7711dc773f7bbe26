#include "agent/core/checkpoint_watch.h"

#include <algorithm>

namespace ledgerline::agent {

namespace {

struct Shown {
  CheckpointNote note;
  LogOrigin origin;
};

Result<Shown> open_verified(std::string_view text, const PublicKey& collector_key) {
  TRY(auto note, open_checkpoint(text));
  TRY(auto origin, parse_log_origin(note.checkpoint.origin));
  if (origin.collector != collector_key.id().hex())
    return fail(Errc::corrupt, "a checkpoint is of another collector's log");
  TRY_VOID(verify_checkpoint(note, collector_key));
  return Shown{std::move(note), std::move(origin)};
}

LogSightings with_newest(LogSightings next, const Shown& shown, const std::string& text) {
  next.newest = text;
  next.epoch = shown.origin.epoch;
  next.size = shown.note.checkpoint.size;
  return next;
}

CheckpointVerdict contradicted(const LogSightings& held, const std::string& text, std::string why,
                               Timestamp now) {
  CheckpointVerdict out{Sighting::conflict, std::move(why), held};
  if (!held.keep_evidence())
    out.next.conflict = LogSightings::Conflict{held.epoch, held.newest, text, out.why, now};
  return out;
}

CheckpointVerdict next_epoch(const LogSightings& held, const Shown& shown,
                             const std::string& text) {
  CheckpointVerdict out{Sighting::new_epoch, {}, with_newest(held, shown, text)};
  auto& earlier = out.next.earlier;
  earlier.push_back(held.newest);
  if (earlier.size() > LogSightings::kEarlierMax) earlier.erase(earlier.begin());
  return out;
}

std::string leaves(uint64_t size) { return std::to_string(size) + " leaves"; }

}  // namespace

Result<CheckpointVerdict> judge_checkpoint(const LogSightings& held, const CheckpointAnswer& answer,
                                           const PublicKey& collector_key, Timestamp now) {
  TRY(const Shown shown, open_verified(answer.note, collector_key));
  if (held.newest.empty())
    return CheckpointVerdict{Sighting::first, {}, with_newest(held, shown, answer.note)};
  TRY(const Shown known, open_verified(held.newest, collector_key));
  if (shown.origin.log != known.origin.log)
    return fail(Errc::corrupt, "a checkpoint is of another log of the collector");
  if (shown.origin.epoch > known.origin.epoch) return next_epoch(held, shown, answer.note);

  const auto conflict = [&](std::string why) {
    return contradicted(held, answer.note, std::move(why), now);
  };
  if (shown.origin.epoch < known.origin.epoch) {
    return conflict("the log is in epoch " + std::to_string(shown.origin.epoch) +
                    " again, after epoch " + std::to_string(known.origin.epoch));
  }
  const Checkpoint& before = known.note.checkpoint;
  const Checkpoint& after = shown.note.checkpoint;
  if (after.size < before.size)
    return conflict("the log has " + leaves(after.size) + ", after " + leaves(before.size));
  if (after.size == before.size && after.root != before.root)
    return conflict("the log has another root at " + leaves(after.size));
  if (after.size == before.size) return CheckpointVerdict{Sighting::same, {}, held};
  const Status proven =
      verify_consistency(before.size, before.root, after.size, after.root, answer.consistency);
  if (!proven) {
    return conflict("the log with " + leaves(after.size) +
                    " is not shown to contain the one with " + leaves(before.size) + ": " +
                    proven.error().message());
  }
  return CheckpointVerdict{Sighting::grown, {}, with_newest(held, shown, answer.note)};
}

void CheckpointSchedule::on_connected(Monotonic now) {
  due_ = asked_ ? std::max(now, *asked_ + kGap) : now;
}

bool CheckpointSchedule::ask(Monotonic now) {
  if (!due_ || now < *due_) return false;
  asked_ = now;
  due_ = now + kPeriod;
  return true;
}

}  // namespace ledgerline::agent
