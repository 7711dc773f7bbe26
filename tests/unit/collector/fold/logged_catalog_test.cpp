#include "collector/fold/logged_catalog.h"

#include "collector/store/memory_store.h"
#include "tests/unit/collector/fold/catalog_log.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

Catalog with_link(const std::string& subject) {
  return CommerceWorld::read("tenant = \"demo\"\n" + commercial("PT1H") + link(subject, kFrom));
}

TEST_CASE("the newest logged versions are the catalog in force", "[catalog_version]") {
  const auto store = make_memory_store();
  CatalogLog log(*store);
  LoggedCatalog logged(*store);
  CHECK_FALSE(logged.refresh().value());
  CHECK_FALSE(logged.catalog().value());
  CHECK(catalog_in_force(*store).error().code() == Errc::config);

  REQUIRE(log.log(with_link("a")));
  CHECK(logged.refresh().value());
  CHECK(logged.catalog().value()->hash() == with_link("a").hash());
  CHECK_FALSE(logged.refresh().value());

  REQUIRE(log.log(with_link("b")));
  CHECK(logged.refresh().value());
  const auto catalog = logged.catalog().value();
  CHECK(catalog->hash() == with_link("b").hash());
  CHECK(logged.state(LeafKind::catalog_version).number() == 1);
  CHECK(logged.state(LeafKind::mapping_version).number() == 2);
  CHECK(catalog->versions().catalog ==
        store->statements(LeafKind::catalog_version).value().back().data);
  CHECK(catalog->versions().mapping ==
        store->statements(LeafKind::mapping_version).value().back().data);
  CHECK(logged.history(LeafKind::mapping_version).size() == 2);
  CHECK(catalog_in_force(*store)->hash() == catalog->hash());
}

TEST_CASE("a version that no operator signed is not taken", "[catalog_version]") {
  const auto store = make_memory_store();
  CatalogLog log(*store);
  log.act_as("bob");  // whose key it is not
  REQUIRE(log.log(with_link("a")));

  const auto read = LoggedCatalog(*store).refresh();

  REQUIRE_FALSE(read);
  CHECK(read.error().code() == Errc::corrupt);
  CHECK(read.error().text().find("catalog-version=1") != std::string::npos);
}

TEST_CASE("a version whose bytes changed is an error that names it", "[catalog_version]") {
  const auto store = make_memory_store();
  CatalogLog log(*store);
  REQUIRE(log.log(with_link("a")));
  LoggedCatalog logged(*store);
  REQUIRE(logged.refresh());
  const auto next =
      logged.state(LeafKind::mapping_version)
          .next({},
                {.tenant = "demo", .by = "ada", .at = Timestamp(1'767'700'000'000), .reason = {}},
                [] { return EntrySalt(); })
          .value();
  REQUIRE(next);
  StatementPut damaged = log.put(LeafKind::mapping_version, *next);
  damaged.sealed.back() ^= 1;

  CommercialChanges changes;
  changes.statements.push_back(damaged);
  REQUIRE(store->put_documents(changes));
  const auto read = logged.refresh();

  REQUIRE_FALSE(read);
  CHECK(read.error().code() == Errc::corrupt);
  CHECK(read.error().text().find("mapping-version=2") != std::string::npos);
  CHECK(logged.catalog().value()->hash() == with_link("a").hash());
  CHECK_FALSE(logged.refresh());
}

}  // namespace
}  // namespace ledgerline::collector
