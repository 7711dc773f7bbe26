#pragma once
// Input `host`: the machine's own counters from /proc, as registers and gauges.

#include <memory>

#include "agent/inputs/inputs.h"

namespace ledgerline::agent {

Result<std::unique_ptr<Input>> prepare_host_input(TomlTable options, const std::string& folder);

}  // namespace ledgerline::agent
