#pragma once
// Input `prometheus`: scrapes text endpoints. A counter becomes a register, whose difference the
// recorder takes from the last value in the journal, so a restart of the agent counts nothing twice
// and leaves nothing out. One [[input.prometheus]] is one target.

#include <memory>

#include "agent/inputs/inputs.h"

namespace ledgerline::agent {

Result<std::unique_ptr<Input>> prepare_prometheus_input(InputOptions options);

}  // namespace ledgerline::agent
