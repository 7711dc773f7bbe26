#include "collector/core/closing.h"

#include <algorithm>

#include "collector/core/document_parts.h"
#include "common/check.h"

namespace ledgerline::collector {

namespace {

std::vector<CloseStatement::Stream> streams_of(const Closing& closing) {
  const auto& progress = closing.evidence.streams;
  CHECK_INVARIANT(closing.chain.size() == progress.size());
  std::vector<CloseStatement::Stream> out;
  for (size_t i = 0; i < progress.size(); ++i) {
    if (progress[i].stream_class != StreamClass::billing) continue;
    out.push_back({.stream = progress[i].stream,
                   .device = progress[i].device,
                   .batch = progress[i].folded_number,
                   .batch_id = closing.chain[i],
                   .next_seq = progress[i].folded_seq + 1,
                   .complete_through = progress[i].complete_through});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::tie(a.device, a.stream) < std::tie(b.device, b.stream);
  });
  return out;
}

}  // namespace

std::string closes_of(const std::string& tenant, const std::string& contract, Timestamp from) {
  return document_id_of("cl", {tenant, contract, to_rfc3339(from)});
}

Result<CloseStatement> close_statement(const Closing& closing) {
  CloseStatement out;
  out.tenant = closing.tenant;
  out.contract = closing.contract;
  out.period = closing.period;
  out.revision = static_cast<uint32_t>(closing.detail.bookings.size());
  out.log_leaves = closing.evidence.log_leaves;
  out.catalog = closing.versions.catalog;
  out.mapping = closing.versions.mapping;
  out.zone_database = closing.detail.zone_database;
  out.streams = streams_of(closing);
  out.gaps = closing.gaps;
  for (const BookedLine& line : closing.detail.lines) {
    CloseStatement::Line stated{.subscription = line.subscription,
                                .meter = line.meter,
                                .unit = line.unit,
                                .quantity = line.quantity,
                                .readings = line.count,
                                .amount = {}};
    TRY(stated.amount, line.amount());
    out.lines.push_back(std::move(stated));
  }
  if (closing.document != nullptr) {
    out.document = {closing.document->id, closing.document->revision,
                    sha256(bytes_of(closing.document->body))};
  }
  out.by = std::string(kByCollector);
  out.at = closing.at;
  return out;
}

Result<Bytes> seal_close(const SignedStatement& statement, const EvidenceSummary& evidence) {
  SealedClose sealed{.statement = statement.bytes, .heartbeats = {}};
  for (const StreamProgress& stream : evidence.streams) {
    if (stream.stream_class == StreamClass::billing && !stream.promise.empty())
      sealed.heartbeats.push_back(stream.promise);
  }
  return encode_sealed_close(sealed);
}

}  // namespace ledgerline::collector
