#pragma once
// The catalog that is in force: the newest versions of catalog and mapping in the evidence log,
// each signed by an operator. Blocking: runs on the storage thread, or in a command.

#include <optional>
#include <vector>

#include "collector/core/catalog_version.h"
#include "collector/store/store.h"

namespace ledgerline::collector {

class LoggedCatalog {
 public:
  explicit LoggedCatalog(Store& store) : store_(store) {}

  /// Reads the versions that were logged since the last call; true where there are any.
  /// Errc::corrupt names the version that is damaged, not signed by an operator, or does not follow
  /// on the one before: it and all after it are not read.
  Result<bool> refresh();
  /// Reads up to the versions of these ids and no further; nothing: none. True where there are any
  /// that were not read. Errc::corrupt also where the log holds no such versions, or what was read
  /// goes beyond them.
  Result<bool> refresh_to(const CatalogVersions& versions);

  /// What refresh() has read, whole; nothing where no version of the catalog is logged.
  /// Errc::corrupt.
  [[nodiscard]] Result<std::optional<Catalog>> catalog() const;

  [[nodiscard]] const VersionState& state(LeafKind kind) const {
    return kind == LeafKind::catalog_version ? catalog_ : mapping_;
  }
  /// What is to be known of each version, the oldest first.
  [[nodiscard]] const std::vector<CatalogVersion>& history(LeafKind kind) const {
    return kind == LeafKind::catalog_version ? catalog_history_ : mapping_history_;
  }

 private:
  /// Up to version `number`.
  Status read_upto(LeafKind kind, uint64_t number);
  Status take(LeafKind kind, const LogEntry& leaf, const std::vector<OperatorRow>& operators);

  Store& store_;
  VersionState catalog_;
  VersionState mapping_;
  std::vector<CatalogVersion> catalog_history_;
  std::vector<CatalogVersion> mapping_history_;
};

/// The catalog in force, for a command. Errc::config, saying how to load one, where there is none.
Result<Catalog> catalog_in_force(Store& store);
/// What to do where no catalog is loaded.
inline constexpr const char* kHowToLoad =
    "load the files of the catalog folder: ledgerline-collector catalog load --key FILE";

}  // namespace ledgerline::collector
