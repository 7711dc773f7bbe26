#pragma once
// Whose catalog it is. Blocking: asks the store where the catalog does not say.

#include <optional>
#include <string>

#include "collector/core/catalog.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

/// The catalog's tenant, else the only one that the store knows; nothing where there is none yet.
/// Errc::config where the catalog names none and the store knows several.
Result<std::optional<std::string>> tenant_of(const Catalog& catalog, Store& store);

}  // namespace ledgerline::collector
