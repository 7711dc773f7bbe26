#pragma once
// links.toml of the catalog folder: the one file of it that commands write. It is only ever
// replaced whole, by a version with which the whole catalog checks, so the collector takes it as
// soon as it is there; what people edit by hand it takes when told to (SIGHUP), because nobody
// else knows when they are done.

#include <string>
#include <vector>

#include "collector/api/config.h"
#include "collector/core/catalog.h"

namespace ledgerline::collector {

inline constexpr std::string_view kLinksFile = "links.toml";

/// As [[link]] in TOML, below a comment.
std::string link_text(const Link& link, const std::string& comment);

struct AddedLink {
  std::string file;
  Catalog catalog;  // with the link in it
};
/// Appends the link to the file, durably, and makes the file where absent. Errc::config, with
/// every complaint, where the catalog would not check with it: then nothing is written.
Result<AddedLink> add_link(const CollectorConfig& config, const Link& link,
                           const std::string& comment);

/// The files that are in force. Of those that people edit, what they have not told us to take yet
/// stays out also when commands have written links meanwhile.
class CatalogFolder {
 public:
  explicit CatalogFolder(const CollectorConfig& config);

  /// All files as they are now; where they check, they are in force. Errc::config.
  Result<Catalog> read();
  /// links.toml is another one since the construction or since this was asked last.
  bool links_changed();
  /// The files in force with links.toml as it is now; where they check, that is in force.
  Result<Catalog> read_links();

 private:
  struct Stamp {
    uint64_t inode = 0;  // 0: there is no such file
    int64_t size = 0;
    int64_t changed_ns = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  [[nodiscard]] Stamp stamp() const;

  Result<Catalog> take(std::vector<CatalogFile> files);

  const CollectorConfig& config_;
  std::vector<CatalogFile> files_;  // in force
  Stamp seen_;                      // of links.toml
};

}  // namespace ledgerline::collector
