#pragma once
// The catalog that tests of the commercial step share: one contract, its rate card and meters.

#include <string>

namespace ledgerline::collector {

inline const std::string kMeters = R"(
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
[[meter]]
name = "bytes"
unit = "By"
kind = "delta"
aggregation = "sum"
)";

inline std::string commercial(const std::string& period, const std::string& approval = "auto") {
  return kMeters + R"(
[[rate_card]]
name = "standard"
version = 1
currency = "EUR"
from = "2026-01-01T00:00:00Z"
  [[rate_card.price]]
  meter = "api.requests"
  product = "API-CALL"
  unit_price = "0.01"
  [[rate_card.price]]
  meter = "seats"
  product = "SEAT"
  unit_price = "9.90"
[[account]]
name = "aqua"
external = "C-1001"
[[contract]]
name = "aqua-2026"
account = "aqua"
connector = "tryton"
currency = "EUR"
time_zone = "Europe/Brussels"
anchor = "2026-01-05T10:00:00Z"
period = ")" +
         period + R"("
grace = "10s"
approval = ")" +
         approval + R"("
  [[contract.subscription]]
  name = "aqua-api"
  rate_card = "standard"
)";
}

inline std::string link(const std::string& subject, const std::string& from,
                        const std::string& until = "") {
  return "\n[[link]]\ndevice = \"app-1\"\nsubject = \"" + subject +
         "\"\nsubscription = \"aqua-api\"\nfrom = \"" + from + "\"\n" +
         (until.empty() ? "" : "until = \"" + until + "\"\n");
}

inline const std::string kFrom = "2026-01-01T00:00:00Z";

}  // namespace ledgerline::collector
