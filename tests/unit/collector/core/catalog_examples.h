#pragma once
// One small catalog that the tests of the commercial side share.

#include <catch2/catch.hpp>
#include <string>

#include "collector/core/catalog.h"

namespace ledgerline::collector {

inline const std::string kExampleCatalog = R"(tenant = "demo"

[[meter]]
name = "api.requests"
unit = "1"
kind = "delta"
aggregation = "sum"

[[meter]]
name = "seats"
unit = "1"
kind = "gauge"
aggregation = "max"
class = "billing"

[[rate_card]]
name = "standard"
version = 1
currency = "EUR"
from = "2026-01-01T00:00:00Z"
  [[rate_card.price]]
  meter = "seats"
  product = "SEAT"
  description = "Seats"
  unit_price = "9.90"
  [[rate_card.price]]
  meter = "api.requests"
  product = "API-CALL"
  description = "API calls"
  included = "1000"
  tiers = [ { up_to = "10000", unit_price = "0.0035" }, { unit_price = "0.0020" } ]

[[rate_card]]
name = "standard"
version = 2
currency = "EUR"
from = "2026-03-01T00:00:00Z"
  [[rate_card.price]]
  meter = "api.requests"
  product = "API-CALL"
  unit_price = "0.01"

[[account]]
name = "aqua"
legal_name = "Aqua Works Ltd"
external = "C-1001"

[[contract]]
name = "aqua-2026"
account = "aqua"
connector = "tryton"
currency = "EUR"
time_zone = "Europe/Brussels"
anchor = "2026-01-01T00:00:00Z"
period = "PT1H"
grace = "10s"
approval = "auto"
  [[contract.subscription]]
  name = "aqua-api"
  rate_card = "standard"

[[link]]
device = "app-1"
subject = "aqua"
subscription = "aqua-api"
asset = "pump-7"
from = "2026-01-01T00:00:00Z"

[[asset]]
name = "pump-7"
model = "P-100"
site = "Hall 3"
account = "aqua"
)";

inline Catalog read_catalog(const std::string& text) {
  auto catalog = Catalog::read({{"c.toml", text}});
  INFO((catalog ? "" : catalog.error().text()));
  REQUIRE(catalog);
  return *catalog;
}

/// The example with the first `old_text` replaced.
inline std::string example_with(const std::string& old_text, const std::string& new_text) {
  std::string out = kExampleCatalog;
  const size_t at = out.find(old_text);
  REQUIRE(at != std::string::npos);
  return out.replace(at, old_text.size(), new_text);
}

}  // namespace ledgerline::collector
