#include "collector/fold/logged_catalog.h"

#include <algorithm>

#include "collector/core/operators.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kPage = 16;  // a version may hold every entry of the catalog

Status check_signature(const OpenVersion& version, const std::vector<OperatorRow>& operators) {
  for (const OperatorRow& row : operators) {
    const bool is_signer = row.key == version.signature.key && row.name == version.statement.by &&
                           in_force_at(row, version.statement.at);
    if (!is_signer) continue;
    TRY(const PublicKey key, PublicKey::from_der(row.algorithm, row.public_key));
    return verify(version.signature.message, key);
  }
  return fail(Errc::corrupt, "it is not signed with a key that was then its operator's");
}

}  // namespace

Result<bool> LoggedCatalog::refresh() {
  // Both kinds may be written in one transaction: counts that belong together are those between
  // which the first has not moved.
  TRY(uint64_t catalogs, store_.statement_count(LeafKind::catalog_version));
  uint64_t mappings = 0;
  for (;;) {
    TRY(mappings, store_.statement_count(LeafKind::mapping_version));
    TRY(const uint64_t again, store_.statement_count(LeafKind::catalog_version));
    if (again == catalogs) break;
    catalogs = again;
  }
  if (catalogs == catalog_.number() && mappings == mapping_.number()) return false;
  TRY_VOID(read_upto(LeafKind::catalog_version, catalogs));
  TRY_VOID(read_upto(LeafKind::mapping_version, mappings));
  return true;
}

Result<bool> LoggedCatalog::refresh_to(const CatalogVersions& versions) {
  bool news = false;
  for (const auto& [kind, id] : {std::pair(LeafKind::catalog_version, versions.catalog),
                                 std::pair(LeafKind::mapping_version, versions.mapping)}) {
    TRY(const uint64_t count, store_.statement_count(kind));
    while (state(kind).id() != id && state(kind).number() < count) {
      TRY_VOID(read_upto(kind, state(kind).number() + 1));
      news = true;
    }
    if (state(kind).id() != id) {
      return fail(Error(Errc::corrupt, "the log holds no such version, or only before another one")
                      .with(std::string(statement_word(kind)), id ? id->hex() : "none"));
    }
  }
  return news;
}

Status LoggedCatalog::read_upto(LeafKind kind, uint64_t number) {
  TRY(const auto operators, store_.operators());
  while (state(kind).number() < number) {
    const uint64_t next = state(kind).number() + 1;
    const auto leaves = store_.statements(kind, next, std::min<uint64_t>(kPage, number - next + 1));
    if (!leaves)
      return fail(
          Error(leaves.error()).with(std::string(statement_word(kind)), std::to_string(next)));
    if (leaves->empty())
      return fail(Errc::corrupt, "a version is missing from the index of statements");
    for (const LogEntry& leaf : *leaves) {
      const auto taken = take(kind, leaf, operators);
      if (!taken) {
        return fail(Error(taken.error())
                        .with(std::string(statement_word(kind)), std::to_string(leaf.number))
                        .with("leaf", std::to_string(leaf.leaf)));
      }
    }
  }
  return {};
}

Status LoggedCatalog::take(LeafKind kind, const LogEntry& leaf,
                           const std::vector<OperatorRow>& operators) {
  TRY(const OpenVersion version, open_version(kind, leaf.sealed));
  if (version.signature.id != leaf.data)
    return fail(Errc::corrupt, "the leaf is another statement");
  TRY_VOID(check_signature(version, operators));
  const bool is_catalog = kind == LeafKind::catalog_version;
  TRY_VOID((is_catalog ? catalog_ : mapping_).apply(version));
  (is_catalog ? catalog_history_ : mapping_history_).push_back(version.statement);
  return {};
}

Result<std::optional<Catalog>> LoggedCatalog::catalog() const {
  if (!catalog_.newest()) return std::nullopt;
  TRY(Catalog out,
      catalog_from_entries(catalog_.newest()->tenant, catalog_.texts(), mapping_.texts()));
  out.set_versions({.catalog = catalog_.id(), .mapping = mapping_.id()});
  return out;
}

Result<Catalog> catalog_in_force(Store& store) {
  LoggedCatalog logged(store);
  TRY_VOID(logged.refresh());
  TRY(auto catalog, logged.catalog());
  if (!catalog) return fail(Errc::config, std::string("no catalog is loaded; ") + kHowToLoad);
  return std::move(*catalog);
}

}  // namespace ledgerline::collector
