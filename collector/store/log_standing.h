#pragma once
// How the evidence log stands, for those who only ask. On the storage thread.

#include "collector/store/store.h"

namespace ledgerline::collector {

/// 0 where the log has not begun.
Result<uint32_t> epoch_in_force(Store& store);

/// True from the transaction that begins a later epoch until an operator has looked at what this
/// store lacks (`recover --resume`): it would bill by an older catalog, without the corrections and
/// gap acceptances that were made since, what the ERP may hold already.
Result<bool> rating_halted(Store& store);

/// After "nothing is rated: ".
inline constexpr const char* kHowToResume =
    "the store was lost or put back. Load the catalog, make again the corrections, gap "
    "acceptances, "
    "operators and revocations since, compare documents with the ERP, then ledgerline-collector "
    "recover --resume --reason TEXT";

}  // namespace ledgerline::collector
