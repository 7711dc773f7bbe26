#include "collector/api/catalog_links.h"

#include <algorithm>
#include <filesystem>

#include "collector/api/setup.h"
#include "collector/fold/commerce_loop.h"
#include "common/io/system.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

constexpr std::string_view kHeader =
    "# Links of devices and subjects that ledgerline-collector exceptions map has put into force.\n"
    "# catalog load reads this file with the others: keep it.\n";

std::string file_of(const CollectorConfig& config) {
  return config.catalog + "/" + std::string(kLinksFile);
}

/// links.toml among the files; an empty one is added where there is none.
CatalogFile& links_of(std::vector<CatalogFile>& files, const CollectorConfig& config) {
  const auto found = std::find_if(files.begin(), files.end(), [](const CatalogFile& one) {
    return std::filesystem::path(one.name).filename() == kLinksFile;
  });
  if (found != files.end()) return *found;
  return files.emplace_back(CatalogFile{.name = file_of(config), .text = {}});
}

/// A basic string (TOML 1.0, "String").
std::string quoted(const std::string& text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += std::string("\\u00") + kDigits[byte >> 4] + kDigits[byte & 15];
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

std::string link_text(const Link& link, const std::string& comment) {
  std::string out = "\n# " + printable(comment) + "\n[[link]]\ndevice = " + quoted(link.device) +
                    "\nsubject = " + quoted(link.subject) + "\n";
  if (!link.subscription.empty()) out += "subscription = " + quoted(link.subscription) + "\n";
  if (!link.asset.empty()) out += "asset = " + quoted(link.asset) + "\n";
  out += "from = " + quoted(to_rfc3339(link.from)) + "\n";
  if (link.until) out += "until = " + quoted(to_rfc3339(*link.until)) + "\n";
  return out;
}

Result<LinksFile> with_link(const CollectorConfig& config, const Link& link,
                            const std::string& comment) {
  TRY(auto files, catalog_files(config.catalog));
  CatalogFile& links = links_of(files, config);
  if (links.text.empty()) links.text = kHeader;
  if (links.text.back() != '\n') links.text += "\n";
  links.text += link_text(link, comment);
  std::string text = links.text;
  TRY_VOID(Catalog::read(files, {.connectors = config.connector_names()}));
  return LinksFile{.name = file_of(config), .text = std::move(text)};
}

Status LinksFile::write() const { return io::write_file_durably(name, text); }

}  // namespace ledgerline::collector
