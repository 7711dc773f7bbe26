#include "collector/core/verify.h"

#include "collector/core/verification.h"

namespace ledgerline::collector {

Status Verification::run(ByteView bytes) {
  TRY(bundle_, open_bundle(bytes, keys_.collectors));
  proven("the bundle is whole: its seal is the collector's");
  TRY_VOID(check_checkpoint());
  TRY_VOID(check_statements());
  TRY_VOID(check_document());
  TRY_VOID(check_versions());
  TRY_VOID(check_header());
  TRY_VOID(check_approval());
  TRY_VOID(check_corrections());
  TRY_VOID(check_grants());
  TRY_VOID(check_batches());
  TRY_VOID(check_complete());
  TRY_VOID(check_lines());
  report_.not_proven.push_back(
      "that the devices measured what happened: a signature proves who recorded a reading and that "
      "it was not changed since");
  return {};
}

VerifyReport verify_bundle(ByteView bytes, const VerifyKeys& keys) {
  VerifyReport report;
  Verification verification(keys, report);
  if (const auto status = verification.run(bytes); !status) report.failure = status.error().text();
  return report;
}

}  // namespace ledgerline::collector
