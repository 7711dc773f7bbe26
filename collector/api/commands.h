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
/// Begins or ends recover mode, or says how it stands and whom it let in.
Result<int> recover(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                    std::ostream& out);
Result<int> recover(Store& store, const CommandLine& options, Clock& clock, std::ostream& out);
Result<int> documents(const CollectorConfig& config, const CommandLine& options, std::ostream& out);
/// The same of a store that is open.
Result<int> documents(Store& store, const CommandLine& options, std::ostream& out);
Result<int> decide(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                   std::ostream& out);
Result<int> requeue(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                    std::ostream& out);
Result<int> usage(const CollectorConfig& config, const CommandLine& options, std::ostream& out);
/// Errc::conflict where the delivery does not stand still.
Result<DeliveryRelease> release_of(const DeliveryRow& delivery, Timestamp now);

Result<int> list_exceptions(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                            std::ostream& out);
Result<int> show_exception(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                           std::ostream& out);
/// assign, requeue and ignore.
Result<int> act_on_exception(const CollectorConfig& config, const CommandLine& options,
                             Clock& clock, std::ostream& out);
Result<int> map_exception(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                          std::ostream& out);
/// By its id or the beginning of it. Errc::not_found; Errc::reject where several begin so.
Result<ExceptionRow> find_exception(Store& store, const std::string& id);
/// The revision that the exception is about: that of its delivery, else the newest.
Result<DocumentRow> document_of(Store& store, const ExceptionRow& row);
/// What command, by and reason say, checked against what this kind of exception allows.
Result<ExceptionAction> requested_action(const ExceptionRow& row, const CommandLine& options,
                                         Timestamp now);

/// The newest account update of each rule and contract.
Result<int> accounts(const CollectorConfig& config, const CommandLine& options, std::ostream& out);
Result<int> accounts(Store& store, const CommandLine& options, std::ostream& out);

/// What the maintenance rules would have ordered over everything that was folded so far; writes
/// nothing.
Result<int> try_maintenance(const CollectorConfig& config, const CommandLine& options,
                            std::ostream& out);

}  // namespace ledgerline::collector
