#include "common/tar.h"

#include <catch2/catch.hpp>

namespace ledgerline {
namespace {

TEST_CASE("a tar archive is headers and contents in blocks of 512, and two empty blocks") {
  const std::vector<TarFile> files = {
      {"d/a.txt", "hello"}, {"d/b.txt", ""}, {"d/c", std::string(512, 'x')}};

  const std::string archive = *tar_archive(files, Timestamp(1'800'000'000'999));

  REQUIRE(archive.size() == 512 * (2 + 1 + 2 + 2));
  CHECK(archive.substr(0, 7) == "d/a.txt");
  CHECK(archive.substr(100, 7) == "0000600");
  CHECK(archive.substr(124, 11) == "00000000005");
  CHECK(archive.substr(136, 11) == "15322351000");  // 1800000000 in octal
  CHECK(archive.substr(257, 8) == std::string("ustar\0"
                                              "00",
                                              8));
  CHECK(archive.substr(512, 6) == std::string("hello\0", 6));
  CHECK(archive.substr(1024, 7) == "d/b.txt");
  CHECK(archive.substr(archive.size() - 1024) == std::string(1024, '\0'));
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i)
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(archive[i]);
  CHECK(std::stoul(archive.substr(148, 6), nullptr, 8) == sum);
}

TEST_CASE("a name that a tar header cannot hold is refused") {
  CHECK(tar_archive(std::vector<TarFile>{{std::string(99, 'n'), ""}}, Timestamp()).has_value());
  CHECK(
      tar_archive(std::vector<TarFile>{{std::string(100, 'n'), ""}}, Timestamp()).error().code() ==
      Errc::reject);
  CHECK(tar_archive(std::vector<TarFile>{{"", ""}}, Timestamp()).error().code() == Errc::reject);
}

}  // namespace
}  // namespace ledgerline
