#pragma once
// How long to wait before the next attempt: doubling from `first` to `cap`, and of that a random
// part between a half and the whole, so that a fleet that failed together does not come back
// together. Pure: the randomness is passed in.

#include <algorithm>
#include <cstdint>

#include "common/time.h"

namespace ledgerline {

struct Backoff {
  Duration first{1000};
  Duration cap{60'000};
};

/// `attempt` counts the failures so far, from 1; `random` is any 32 random bits.
constexpr Duration backoff_delay(const Backoff& backoff, unsigned attempt, uint32_t random) {
  const unsigned doublings = std::min(attempt == 0 ? 0U : attempt - 1, 20U);
  const int64_t whole = std::min<int64_t>(backoff.first.count() << doublings, backoff.cap.count());
  const int64_t half = whole / 2;
  return Duration(half + (whole - half) * static_cast<int64_t>(random >> 16) / 0xffff);
}

}  // namespace ledgerline
