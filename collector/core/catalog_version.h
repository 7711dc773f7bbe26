#pragma once
// Versions of the catalog and of the mapping as the evidence log holds them (ARCHITECTURE.md
// "Evidence"). A version is a set of entries, each one canonical JSON text with a random salt; the
// signed statement says how many there are and the root over them, the leaf holds what was added
// and removed against the version before. Catalog and mapping are two series of versions, numbered
// apart. Pure.

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "collector/core/catalog.h"
#include "collector/core/statement.h"
#include "common/sealed_version.h"

namespace ledgerline::collector {

/// Entries are JSON objects that begin with "kind" and the name: meter, rate_card (name and
/// version), account, contract, asset, maintenance, account_update. Ascending by text.
std::vector<std::string> catalog_entries(const Catalog& catalog);
/// {"kind":"links","device","subject","links"}: for each device and subject all its links.
std::vector<std::string> mapping_entries(const Catalog& catalog);

/// Those of the catalog's links and one more.
std::vector<std::string> mapping_entries_with(const Catalog& catalog, const Link& link);

/// The catalog that the entries say, whole: its hash is that of the one they were made of. They may
/// be a part of a catalog's where they are closed under references: what an entry names by name is
/// among them, of a rate card every version. In any order. Errc::corrupt, naming the entry.
Result<Catalog> catalog_from_entries(const std::string& tenant,
                                     const std::vector<std::string>& catalog_entries,
                                     const std::vector<std::string>& mapping_entries);

/// `rate_card "standard" version 2`: of which thing an entry's text is, for a person.
std::string entry_name(const std::string& text);

/// SHA-256("ledgerline/entry/v1" || NUL || salt || text)
Digest entry_hash(const VersionEntry& entry);
/// RFC 6962 tree hash over the entry hashes, in ascending order of the texts.
Digest entries_root(const std::map<std::string, VersionEntry>& entries);

/// The statement of kinds catalog_version and mapping_version.
struct CatalogVersion {
  std::string tenant;
  uint64_t number = 1;             // 1, 2, 3 ... of its kind
  std::optional<Digest> previous;  // id of the version before; nothing: the first
  uint64_t entries = 0;
  Digest root;
  std::string by;
  Timestamp at;
  std::string reason;  // may be empty

  [[nodiscard]] std::string json() const;
  /// Errc::corrupt, naming the member.
  static Result<CatalogVersion> parse(std::string_view json);
};

/// A version's leaf, taken apart; nothing believed yet.
struct OpenVersion {
  OpenStatement signature;  // for verify()
  CatalogVersion statement;
  std::vector<VersionEntry> added;
  std::vector<Digest> removed;  // entry hashes
};
/// Errc::corrupt.
Result<OpenVersion> open_version(LeafKind kind, ByteView sealed);

/// A version to be signed, as a difference to the one before.
struct NextVersion {
  CatalogVersion statement;
  std::vector<VersionEntry> added;
  std::vector<Digest> removed;
};
struct SignedVersion {
  Digest id;
  Bytes sealed;
};
Result<SignedVersion> sign_version(LeafKind kind, const NextVersion& version, Signer& signer);

struct VersionAuthor {
  std::string tenant;
  std::string by;
  Timestamp at;
  std::string reason;
};

/// What is in force after the versions that were applied, one after the other.
class VersionState {
 public:
  static constexpr size_t kEntriesMax = 1'000'000;

  /// Errc::corrupt, with the number, where the version does not follow on this state or its root is
  /// not that of its entries: then the state is as before. The signature is the caller's business.
  Status apply(const OpenVersion& version);

  /// The version that makes `texts` (ascending, each once) the entries in force; nothing where
  /// a version says so already. Unchanged entries keep their salts. Errc::reject beyond
  /// kEntriesMax.
  [[nodiscard]] Result<std::optional<NextVersion>> next(
      const std::vector<std::string>& texts, const VersionAuthor& author,
      const std::function<EntrySalt()>& salt) const;

  [[nodiscard]] const std::optional<CatalogVersion>& newest() const { return newest_; }
  /// The id of the newest.
  [[nodiscard]] const std::optional<Digest>& id() const { return id_; }
  [[nodiscard]] uint64_t number() const { return newest_ ? newest_->number : 0; }
  [[nodiscard]] const std::map<std::string, VersionEntry>& entries() const { return entries_; }
  [[nodiscard]] std::vector<std::string> texts() const;

 private:
  std::optional<CatalogVersion> newest_;
  std::optional<Digest> id_;
  std::map<std::string, VersionEntry> entries_;  // by text
};

}  // namespace ledgerline::collector
