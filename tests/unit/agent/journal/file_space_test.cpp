#include "agent/journal/file_space.h"

#include <fstream>

#include "tests/unit/agent/journal/fixture.h"

using namespace ledgerline;
using namespace ledgerline::agent;
using namespace ledgerline::agent::test;

namespace {

/// A file on a disk that has blocks up to `end` bytes of it and no more.
struct SmallDisk {
  static std::string made(const std::string& file) {
    std::ofstream(file).put('x');
    return file;
  }
  TemporaryFolder folder;
  uint64_t end = 0;
  FileSpace space = *FileSpace::open(
      made(folder.path() + "/file"),
      [this](int, uint64_t offset, uint64_t length) { return offset + length <= end; });
};

}  // namespace

TEST_CASE("what is held is held also after the file grew on a disk that became full") {
  SmallDisk disk;
  disk.end = 1'250;
  REQUIRE(disk.space.hold(0, 1'000) == 1'000);

  REQUIRE(disk.space.hold(250, 1'000) == 1'000);
  REQUIRE(disk.space.hold(300, 1'000) == 950);
  REQUIRE(disk.space.hold(1'200, 1'000) == 50);
  REQUIRE(disk.space.hold(1'250, 1'000) == 0);
  REQUIRE(disk.space.hold(2'000, 1'000) == 0);
  disk.end = 4'000;
  REQUIRE(disk.space.hold(2'000, 1'000) == 1'000);
}

TEST_CASE("a disk that has not all that is wanted gives a half or a quarter") {
  SmallDisk disk;
  disk.end = 1'240;
  REQUIRE(disk.space.hold(100, 1'000) == 1'000);

  SmallDisk smaller;
  smaller.end = 600;
  REQUIRE(smaller.space.hold(100, 1'000) == 500);

  SmallDisk smallest;
  smallest.end = 400;
  REQUIRE(smallest.space.hold(100, 1'000) == 250);
  smallest.end = 700;
  REQUIRE(smallest.space.hold(100, 1'000) == 500);
}
