#include "common/machine.h"

#include <catch2/catch.hpp>
#include <climits>

#include "common/io/lmdb.h"

namespace ledgerline {
namespace {

constexpr Machine kSmall{.pointer_bytes = 4, .time_bytes = 4};
constexpr Machine kLarge{.pointer_bytes = 8, .time_bytes = 8};

TEST_CASE("a size beyond the address space is an error and does not wrap") {
  CHECK(*to_size(0xffff'ffff, kSmall) == 0xffff'ffff);
  const auto wrapped = to_size(0x1'0000'0000, kSmall);
  REQUIRE_FALSE(wrapped);
  CHECK(wrapped.error().code() == Errc::config);
  CHECK(wrapped.error().text().find("4294967296") != std::string::npos);
  if (sizeof(size_t) == 8) CHECK(*to_size(0x1'0000'0000, kLarge) == 0x1'0000'0000);
}

TEST_CASE("32 bits map less than 2 GiB") {
  CHECK(map_bytes_max(kSmall) == uint64_t{2047} << 20);
  CHECK(map_bytes_max(kLarge) > uint64_t{1} << 41);
}

TEST_CASE("a time_t of 4 bytes ends in 2038") {
  REQUIRE(clock_end(kSmall));
  CHECK(to_rfc3339(*clock_end(kSmall)) == "2038-01-19T03:14:07.000Z");
  CHECK_FALSE(clock_end(kLarge));
}

TEST_CASE("this machine is asked, not assumed") {
  CHECK(Machine{}.pointer_bytes == sizeof(void*));
  CHECK(Machine{}.time_bytes == sizeof(std::time_t));
  CHECK(clock_end().has_value() == (sizeof(std::time_t) == 4));
}

TEST_CASE("LMDB is not given a map that this machine cannot have") {
  const auto env = io::LmdbEnv::open(
      {.folder = "/nowhere/at/all", .map_size_bytes = map_bytes_max() + 4096, .read_only = true});

  REQUIRE_FALSE(env);
  CHECK(env.error().code() == Errc::config);
  CHECK(env.error().text().find("map_size_max=" + std::to_string(map_bytes_max())) !=
        std::string::npos);
}

}  // namespace
}  // namespace ledgerline
