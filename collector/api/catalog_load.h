#pragma once
// What a catalog that is to come into force changes, and the versions that bring it.

#include <vector>

#include "collector/core/catalog_difference.h"
#include "collector/fold/logged_catalog.h"

namespace ledgerline::collector {

/// 128 random bits.
EntrySalt random_salt();

/// Signed, and expecting that no other was logged meanwhile.
Result<StatementPut> version_put(LeafKind kind, const NextVersion& version, Signer& signer);

/// The versions that make `catalog` the one in force; none where it is. Errc::reject where it names
/// another tenant than the versions before.
Result<std::vector<StatementPut>> version_puts(const LoggedCatalog& logged, const Catalog& catalog,
                                               const VersionAuthor& author, Signer& signer);

}  // namespace ledgerline::collector
