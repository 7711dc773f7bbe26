#pragma once
// Where a stream stands at its end, also where the fold has yet to read its newest batches.

#include "collector/core/recovery.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

/// Reads the evidence log from the fold's cursor on.
Result<StreamEnd> read_stream_end(Store& store, const StreamRow& row);

}  // namespace ledgerline::collector
