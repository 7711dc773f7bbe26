#pragma once
// `ledgerline-agent diag`: one archive for support, without secrets (diag_filter.h says what may be
// in it). Works whatever is broken: a part that cannot be had is named in the archive with its
// reason.

#include <ostream>

#include "agent/ops/command_line.h"
#include "agent/ops/diag_filter.h"
#include "common/time.h"

namespace ledgerline::agent {

/// In the archive's order. `config` is what became of reading the configuration: without one,
/// whatever needs it is missing.
std::vector<DiagPart> diag_parts(const Result<AgentConfig>& config, Clock& clock);

/// Writes options.out with mode 0600 and returns an exit code.
Result<int> diag(const Result<AgentConfig>& config, const CommandLine& options, Clock& clock,
                 std::ostream& out);

}  // namespace ledgerline::agent
