#pragma once
// How a new sighting of a cause changes the exception that is stored for it. Pure.

#include <optional>

#include "collector/core/records.h"

namespace ledgerline::collector {

/// The row after a person's action (ExceptionChange).
ExceptionRow acted(ExceptionRow row, const ExceptionAction& action);

/// The row to store, or nothing where the store stays as it is. UpsertMode says how counts and
/// states combine.
std::optional<ExceptionRow> upserted(const std::optional<ExceptionRow>& stored,
                                     const ExceptionUpsert& upsert);

}  // namespace ledgerline::collector
