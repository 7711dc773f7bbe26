#pragma once
// Looks up the approval that lets a document leave.

#include <optional>
#include <string>

#include "collector/store/store.h"

namespace ledgerline::collector {

/// Nothing where it may be sent, else why not (collector/core/approvals.h decides). Its approval
/// is read by the leaf that the document names, whatever the log's length.
Result<std::optional<std::string>> why_unapproved(Store& store, const DocumentRow& document);

}  // namespace ledgerline::collector
