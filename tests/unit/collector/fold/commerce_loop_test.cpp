#include "collector/fold/commerce_loop.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "common/io/system.h"

namespace ledgerline::collector {
namespace {

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/ledgerline-catalog-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }
  void put(const std::string& name, const std::string& text) {
    REQUIRE(io::write_file_durably(path_ + "/" + name, text));
  }

 private:
  std::string path_;
};

TEST_CASE("a catalog is read from all its TOML files, and from nothing else") {
  Folder folder;
  folder.put("20-meters.toml",
             "[[meter]]\nname = \"m\"\nunit = \"1\"\nkind = \"delta\"\naggregation = \"sum\"\n");
  folder.put("10-tenant.toml", "tenant = \"demo\"\n");
  folder.put("notes.txt", "not TOML");

  const auto catalog = load_catalog(folder.path(), {});

  REQUIRE(catalog);
  CHECK(catalog->tenant() == "demo");
  CHECK(catalog->meter("m") != nullptr);
}

TEST_CASE("a catalog that is not there is the operator's business") {
  Folder folder;

  CHECK(load_catalog(folder.path(), {}).error().code() == Errc::config);
  CHECK(load_catalog(folder.path() + "/none", {}).error().code() == Errc::config);
  folder.put("a.toml", "[[meter]\n");
  CHECK(load_catalog(folder.path(), {}).error().text().find(folder.path() + "/a.toml:1:") == 0);
}

}  // namespace
}  // namespace ledgerline::collector
