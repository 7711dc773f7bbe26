#pragma once
// Which boot of the machine this is.

#include <string>

#include "common/result.h"

namespace ledgerline::agent {

inline constexpr size_t kBootIdMax = 64;

/// The kernel's boot id, from a folder like /proc; never empty.
Result<std::string> read_boot_id(const std::string& proc);

}  // namespace ledgerline::agent
