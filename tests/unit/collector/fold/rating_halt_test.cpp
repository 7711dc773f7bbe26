// A store that was put back rates nothing before an operator has looked at what it lacks.

#include "collector/fold/account_runner.h"
#include "collector/fold/maintenance_runner.h"
#include "collector/store/log_standing.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

const std::string kCatalog = commercial("PT1H") + link("aqua", kFrom) + R"(
[[account_update]]
name = "health"
connector = "crm"
[[asset]]
name = "pump-1"
model = "P"
site = "Hall 3"
[[maintenance]]
name = "busy"
model = "P"
connector = "tryton"
priority = "high"
step = "15m"
due = "2d"
effort = "90m"
  [[maintenance.when]]
  meter = "api.requests"
  value = "sum"
  window = "30m"
  above = "100"
[[link]]
device = "app-1"
subject = "pump"
asset = "pump-1"
from = "2026-01-01T00:00:00Z"
)";

struct PutBack {
  PutBack() {
    world.record({{"aqua", "2026-01-05T10:10:00Z", 7}, {"pump", "2026-01-05T10:10:00Z", 107}});
    world.heartbeat("2026-01-05T11:00:00Z");
  }
  /// How many documents each of the three makes.
  std::array<size_t, 3> look() {
    const Timestamp now = at("2026-01-05T11:00:20Z");
    const size_t bills = world.step("2026-01-05T11:00:20Z").documents.size();
    size_t orders = 0;
    for (bool more = true; more;) {
      const auto report = maintenance.step(now);
      REQUIRE(report);
      orders += report->orders.size();
      more = report->more;
    }
    size_t updates = 0;
    for (bool more = true; more;) {
      const auto report = accounts.step(now);
      REQUIRE(report);
      updates += report->documents.size();
      more = report->more;
    }
    return {bills, orders, updates};
  }

  CommerceWorld world{kCatalog};
  MaintenanceRunner maintenance{world.store(), CommerceWorld::read(kCatalog)};
  AccountRunner accounts{world.store(),
                         CommerceWorld::read(kCatalog),
                         {.zone_database = "test", .round_interval = Duration(0)}};
};

using Made = std::array<size_t, 3>;

TEST_CASE("rating halts from the leaf of a later epoch until it is resumed for that epoch") {
  PutBack site;
  site.world.begin_epoch(2);
  CHECK(*rating_halted(site.world.store()));

  CHECK(site.look() == Made{0, 0, 0});

  site.world.resume_rating(1);  // of another epoch
  CHECK(site.look() == Made{0, 0, 0});
  site.world.resume_rating(2);
  CHECK_FALSE(*rating_halted(site.world.store()));
  CHECK(site.look() == Made{1, 1, 1});
}

TEST_CASE("a store put back once more halts again") {
  PutBack site;
  site.world.begin_epoch(2);
  site.world.resume_rating(2);
  site.world.begin_epoch(3);

  CHECK(site.look() == Made{0, 0, 0});
}

TEST_CASE("the first epoch of a log needs nobody") {
  PutBack site;
  CHECK_FALSE(*rating_halted(site.world.store()));
  CHECK(site.look() == Made{1, 1, 1});
}

}  // namespace
}  // namespace ledgerline::collector
