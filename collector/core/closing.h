#pragma once
// What a booking says in the evidence log. Pure.

#include "collector/core/booking.h"
#include "collector/core/close_statement.h"
#include "collector/core/documents.h"

namespace ledgerline::collector {

struct Closing {
  std::string tenant;
  std::string contract;
  Period period;
  PeriodDetail detail;  // with this booking
  EvidenceSummary evidence;
  std::vector<BatchId> chain;  // of each of the evidence's streams, its chain value where folded
  CatalogVersions versions;  // in force
  std::vector<Digest> gaps;
  const DocumentRow* document = nullptr;
  Timestamp at;
};

/// What the close statements of one period are about: where the store finds them again.
std::string closes_of(const std::string& tenant, const std::string& contract, Timestamp from);

/// The revision is the booking's number. Streams are the billing ones, by device and stream. Errc::
/// reject where an amount is beyond 128 bits.
Result<CloseStatement> close_statement(const Closing& closing);

/// Signed, with the promises that it relies on.
Result<Bytes> seal_close(const SignedStatement& statement, const EvidenceSummary& evidence);

}  // namespace ledgerline::collector
