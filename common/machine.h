#pragma once
// What a 32-bit machine cannot do, in one place: sizes beyond its address space, times beyond a
// time_t of 4 bytes. Pure: tests pass the machine.

#include <ctime>
#include <optional>

#include "common/result.h"
#include "common/time.h"

namespace ledgerline {

struct Machine {
  size_t pointer_bytes = sizeof(void*);
  size_t time_bytes = sizeof(std::time_t);
};

/// The largest databases that can be mapped, in bytes, all of a process together. LMDB on 32 bits
/// refuses 2048 MiB and more, and threads, heap and libraries need what is left.
uint64_t map_bytes_max(const Machine& machine = {});

/// A stored or configured size as one of memory. Errc::config where this machine has no such
/// addresses; a plain conversion would wrap silently.
Result<size_t> to_size(uint64_t bytes, const Machine& machine = {});

/// The last second that the C library can tell: 2038-01-19T03:14:07Z with 4 bytes, nothing with 8.
std::optional<Timestamp> clock_end(const Machine& machine = {});

}  // namespace ledgerline
