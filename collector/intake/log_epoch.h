#pragma once
// Epochs of the evidence log. A collector that was put back from an older copy of its store signs
// nothing under the old origin that could contradict what it signed before: where its own signature
// shows that the store lacks something, the log goes on under a later epoch, and a leaf says so
// (collector/core/epoch_statement.h). On the storage thread.

#include <optional>
#include <string>

#include "collector/core/epoch_statement.h"
#include "collector/store/log_standing.h"

namespace ledgerline::collector {

/// Of a new store.
LogOrigin first_epoch(const PublicKey& collector);

struct EpochCause {
  uint32_t epoch = 1;  // in force when it was judged: where another one is, there is nothing to do
  std::optional<ShownCheckpoint> shown;
  std::string reason;
  bool by_itself = true;  // nobody asked for it: an exception tells a person
};
/// The epoch that began; nothing where another one was first. Errc::config where the log is another
/// collector key's.
Result<std::optional<uint32_t>> begin_epoch(Store& store, Signer& signer, const EpochCause& cause,
                                            Timestamp now);

/// The same where `note` is this collector's, and the log does not hold what it says. `whose`: "X
/// shows".
Result<std::optional<uint32_t>> begin_epoch_for_note(Store& store, Signer& signer,
                                                     std::string_view note,
                                                     const std::string& whose, Timestamp now);

/// The newest checkpoint that was signed is kept in a file beside the store, before anybody is
/// shown it. By the file a store is known that was put back since. An empty name: no file.
Status keep_checkpoint(const std::string& file, const std::string& note);
Result<std::optional<uint32_t>> begin_epoch_if_put_back(Store& store, Signer& signer,
                                                        const std::string& file, Timestamp now);

/// When the epoch in force began; nothing for the first.
Result<std::optional<Timestamp>> epoch_began(Store& store);

}  // namespace ledgerline::collector
