#pragma once
// links.toml of the catalog folder: the one file of it that commands write, so that the next
// catalog load has what exceptions map put into force. It is only ever replaced whole, by a version
// with which the whole catalog checks.

#include <string>

#include "collector/api/config.h"
#include "collector/core/catalog.h"

namespace ledgerline::collector {

inline constexpr std::string_view kLinksFile = "links.toml";

/// As [[link]] in TOML, below a comment.
std::string link_text(const Link& link, const std::string& comment);

/// The file as it is to be.
struct LinksFile {
  std::string name;
  std::string text;
  /// Durably; makes it where absent.
  [[nodiscard]] Status write() const;
};
/// The file with the link in it; the caller holds lock_setup() until it is written. Errc::config,
/// with every complaint, where the catalog of the files would not check with it.
Result<LinksFile> with_link(const CollectorConfig& config, const Link& link,
                            const std::string& comment);

}  // namespace ledgerline::collector
