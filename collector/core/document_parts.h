#pragma once
// What the bodies and ids of all kinds of documents have in common. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "collector/core/documents.h"
#include "common/json.h"

namespace ledgerline::collector {

/// "<prefix>-" and the first 32 hexadecimal digits of SHA-256("ledgerline/document/v1\0" || each
/// part as "<length>:<text>").
std::string document_id_of(std::string_view prefix, const std::vector<std::string>& parts);

/// {name, legal_name, external}
Json account_json(const Account& account);
/// {from, until (UTC), local_from, local_until, time_zone, zone_database}. Errc::reject outside the
/// years of the zone data.
Result<Json> period_json(const TimeZone& zone, Period period, const std::string& zone_database);
/// {log_leaves, streams [{stream, device, batches, readings}]}
Json evidence_json(const EvidenceSummary& evidence);

}  // namespace ledgerline::collector
