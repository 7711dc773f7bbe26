// Reads the #include lines of the product and fails on an arrow that runs the wrong way
// (ARCHITECTURE.md, "Map"), on a third-party header outside its one seam, on anything that waits
// inside a pure folder, and on a file nobody can read in one sitting. A new folder, a new library
// or a new seam is a new row in one of the three tables below.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string_view>;

constexpr size_t kFileLinesMax = 600;

/// What a folder may include, itself always. A folder that is not here is an error.
struct Arrow {
  std::string_view folder;
  Names may_include;
  bool pure;
};
const std::vector<Arrow> kArrows = {
    {"common", {"proto"}, true},
    {"common/io", {"common"}, false},
    {"agent/core", {"common"}, true},
    {"agent/journal", {"agent/core", "common", "common/io"}, false},
    {"agent/inputs", {"agent/journal", "agent/core", "common", "common/io"}, false},
    {"agent/uplink", {"agent/journal", "agent/core", "common", "common/io"}, false},
    {"agent/ops", {"agent/journal", "agent/core", "common", "common/io"}, false},
    {"collector/core", {"common"}, true},
    {"collector/verify", {"collector/core", "common"}, false},
    {"collector/store", {"collector/core", "common", "common/io"}, false},
    {"collector/intake", {"collector/store", "collector/core", "common", "common/io"}, false},
    {"collector/fold", {"collector/store", "collector/core", "common", "common/io"}, false},
    {"collector/connectors", {"collector/core", "common", "common/io"}, false},
    {"collector/dispatch",
     {"collector/connectors", "collector/store", "collector/core", "common", "common/io"},
     false},
    {"collector/api",
     {"collector/dispatch", "collector/connectors", "collector/intake", "collector/fold",
      "collector/store", "collector/core", "common", "common/io"},
     false},
};

/// A library and the files that may name it, without their extension; a trailing '/' means the
/// folder and all below it. The first row whose prefix fits decides, so the narrow ones come first.
struct Seam {
  std::string_view header_prefix;
  Names files;
};
const std::vector<Seam> kSeams = {
    {"boost/asio/ssl", {"common/io/http_client", "common/io/standalone", "common/io/tls_probe"}},
    {"boost/asio", {"common/io/", "agent/", "collector/"}},
    {"boost/system", {"common/io/", "agent/", "collector/"}},
    {"boost/beast", {"common/io/http_server", "common/io/http_client"}},
    {"boost/json", {"common/json"}},
    {"boost/multiprecision", {"common/decimal", "common/fraction"}},
    {"lmdb.h", {"common/io/lmdb"}},
    {"mqtt/", {"common/io/mqtt"}},
    {"MQTT", {"common/io/mqtt"}},
    {"openssl/",
     {"common/crypto", "common/io/http_client", "common/io/standalone", "common/io/tls_probe"}},
    {"zstd.h", {"common/compress"}},
    {"toml++/", {"common/toml"}},
    {"CLI/", {"agent/ops/command_line", "collector/api/command_line"}},
    {"spdlog/", {"common/io/log"}},
    {"fmt/", {"common/io/log"}},
    {"date/", {"collector/core/time_zone", "collector/core/posix_zone"}},
    {"lua", {"collector/connectors/lua", "collector/connectors/lua_"}},
    {"google/protobuf/",
     {"common/columns", "common/envelope", "common/messages", "common/protobuf_log",
      "common/sealed_version"}},
    {"tl/expected.hpp", {"common/result"}},
};

/// Generated from proto/: whoever re-serialises what was signed has lost the signature, so four
/// files only.
const Names kProtobufFiles = {"common/columns", "common/envelope", "common/messages",
                              "common/sealed_version"};

/// Standard headers by which a pure folder would reach a clock, a file, a thread or chance.
const Names kWaitingHeaders = {"fstream",      "filesystem",         "thread", "mutex",
                               "shared_mutex", "condition_variable", "future", "random",
                               "stop_token",   "semaphore",          "latch",  "barrier"};

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string folder_of(const std::string& file) {
  return fs::path(file).parent_path().generic_string();
}

std::string stem_of(const std::string& file) {
  return fs::path(file).replace_extension().generic_string();
}

bool is_main(const std::string& file) {
  return file == "agent/main.cpp" || file == "collector/main.cpp";
}

