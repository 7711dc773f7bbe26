#include "collector/api/catalog_load.h"

namespace ledgerline::collector {

EntrySalt random_salt() {
  std::array<uint8_t, EntrySalt::kSize> bytes{};
  random_bytes(bytes);
  return EntrySalt(bytes);
}

Result<StatementPut> version_put(LeafKind kind, const NextVersion& version, Signer& signer) {
  TRY(SignedVersion made, sign_version(kind, version, signer));
  return StatementPut{.kind = kind,
                      .id = made.id,
                      .sealed = std::move(made.sealed),
                      .at = version.statement.at,
                      .expected_count = version.statement.number - 1};
}

Result<std::vector<StatementPut>> version_puts(const LoggedCatalog& logged, const Catalog& catalog,
                                               const VersionAuthor& author, Signer& signer) {
  const auto& newest = logged.state(LeafKind::catalog_version).newest();
  if (newest && newest->tenant != author.tenant) {
    return fail(Error(Errc::reject, "the catalog in force is another tenant's")
                    .with("in_force", newest->tenant)
                    .with("tenant", author.tenant));
  }
  // What cannot be read again must not come into force.
  TRY_VOID(catalog_from_entries(author.tenant, catalog_entries(catalog), mapping_entries(catalog)));
  std::vector<StatementPut> out;
  for (const LeafKind kind : {LeafKind::catalog_version, LeafKind::mapping_version}) {
    const VersionState& state = logged.state(kind);
    const bool is_catalog = kind == LeafKind::catalog_version;
    TRY(const auto next,
        state.next(is_catalog ? catalog_entries(catalog) : mapping_entries(catalog), author,
                   random_salt));
    if (!next) continue;
    TRY(out.emplace_back(), version_put(kind, *next, signer));
  }
  return out;
}

}  // namespace ledgerline::collector
