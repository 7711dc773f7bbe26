#include "collector/core/completeness.h"

#include <algorithm>

namespace ledgerline::collector {

Timestamp believed_promise(const Heartbeat& heartbeat, Timestamp received_at) {
  return std::min(heartbeat.complete_through, received_at);
}

bool on_heartbeat(HeartbeatTrack& track, const Heartbeat& heartbeat, Timestamp received_at,
                  Seq folded_seq, ByteView signed_bytes) {
  if (heartbeat.number <= track.newest.number) return false;
  track.newest = heartbeat;
  track.newest_received_at = received_at;

  if (const auto* promise = furthest_promise(track, folded_seq)) {
    HeartbeatTrack::Promise furthest = *promise;
    track.covered = std::move(furthest);
  }
  std::erase_if(track.waiting,
                [&](const auto& promise) { return promise.next_seq <= folded_seq + 1; });

  HeartbeatTrack::Promise promise{heartbeat.next_seq, believed_promise(heartbeat, received_at),
                                  copy_of(signed_bytes)};
  if (heartbeat.next_seq <= folded_seq + 1) {
    if (!track.covered || track.covered->complete_through < promise.complete_through)
      track.covered = std::move(promise);
    return true;
  }
  if (track.waiting.size() == HeartbeatTrack::kWaitingMax) track.waiting.pop_back();
  track.waiting.push_back(std::move(promise));
  return true;
}

const HeartbeatTrack::Promise* furthest_promise(const HeartbeatTrack& track, Seq folded_seq) {
  const HeartbeatTrack::Promise* furthest = track.covered ? &*track.covered : nullptr;
  for (const auto& promise : track.waiting) {
    if (promise.next_seq > folded_seq + 1) continue;
    if (furthest == nullptr || furthest->complete_through < promise.complete_through)
      furthest = &promise;
  }
  return furthest;
}

std::optional<Timestamp> complete_through(const HeartbeatTrack& track, Seq folded_seq) {
  const auto* promise = furthest_promise(track, folded_seq);
  if (promise == nullptr) return std::nullopt;
  return promise->complete_through;
}

}  // namespace ledgerline::collector
