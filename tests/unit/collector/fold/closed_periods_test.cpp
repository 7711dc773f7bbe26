#include "collector/fold/closed_periods.h"

#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

const std::string kCatalog = commercial("PT1H") + link("aqua", kFrom);

/// 150 API calls in a closed hour, 40 of them of a subject that nothing links.
class Closed {
 public:
  Closed() : world(kCatalog) {
    world.record({{"aqua", "2026-01-05T10:10:00Z", 100}, {"other", "2026-01-05T10:20:00Z", 40}});
    world.heartbeat("2026-01-05T11:00:00Z");
    REQUIRE(world.step("2026-01-05T11:00:20Z").periods_closed == 1);
  }

  std::vector<std::string> altered(const std::string& after,
                                   LinkChanges links = LinkChanges::compared) {
    const auto found = altered_lines(world.store(), CommerceWorld::read(kCatalog),
                                     CommerceWorld::read(after), links);
    INFO((found ? "" : found.error().text()));
    REQUIRE(found);
    CHECK(found->more == 0);
    std::vector<std::string> out;
    for (const AlteredLine& line : found->lines) out.push_back(line.text());
    return out;
  }

  CommerceWorld world;
};

std::string replaced(std::string text, const std::string& old_text, const std::string& new_text) {
  const size_t at = text.find(old_text);
  REQUIRE(at != std::string::npos);
  return text.replace(at, old_text.size(), new_text);
}

using Lines = std::vector<std::string>;
const std::string kLine =
    "contract aqua-2026, period 2026-01-05T10:00:00.000Z to 2026-01-05T11:00:00.000Z, subscription "
    "aqua-api, meter api.requests: ";

TEST_CASE("a price that a closed period was billed by cannot change", "[catalog_version]") {
  Closed closed;
  const std::string dearer = replaced(kCatalog, "\"0.01\"", "\"0.02\"");
  const Lines expected{kLine +
                       "quantity 100, amount 1 EUR, product API-CALL -> quantity 100, amount 2 "
                       "EUR, product API-CALL"};

  CHECK(closed.altered(kCatalog).empty());
  CHECK(closed.altered(dearer) == expected);
  CHECK(closed.altered(dearer, LinkChanges::allowed) == expected);
}

TEST_CASE("terms that change no line of a closed period may change", "[catalog_version]") {
  Closed closed;
  const std::string from_then_on = R"([[rate_card]]
name = "standard"
version = 2
currency = "EUR"
from = "2026-01-05T11:00:00Z"
  [[rate_card.price]]
  meter = "api.requests"
  product = "API-CALL"
  unit_price = "5"
)";

  CHECK(closed.altered(kCatalog + from_then_on).empty());
  CHECK(closed.altered(replaced(kCatalog, "9.90", "11")).empty());  // no seats were used
  CHECK(closed.altered(replaced(kCatalog, "grace = \"10s\"", "grace = \"1h\"")).empty());
  CHECK(closed.altered(replaced(kCatalog + from_then_on, "05T11:00:00Z", "05T10:00:00Z")) ==
        Lines{kLine + "quantity 100, amount 1 EUR, product API-CALL -> quantity 100, amount 500 "
                      "EUR, product API-CALL"});
}

TEST_CASE("a contract or subscription with closed lines cannot go", "[catalog_version]") {
  Closed closed;

  CHECK(closed.altered(kMeters) ==
        Lines{kLine + "quantity 100, amount 1 EUR, product API-CALL -> no line"});
}

TEST_CASE("links that move usage of a closed period pass only where that is said",
          "[catalog_version]") {
  Closed closed;
  const std::string linked = kCatalog + link("other", kFrom);
  const std::string everything = kCatalog + link("*", kFrom);

  CHECK(closed.altered(linked) == Lines{kLine + "quantity 100, amount 1 EUR, product API-CALL -> "
                                                "quantity 140, amount 1.4 EUR, product API-CALL"});
  CHECK(closed.altered(everything).size() == 1);
  CHECK(closed.altered(commercial("PT1H")).size() == 1);
  CHECK(closed.altered(linked, LinkChanges::allowed).empty());
  CHECK(closed.altered(kCatalog + link("other", "2026-01-05T11:00:00Z")).empty());
  CHECK(closed.altered(replaced(linked, "\"0.01\"", "\"0.02\""), LinkChanges::allowed) ==
        Lines{kLine + "quantity 140, amount 1.4 EUR, product API-CALL -> quantity 140, amount 2.8 "
                      "EUR, product API-CALL"});
}

}  // namespace
}  // namespace ledgerline::collector
