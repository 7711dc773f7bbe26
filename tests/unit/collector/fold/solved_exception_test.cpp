// Solving an exception counts what it held up, over both engines.
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"
#include "tests/unit/collector/store/store_backends.h"

namespace ledgerline::collector {
namespace {

TEMPLATE_TEST_CASE("a subject that a person maps is billed, and its exception closes by itself", "",
                   MemoryBackend, LmdbBackend) {
  const std::string before = commercial("PT1H") + link("aqua", kFrom);
  TestType backend;
  CommerceWorld world(before, {.zone_database = "test"}, backend.open());
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}, {"bolt", "2026-01-05T10:10:00Z", 30}});
  world.step("2026-01-05T10:20:00Z");
  REQUIRE(world.open_exceptions() == std::vector<std::string>{"unmapped_subject bolt 1 30"});
  const std::string id = world.store().list_exceptions({}).value().at(0).id;

  must(world.store().act_on_exception({.action = {.exception = id,
                                                  .kind = ExceptionActionKind::map,
                                                  .by = "ann",
                                                  .reason = "order 4711",
                                                  .detail = "to aqua-api"},
                                       .release = {}}));
  world.reload(before + link("bolt", kFrom));
  world.heartbeat("2026-01-05T11:00:00Z");
  const CommerceReport report = world.step("2026-01-05T11:00:20Z");

  REQUIRE(report.documents.size() == 1);
  CHECK(report.documents[0].total.text() == "1.30");
  const ExceptionRow row = world.store().exception(id).value();
  CHECK(row.state == ExceptionState::resolved);
  CHECK(row.resolved_by == "auto");
  CHECK(world.store().exception_actions(id)->at(0).by == "ann");
}

TEMPLATE_TEST_CASE("what a person ignored opens again once its figures change", "", MemoryBackend,
                   LmdbBackend) {
  const std::string catalog = commercial("PT1H") + link("aqua", kFrom);
  TestType backend;
  CommerceWorld world(catalog, {.zone_database = "test"}, backend.open());
  world.record({{"bolt", "2026-01-05T10:10:00Z", 30}});
  world.step("2026-01-05T10:20:00Z");
  const std::string id = world.store().list_exceptions({}).value().at(0).id;
  must(world.store().act_on_exception(
      {.action = {.exception = id, .kind = ExceptionActionKind::ignore, .by = "ann"},
       .release = {}}));

  world.restart(catalog);
  world.step("2026-01-05T10:21:00Z");
  CHECK(world.open_exceptions().empty());

  world.record({{"bolt", "2026-01-05T10:12:00Z", 5}});
  world.step("2026-01-05T10:22:00Z");
  CHECK(world.open_exceptions() == std::vector<std::string>{"unmapped_subject bolt 2 35"});
}

}  // namespace
}  // namespace ledgerline::collector
