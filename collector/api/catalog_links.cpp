#include "collector/api/catalog_links.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "collector/api/setup.h"
#include "collector/fold/commerce_loop.h"
#include "common/io/file_lock.h"
#include "common/io/system.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

constexpr std::string_view kHeader =
    "# Links of devices and subjects that ledgerline-collector exceptions map has written. The\n"
    "# collector takes a new version of this file at once, the other files on SIGHUP.\n";

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

Result<AddedLink> add_link(const CollectorConfig& config, const Link& link,
                           const std::string& comment) {
  // Read only under the lock: a version read before another command's would be written over it.
  TRY(const auto lock, lock_setup(config));
  const std::string file = file_of(config);
  TRY(auto files, catalog_files(config.catalog));
  CatalogFile& links = links_of(files, config);
  if (links.text.empty()) links.text = kHeader;
  if (links.text.back() != '\n') links.text += "\n";
  links.text += link_text(link, comment);
  const std::string text = links.text;
  TRY(auto catalog, Catalog::read(files, {.connectors = config.connector_names()}));
  TRY_VOID(io::write_file_durably(file, text));
  return AddedLink{.file = file, .catalog = std::move(catalog)};
}

CatalogFolder::CatalogFolder(const CollectorConfig& config) : config_(config), seen_(stamp()) {}

Result<Catalog> CatalogFolder::take(std::vector<CatalogFile> files) {
  TRY(auto catalog, Catalog::read(files, {.connectors = config_.connector_names()}));
  files_ = std::move(files);
  return catalog;
}

Result<Catalog> CatalogFolder::read() {
  TRY(auto files, catalog_files(config_.catalog));
  return take(std::move(files));
}

bool CatalogFolder::links_changed() {
  const Stamp now = stamp();
  if (now == seen_) return false;
  seen_ = now;
  return true;
}

Result<Catalog> CatalogFolder::read_links() {
  std::vector<CatalogFile> files = files_;
  auto text = io::read_file(file_of(config_));
  if (!text && text.error().code() != Errc::not_found) return fail(text.error());
  links_of(files, config_).text = text.value_or("");
  return take(std::move(files));
}

CatalogFolder::Stamp CatalogFolder::stamp() const {
  struct stat found {};
  if (::stat(file_of(config_).c_str(), &found) != 0) return {};
  return {.inode = found.st_ino,
          .size = found.st_size,
          .changed_ns = int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec};
}

}  // namespace ledgerline::collector
