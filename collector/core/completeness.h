#pragma once
// When a stream's readings are all there up to an instant. A heartbeat promises "no reading from
// next_seq on is earlier than complete_through"; it counts once every reading before next_seq is
// folded. Pure.

#include "collector/core/records.h"

namespace ledgerline::collector {

/// True where the heartbeat is newer than the track's newest. Promises that folded_seq covers
/// collapse into one; where more than kWaitingMax wait, the newest replaces the one before it, so
/// that the oldest can still come true.
bool on_heartbeat(HeartbeatTrack& track, const Heartbeat& heartbeat, Timestamp received_at,
                  Seq folded_seq);

/// The latest promise that counts; nothing where none does yet.
std::optional<Timestamp> complete_through(const HeartbeatTrack& track, Seq folded_seq);

}  // namespace ledgerline::collector