const Arrow* arrow_of(const std::string& folder) {
  const auto found = std::find_if(kArrows.begin(), kArrows.end(),
                                  [&](const Arrow& arrow) { return arrow.folder == folder; });
  return found == kArrows.end() ? nullptr : &*found;
}

bool names_file(const Names& files, const std::string& file) {
  const std::string stem = stem_of(file);
  return std::any_of(files.begin(), files.end(), [&](std::string_view name) {
    return name.back() == '/'   ? starts_with(file, name)
           : name.back() == '_' ? starts_with(stem, name)
                                : stem == name;
  });
}

using Complaint = std::optional<std::string>;

/// An #include "..." in `file`.
Complaint complaint_about_own(const std::string& file, const std::string& included) {
  if (included.size() > 5 && included.substr(included.size() - 5) == ".pb.h") {
    if (names_file(kProtobufFiles, file)) return std::nullopt;
    return "generated protobuf classes appear in "
           "common/{columns,envelope,messages,sealed_version}.cpp only";
  }
  const std::string from = folder_of(file), to = folder_of(included);
  if (to.empty() || included.find("..") != std::string::npos)
    return "is not written from the repository's root";
  if (is_main(file)) {
    const bool own = starts_with(to, from + "/") || to == "common" || to == "common/io";
    return own ? Complaint{} : "main.cpp wires its own process and nothing else";
  }
  const Arrow* arrow = arrow_of(from);
  if (arrow == nullptr) return "comes from a folder without a row in kArrows";
  if (to == from || contains(arrow->may_include, to)) return std::nullopt;
  return "is an arrow from " + from + " to " + to + ", which runs the wrong way";
}

/// An #include <...> in `file`.
Complaint complaint_about_foreign(const std::string& file, const std::string& included) {
  const Arrow* arrow = arrow_of(folder_of(file));
  const bool pure = arrow != nullptr && arrow->pure;
  for (const Seam& seam : kSeams) {
    if (!starts_with(included, seam.header_prefix)) continue;
    if (!names_file(seam.files, file)) return "names a library outside its seam";
    if (pure && starts_with(included, "boost/asio")) return "waits inside a pure folder";
    return std::nullopt;
  }
  if (included.find('.') == std::string::npos) {
    const bool zone_data = included == "fstream" && names_file({"collector/core/time_zone"}, file);
    if (pure && !zone_data && contains(kWaitingHeaders, included))
      return "waits inside a pure folder";
    return std::nullopt;
  }
  const bool system = starts_with(included, "sys/") || starts_with(included, "linux/") ||
                      starts_with(included, "netinet/") || starts_with(included, "arpa/") ||
                      included.find('/') == std::string::npos;
  if (!system) return "is a library without a row in kSeams";
  if (pure) return "reaches the operating system from a pure folder";
  return std::nullopt;
}

struct Include {
  std::string file;
  size_t line;
  std::string included;
  bool own;
};

fs::path root() { return LEDGERLINE_SOURCE_DIR; }

