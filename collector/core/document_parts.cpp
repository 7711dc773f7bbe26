#include "collector/core/document_parts.h"

#include "common/crypto.h"

namespace ledgerline::collector {

namespace {

Json text(std::string value) { return Json::string(std::move(value)); }
Json number(uint64_t value) { return Json::number(std::to_string(value)); }

}  // namespace

std::string document_id_of(std::string_view prefix, const std::vector<std::string>& parts) {
  std::string tuple("ledgerline/document/v1\0", 23);
  for (const std::string& part : parts) tuple += std::to_string(part.size()) + ":" + part;
  return std::string(prefix) + "-" + sha256(bytes_of(tuple)).hex().substr(0, 32);
}

Json account_json(const Account& account) {
  return Json::object({{"name", text(account.name)},
                       {"legal_name", text(account.legal_name)},
                       {"external", text(account.external)}});
}

Result<Json> period_json(const TimeZone& zone, Period period, const std::string& zone_database) {
  TRY(std::string local_from, zone.local_text(period.from));
  TRY(std::string local_until, zone.local_text(period.until));
  return Json::object({{"from", text(to_rfc3339(period.from))},
                       {"until", text(to_rfc3339(period.until))},
                       {"local_from", text(std::move(local_from))},
                       {"local_until", text(std::move(local_until))},
                       {"time_zone", text(zone.name())},
                       {"zone_database", text(zone_database)}});
}

Json evidence_json(const EvidenceSummary& evidence) {
  Json streams = Json::array();
  for (const StreamProgress& stream : evidence.streams) {
    streams.push(Json::object({{"stream", text(stream.stream.hex())},
                               {"device", text(stream.device)},
                               {"batches", number(stream.folded_number)},
                               {"readings", number(stream.folded_seq)}}));
  }
  return Json::object(
      {{"log_leaves", number(evidence.log_leaves)}, {"streams", std::move(streams)}});
}

}  // namespace ledgerline::collector
