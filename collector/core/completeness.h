#pragma once
// When a stream's readings are all there up to an instant. A heartbeat promises "no reading from
// next_seq on is earlier than complete_through"; it counts once every reading before next_seq is
// folded. Pure.

#include "collector/core/records.h"

namespace ledgerline::collector {

/// A promise further ahead of its receipt than this says that the device's clock is off.
inline constexpr Duration kPromiseAheadMax{std::chrono::minutes(1)};

/// A promise holds up to the moment it was received at most: a device whose clock runs years ahead
/// would close periods that still have readings to come. It repeats itself with each heartbeat, so
/// it grows as those come in.
Timestamp believed_promise(const Heartbeat& heartbeat, Timestamp received_at);

/// True where the heartbeat is newer than the track's newest. Promises that folded_seq covers
/// collapse into one; where more than kWaitingMax wait, the newest replaces the one before it, so
/// that the oldest can still come true.
/// `signed_bytes` are kept with its promise.
bool on_heartbeat(HeartbeatTrack& track, const Heartbeat& heartbeat, Timestamp received_at,
                  Seq folded_seq, ByteView signed_bytes = {});

/// The promise that counts and reaches furthest; nullptr where none does yet.
const HeartbeatTrack::Promise* furthest_promise(const HeartbeatTrack& track, Seq folded_seq);

/// Up to when; nothing where no promise counts yet.
std::optional<Timestamp> complete_through(const HeartbeatTrack& track, Seq folded_seq);

}  // namespace ledgerline::collector
