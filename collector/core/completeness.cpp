#include "collector/core/completeness.h"

#include <algorithm>

namespace ledgerline::collector {

Timestamp believed_promise(const Heartbeat& heartbeat, Timestamp received_at) {
  return std::min(heartbeat.complete_through, received_at);
}

bool on_heartbeat(HeartbeatTrack& track, const Heartbeat& heartbeat, Timestamp received_at,
                  Seq folded_seq) {
  if (heartbeat.number <= track.newest.number) return false;
  track.newest = heartbeat;
  track.newest_received_at = received_at;

  track.complete_through = complete_through(track, folded_seq);
  std::erase_if(track.waiting,
                [&](const auto& promise) { return promise.next_seq <= folded_seq + 1; });

  const Timestamp promise = believed_promise(heartbeat, received_at);
  if (heartbeat.next_seq <= folded_seq + 1) {
    if (!track.complete_through || *track.complete_through < promise)
      track.complete_through = promise;
    return true;
  }
  if (track.waiting.size() == HeartbeatTrack::kWaitingMax) track.waiting.pop_back();
  track.waiting.push_back({heartbeat.next_seq, promise});
  return true;
}

std::optional<Timestamp> complete_through(const HeartbeatTrack& track, Seq folded_seq) {
  std::optional<Timestamp> latest = track.complete_through;
  for (const auto& promise : track.waiting) {
    if (promise.next_seq > folded_seq + 1) continue;
    if (!latest || *latest < promise.complete_through) latest = promise.complete_through;
  }
  return latest;
}

}  // namespace ledgerline::collector
