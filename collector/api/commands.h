#pragma once
// What the command line does beside `run`. Each command opens the store itself, also while the
// collector runs (ARCHITECTURE.md, Decisions), prints to `out` and returns the exit code.

#include <ostream>

#include "collector/api/command_line.h"
#include "collector/api/config.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

Result<int> check(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                  std::ostream& out);
Result<int> status(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                   std::ostream& out);
Result<int> enroll(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                   std::ostream& out);
Result<int> revoke(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                   std::ostream& out);
Result<int> documents(const CollectorConfig& config, const CommandLine& options, std::ostream& out);
/// The same of a store that is open.
Result<int> documents(Store& store, const CommandLine& options, std::ostream& out);
Result<int> decide(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                   std::ostream& out);
Result<int> requeue(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                    std::ostream& out);
Result<int> usage(const CollectorConfig& config, const CommandLine& options, std::ostream& out);
Result<int> exceptions(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                       std::ostream& out);

/// The newest account update of each rule and contract.
Result<int> accounts(const CollectorConfig& config, const CommandLine& options, std::ostream& out);
Result<int> accounts(Store& store, const CommandLine& options, std::ostream& out);

/// What the maintenance rules would have ordered over everything that was folded so far; writes
/// nothing.
Result<int> try_maintenance(const CollectorConfig& config, const CommandLine& options,
                            std::ostream& out);

}  // namespace ledgerline::collector
