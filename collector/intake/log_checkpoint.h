#pragma once
// The evidence log's checkpoint, for who asks: devices (custody) and the command line.

#include <string>

#include "collector/store/store.h"

namespace ledgerline::collector {

/// The signed note of the log as it is now. Where the stored one is of this very tree it is that
/// one, with the cosignatures of witnesses that it got. Errc::config where the store belongs to
/// another collector key.
Result<std::string> current_checkpoint(Store& store, Signer& signer);
/// Errc::config where the log is not that key's.
Status check_own_log(const LogOrigin& origin, const Signer& signer);

}  // namespace ledgerline::collector
