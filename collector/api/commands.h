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
Result<int> add_operator(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                         std::ostream& out);
Result<int> list_operators(const CollectorConfig& config, const CommandLine& options,
                           std::ostream& out);
Result<int> revoke_operator(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                            std::ostream& out);
/// All public keys, as ledgerline-verify reads them.
Result<int> export_keys(const CollectorConfig& config, const CommandLine& options,
                        std::ostream& out);
/// Begins or ends recover mode, or says how it stands and whom it let in.
Result<int> recover(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                    std::ostream& out);
/// `signer`: the collector's, needed to begin; else it may be null.
Result<int> recover(Store& store, Signer* signer, const CommandLine& options, Clock& clock,
                    std::ostream& out);
Result<int> documents(const CollectorConfig& config, const CommandLine& options, std::ostream& out);
/// The same of a store that is open.
Result<int> documents(Store& store, const CommandLine& options, std::ostream& out);
Result<int> decide(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                   std::ostream& out);
Result<int> requeue(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                    std::ostream& out);
Result<int> usage(const CollectorConfig& config, const CommandLine& options, std::ostream& out);
/// The ledger hash of what closed periods have booked, with --json also the rows.
Result<int> ledger(const CollectorConfig& config, const CommandLine& options, std::ostream& out);
Result<int> ledger(Store& store, const CommandLine& options, std::ostream& out);
/// Builds the ledger again from the evidence log, into a store of its own. Returns 0 where both are
/// equal, else 1 with what differs.
Result<int> replay(const CollectorConfig& config, const CommandLine& options, std::ostream& out);
Result<int> replay(Store& source, Store& target, const PublicKey& collector,
                   const CommandLine& options, std::ostream& out);
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
/// What command and reason say, checked against what this kind of exception allows.
Result<ExceptionAction> requested_action(const ExceptionRow& row, const CommandLine& options,
                                         const std::string& by, Timestamp now);
/// Numbers the action, signs it and stores it with what it does.
Result<ExceptionAction> record_action(Store& store, const ExceptionRow& row, ExceptionChange change,
                                      Signer& signer);

/// The newest account update of each rule and contract.
Result<int> accounts(const CollectorConfig& config, const CommandLine& options, std::ostream& out);
Result<int> accounts(Store& store, const CommandLine& options, std::ostream& out);

/// Writes the evidence bundle of a document, or of one line of it.
Result<int> prove(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                  std::ostream& out);
/// correct add, void and withdraw.
Result<int> correct(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                    std::ostream& out);
Result<int> list_corrections(const CollectorConfig& config, const CommandLine& options,
                             std::ostream& out);
Result<int> list_gaps(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                      std::ostream& out);
Result<int> accept_gap(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                       std::ostream& out);
/// Accepts all gaps of a contract's oldest open period, or says why there is none.
Result<int> close_period(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                         std::ostream& out);
/// load and diff: shows how the folder's files differ from what is in force and, but for a dry run,
/// signs them into the log. Errc::reject where that would alter a closed period.
Result<int> load_catalog_folder(const CollectorConfig& config, const CommandLine& options,
                                Clock& clock, std::ostream& out);
Result<int> show_catalog(const CollectorConfig& config, const CommandLine& options,
                         std::ostream& out);

/// What the maintenance rules would have ordered over everything that was folded so far; writes
/// nothing.
Result<int> try_maintenance(const CollectorConfig& config, const CommandLine& options,
                            std::ostream& out);

/// Signs the evidence log as it is, keeps the note for cosignatures and prints or writes it.
Result<int> checkpoint(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                       std::ostream& out);
Result<int> checkpoint(Store& store, Signer& signer, const CommandLine& options, std::ostream& out);
/// Adds a witness's cosignature to the note that `checkpoint` kept.
Result<int> cosign_checkpoint(const CollectorConfig& config, const CommandLine& options,
                              std::ostream& out);
Result<int> cosign_checkpoint(Store& store, const CommandLine& options, std::ostream& out);

}  // namespace ledgerline::collector