std::vector<std::string> product_files(const Names& folders, const Names& extensions) {
  std::vector<std::string> files;
  for (std::string_view folder : folders) {
    for (const auto& entry : fs::recursive_directory_iterator(root() / folder)) {
      if (!entry.is_regular_file() || !contains(extensions, entry.path().extension().string()))
        continue;
      files.push_back(fs::relative(entry.path(), root()).generic_string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<Include> includes_of(const std::string& file) {
  static const std::regex pattern(R"(^\s*#\s*include\s*(["<])([^">]+)[">])");
  std::vector<Include> found;
  std::ifstream in(root() / file);
  std::string text;
  for (size_t line = 1; std::getline(in, text); ++line) {
    std::smatch match;
    if (std::regex_search(text, match, pattern))
      found.push_back({file, line, match[2], match[1] == "\""});
  }
  return found;
}

Complaint complaint_about(const Include& include) {
  return include.own ? complaint_about_own(include.file, include.included)
                     : complaint_about_foreign(include.file, include.included);
}

size_t lines_of(const std::string& file) {
  std::ifstream in(root() / file);
  return static_cast<size_t>(
      std::count(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>(), '\n'));
}

}  // namespace

TEST_CASE(
    "every include of the product runs the way of the arrows and every library stays in its seam") {
  const auto files = product_files({"agent", "collector", "common"}, {".h", ".cpp"});
  REQUIRE(files.size() > 10);

  std::ostringstream wrong;
  for (const std::string& file : files) {
    for (const Include& include : includes_of(file)) {
      if (const Complaint complaint = complaint_about(include)) {
        wrong << file << ":" << include.line << ": " << include.included << " " << *complaint
              << "\n";
      }
    }
  }

  INFO(wrong.str());
  CHECK(wrong.str().empty());
}

TEST_CASE("an include of the product names a file that exists") {
  std::ostringstream missing;
  for (const std::string& file : product_files({"agent", "collector", "common"}, {".h", ".cpp"})) {
    for (const Include& include : includes_of(file)) {
      const bool generated = include.included.find(".pb.h") != std::string::npos;
      if (!include.own || generated || fs::exists(root() / include.included)) continue;
      missing << file << ":" << include.line << ": " << include.included << "\n";
    }
  }

  INFO(missing.str());
  CHECK(missing.str().empty());
}

TEST_CASE("no source file is longer than 600 lines") {
  const Names folders = {"agent", "collector", "common", "proto", "deploy", "tests"};
  std::ostringstream too_long;
  for (const std::string& file :
       product_files(folders, {".h", ".cpp", ".proto", ".lua", ".py", ".sh", ""})) {
    if (const size_t lines = lines_of(file); lines > kFileLinesMax)
      too_long << file << ": " << lines << "\n";
  }

  INFO(too_long.str());
  CHECK(too_long.str().empty());
}

TEST_CASE("the rules name the wrong includes and let the right ones pass") {
  struct Case {
    std::string file, included;
    bool own, allowed;
  };
  const Case cases[] = {
      {"agent/core/recorder.h", "common/decimal.h", true, true},
      {"agent/core/recorder.h", "common/io/lmdb.h", true, false},
      {"agent/core/recorder.h", "agent/journal/journal.h", true, false},
      {"agent/core/recorder.h", "collector/core/linkage.h", true, false},
      {"agent/core/recorder.h", "recorder.h", true, false},
      {"agent/journal/journal.cpp", "common/io/lmdb.h", true, true},
      {"agent/journal/journal.cpp", "agent/uplink/uplink.h", true, false},
      {"agent/uplink/uplink.cpp", "agent/journal/journal.h", true, true},
      {"agent/main.cpp", "agent/uplink/uplink.h", true, true},
      {"agent/main.cpp", "collector/store/store.h", true, false},
      {"collector/store/store.h", "collector/intake/intake.h", true, false},
      {"collector/dispatch/dispatcher.h", "collector/connectors/engine.h", true, true},
      {"collector/connectors/engine.h", "collector/store/store.h", true, false},
      {"common/io/lmdb.h", "common/bytes.h", true, true},
      {"common/bytes.h", "common/io/log.h", true, false},
      {"common/envelope.cpp", "proto/ledgerline.pb.h", true, true},
      {"collector/core/folding.cpp", "proto/ledgerline.pb.h", true, false},
      {"collector/billing/new.cpp", "common/bytes.h", true, false},
      {"common/io/lmdb.cpp", "lmdb.h", false, true},
      {"collector/store/lmdb_store.cpp", "lmdb.h", false, false},
      {"common/crypto.cpp", "openssl/evp.h", false, true},
      {"agent/uplink/uplink.cpp", "openssl/evp.h", false, false},
      {"agent/uplink/uplink.h", "boost/asio/awaitable.hpp", false, true},
      {"agent/core/batcher.h", "boost/asio/awaitable.hpp", false, false},
      {"agent/uplink/uplink.cpp", "boost/asio/ssl.hpp", false, false},
      {"agent/core/batcher.h", "vector", false, true},
      {"agent/core/batcher.h", "chrono", false, true},
      {"agent/core/batcher.h", "thread", false, false},
      {"agent/core/batcher.h", "unistd.h", false, false},
      {"agent/inputs/host.cpp", "unistd.h", false, true},
      {"collector/connectors/lua_profile.cpp", "lua.hpp", false, true},
      {"collector/connectors/engine.cpp", "lua.hpp", false, false},
      {"agent/inputs/host.cpp", "boost/regex.hpp", false, false},
  };

  for (const Case& row : cases) {
    const auto complaint = complaint_about({row.file, 1, row.included, row.own});
    INFO(row.file << " includes " << row.included << ": " << complaint.value_or("allowed"));
    CHECK(complaint.has_value() != row.allowed);
  }
}
