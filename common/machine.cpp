#include "common/machine.h"

#include <limits>
#include <string>

namespace ledgerline {

namespace {
constexpr uint64_t kMebibyte = uint64_t{1} << 20;
}

uint64_t map_bytes_max(const Machine& machine) {
  return machine.pointer_bytes == 4 ? 2047 * kMebibyte : uint64_t{1} << 46;
}

Result<size_t> to_size(uint64_t bytes, const Machine& machine) {
  const uint64_t max = machine.pointer_bytes == 4 ? std::numeric_limits<uint32_t>::max()
                                                  : std::numeric_limits<size_t>::max();
  if (bytes <= max) return static_cast<size_t>(bytes);
  return fail(Error(Errc::config, "a size is beyond this machine's address space")
                  .with("bytes", std::to_string(bytes))
                  .with("bytes_max", std::to_string(max)));
}

std::optional<Timestamp> clock_end(const Machine& machine) {
  if (machine.time_bytes >= 8) return std::nullopt;
  return Timestamp(int64_t{std::numeric_limits<int32_t>::max()} * 1000);
}

}  // namespace ledgerline
