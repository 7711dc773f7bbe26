#include "agent/inputs/file_handle.h"

#include <fstream>

#include "tests/support/no_more_files.h"
#include "tests/unit/agent/journal/fixture.h"

namespace ledgerline::agent {
namespace {

TEST_CASE("a file that cannot be opened for now is looked at again, a wrong path is a person's") {
  const test::TemporaryFolder folder;
  const std::string path = folder.path() + "/a.log";
  std::ofstream(path) << "a 1\n";
  const auto code_without_files = [&path] {
    const ledgerline::test::NoMoreFiles none;
    return FileHandle::open(path).error().code();
  };

  REQUIRE(FileHandle::open(path).has_value());  // with files, as NoMoreFiles asks
  CHECK(code_without_files() == Errc::retry);
  CHECK(FileHandle::open(path + "/below").error().code() == Errc::config);
  CHECK(FileHandle::open(folder.path()).error().code() == Errc::config);
  CHECK(facts_at(path + "/below").error().code() == Errc::config);
}

}  // namespace
}  // namespace ledgerline::agent
