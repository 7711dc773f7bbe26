#include "collector/core/gap_acceptance.h"

namespace ledgerline::collector {

std::string GapAcceptance::json() const {
  const auto text = [](const std::string& value) { return Json::string(value); };
  return Json::object({{"format", Json::number(1)},
                       {"tenant", text(tenant)},
                       {"device", text(device)},
                       {"from", text(to_rfc3339(from))},
                       {"until", text(to_rfc3339(until))},
                       {"by", text(by)},
                       {"at", text(to_rfc3339(at))},
                       {"reason", text(reason)}})
      .dump();
}

Result<GapAcceptance> GapAcceptance::parse(std::string_view json) {
  TRY(const Json parsed, parse_json(json));
  StatementReader in(parsed);
  GapAcceptance out;
  if (in.number("format") != 1) in.fault("format", "1");
  out.tenant = in.text("tenant");
  out.device = in.text("device");
  out.from = in.time("from");
  out.until = in.time("until");
  out.by = in.text("by");
  out.at = in.time("at");
  out.reason = in.text("reason");
  if (out.device.empty()) in.fault("device", "a device");
  if (out.until <= out.from) in.fault("until", "a time after from");
  if (out.reason.empty() || out.reason.size() > kReasonSizeMax)
    in.fault("reason", "1 to " + std::to_string(kReasonSizeMax) + " bytes");
  TRY_VOID(in.end());
  TRY_VOID(check_canonical(json, out.json()));
  return out;
}

Result<GapAcceptance> read_gap_acceptance(const LogEntry& leaf) {
  TRY(const auto statement, open_statement(LeafKind::gap_acceptance, leaf.sealed));
  return GapAcceptance::parse(statement.json);
}

}  // namespace ledgerline::collector
