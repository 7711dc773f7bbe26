#include "agent/core/meter_numbers.h"

#include <catch2/catch.hpp>

using namespace ledgerline;
using namespace ledgerline::agent;

namespace {
MeterRow meter(std::string name, int scale = 0) {
  return {.number = 0, .name = std::move(name), .unit = "1", .scale = scale};
}
}  // namespace

TEST_CASE("meters are numbered from 1 and the first table has number 1") {
  const auto numbered = number_meters({}, {meter("a"), meter("b")});

  REQUIRE(numbered->changed);
  REQUIRE(numbered->table.number == 1);
  REQUIRE(numbered->declared[0].number == 1);
  REQUIRE(numbered->declared[1].number == 2);
}

TEST_CASE("the same meters again, in any order, keep their numbers and the table") {
  const auto first = number_meters({}, {meter("a"), meter("b")});

  const auto again = number_meters(first->table, {meter("b"), meter("a")});

  REQUIRE(!again->changed);
  REQUIRE(again->table == first->table);
  REQUIRE(again->declared[0].number == 2);
}

TEST_CASE("a changed definition gets a new number and the old row stays") {
  const auto first = number_meters({}, {meter("a"), meter("b")});

  const auto changed = number_meters(first->table, {meter("a", 3)});
  const auto back = number_meters(changed->table, {meter("a"), meter("b")});

  REQUIRE(changed->table.number == 2);
  REQUIRE(changed->table.rows.size() == 3);
  REQUIRE(changed->declared[0].number == 3);
  REQUIRE(!back->changed);
  REQUIRE(back->declared[0].number == 1);
}

TEST_CASE("a meter declared twice and too many meters are the operator's to change") {
  REQUIRE(number_meters({}, {meter("a"), meter("a", 1)}).error().code() == Errc::config);
  std::vector<MeterRow> many;
  for (int i = 0; i < 513; ++i) many.push_back(meter("m" + std::to_string(i)));
  REQUIRE(number_meters({}, many).error().code() == Errc::config);
}
