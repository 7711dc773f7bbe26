#pragma once
// The commands that are not `run`. Each prints to `out` and returns an exit code of sysexits.h;
// what went wrong comes back as an Error, for which exit_code_of() (common/exit_code.h) has the
// code.

#include <ostream>

#include "agent/ops/command_line.h"
#include "agent/ops/config.h"
#include "common/exit_code.h"
#include "common/time.h"

namespace ledgerline::agent {

/// Reads everything that `run` would need and says what it would do; changes nothing.
Result<int> check(const AgentConfig& config, const CommandLine& options, std::ostream& out);
/// Asks the running agent, else reads the journal.
Result<int> status(const AgentConfig& config, const CommandLine& options, std::ostream& out);
Result<int> enroll(const AgentConfig& config, const CommandLine& options, Clock& clock,
                   std::ostream& out);
/// Posts one CloudEvent to the running agent.
Result<int> record(const AgentConfig& config, const CommandLine& options, std::ostream& out);

/// The event that record() posts. Errc::reject for a dimension that is not name=value.
Result<std::string> event_of(const CommandLine& options, const std::string& id);

}  // namespace ledgerline::agent
