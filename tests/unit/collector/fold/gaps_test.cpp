// A period that waits for a device closes without it once an operator accepts the gap.

#include "collector/core/gap_acceptance.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

using Open = std::vector<std::string>;

StatementPut accepted(std::string_view from, std::string_view until,
                      const std::string& device = "app-1") {
  static const auto signer =
      signer_from_pem(generate_private_key_pem(KeyAlgorithm::ed25519).value()).value();
  GapAcceptance gap;
  gap.tenant = "demo";
  gap.device = device;
  gap.from = at(from);
  gap.until = at(until);
  gap.by = "ann";
  gap.at = at("2026-01-05T12:00:00Z");
  gap.reason = "burnt";
  auto made = sign_statement(LeafKind::gap_acceptance, gap.json(), *signer).value();
  return {.kind = made.kind,
          .id = made.id,
          .sealed = std::move(made.bytes),
          .at = gap.at,
          .expected_count = std::nullopt};
}

TEST_CASE("a period closes without what an accepted gap covers; what comes later is late") {
  CommerceWorld world(commercial("PT1H") + link("aqua", kFrom));
  world.record({{"aqua", "2026-01-05T10:10:00Z", 100}});
  world.heartbeat("2026-01-05T10:30:00Z");
  world.step("2026-01-05T12:00:10Z");
  REQUIRE(world.open_exceptions() == Open{"silent_device  1 0"});
  CHECK(world.store().list_exceptions({}).value()[0].detail.find(
            "gaps accept app-1 --from 2026-01-05T10:30:00.000Z --until 2026-01-05T11:00:00.000Z") !=
        std::string::npos);

  world.log(accepted("2026-01-05T10:30:00Z", "2026-01-05T10:59:59Z"));
  CHECK(world.step("2026-01-05T12:00:12Z").documents.empty());
  world.log(accepted("2026-01-05T10:30:00Z", "2026-01-05T11:00:00Z", "app-2"));
  CHECK(world.step("2026-01-05T12:00:14Z").documents.empty());
  world.log(accepted("2026-01-05T10:59:59Z", "2026-01-05T11:00:00Z"));
  const auto documents = world.step("2026-01-05T12:00:16Z").documents;

  REQUIRE(documents.size() == 1);
  CHECK(documents[0].total.text() == "1.00");
  CHECK(world.store().newest_period("demo", "aqua-2026").value()->to == at("2026-01-05T11:00:00Z"));
  CHECK(world.open_exceptions().empty());

  world.record({{"aqua", "2026-01-05T10:40:00Z", 7}});
  world.step("2026-01-05T12:01:00Z");
  CHECK(world.open_exceptions() == Open{"late aqua 1 7"});
}

}  // namespace
}  // namespace ledgerline::collector
