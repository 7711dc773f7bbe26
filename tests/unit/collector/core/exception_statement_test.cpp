#include "collector/core/exception_statement.h"

#include <catch2/catch.hpp>

namespace ledgerline::collector {

TEST_CASE("an exception action is read back as it was signed", "[statement]") {
  using Kind = ExceptionActionKind;
  for (const Kind kind : {Kind::assign, Kind::map, Kind::requeue, Kind::ignore}) {
    const ExceptionAction action{.exception = "ex-1",
                                 .number = 3,
                                 .kind = kind,
                                 .by = "ann",
                                 .at = Timestamp(1'700'000'000'000),
                                 .reason = "order \"4711\"",
                                 .detail = "bob"};
    const std::string json = statement_of(action, "demo").json();
    const auto again = ExceptionStatement::parse(json);
    REQUIRE(again);
    CHECK(again->json() == json);
    CHECK(again->action == kind);
    CHECK(again->number == 3);
  }
}

TEST_CASE("an exception action that is none is refused", "[statement]") {
  const std::string json =
      statement_of({.exception = "ex-1", .number = 1, .by = "ann", .detail = "bob"}, "").json();
  REQUIRE(ExceptionStatement::parse(json));
  for (const auto& [from, to] :
       {std::pair("assign", "assume"), std::pair("\"number\":1", "\"number\":01"),
        std::pair("\"by\"", "\"who\"")}) {
    std::string damaged = json;
    damaged.replace(damaged.find(from), std::string(from).size(), to);
    CHECK_FALSE(ExceptionStatement::parse(damaged));
  }
}

}  // namespace ledgerline::collector
