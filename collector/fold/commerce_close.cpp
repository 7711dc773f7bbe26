// Each booking of a period is a leaf of the evidence log, signed by the collector.
#include "collector/core/closing.h"
#include "collector/fold/commerce_runner.h"

namespace ledgerline::collector {

Result<BatchId> CommerceRunner::chain_value(const StreamProgress& progress) {
  if (progress.folded_number != 0) {
    TRY(const auto id, store_.batch_id(progress.stream, progress.folded_number));
    // Nothing where a tombstone ends short of it, which a billing stream has not.
    if (!id) return fail(Errc::corrupt, "a folded batch is not in the log");
    return *id;
  }
  TRY(const auto row, store_.stream(progress.stream));
  return row.grant_id;
}

Result<StatementPut> CommerceRunner::close_leaf(const Contract& contract, Period period,
                                                const PeriodRow& row,
                                                const std::vector<DeviceNeed>& needs,
                                                const EvidenceSummary& evidence,
                                                const std::optional<DocumentRow>& document,
                                                Timestamp now) {
  Closing closing{.tenant = tenant_,
                  .contract = contract.name,
                  .period = period,
                  .detail = {},
                  .evidence = evidence,
                  .chain = {},
                  .versions = catalog_->versions(),
                  .gaps = {},
                  .document = document ? &*document : nullptr,
                  .at = now};
  TRY(closing.detail, PeriodDetail::parse(row.detail));
  TRY(const auto gaps, gaps_.read(store_, tenant_));
  closing.gaps = gaps_relied_on(needs, gaps);
  for (const StreamProgress& stream : evidence.streams) {
    TRY(closing.chain.emplace_back(), chain_value(stream));
  }
  TRY(const CloseStatement statement, close_statement(closing));
  TRY(const SignedStatement made, sign_statement(LeafKind::close, statement.json(), signer_));
  StatementPut out{.kind = LeafKind::close,
                   .id = made.id,
                   .sealed = {},
                   .at = now,
                   .expected_count = {},
                   .about = closes_of(tenant_, contract.name, period.from)};
  TRY(out.sealed, seal_close(made, evidence));
  return out;
}

}  // namespace ledgerline::collector
