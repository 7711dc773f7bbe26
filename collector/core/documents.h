#pragma once
// Billing summaries: deterministic ids, one canonical JSON body, and the decision of the approver.
// Pure.
//
// The body is compact JSON with exactly these members in this order; quantities, prices and amounts
// are strings:
//   format (1), kind, id, revision, tenant,
//   account {name, legal_name, external}, contract, connector, approval ("auto", "manual"),
//   currency, untaxed_total, period {from, until (UTC), local_from, local_until, time_zone,
//   zone_database}, lines [{number, subscription, product, description, meter, unit, quantity,
//   readings, included,
//           tier {from, to or null}, billable_quantity, unit_price, amount, rate_card {name,
//           version}}],
//   catalog (hash), evidence {log_leaves, streams [{stream, device, batches, readings}]}
// A line is one tier: its amount is billable_quantity x unit_price, rounded once. quantity and
// included are those of the meter's whole period and repeat on each of its tiers' lines.

#include <optional>
#include <string>
#include <vector>

#include "collector/core/catalog.h"
#include "collector/core/rating.h"
#include "collector/core/records.h"

namespace ledgerline::collector {

inline constexpr std::string_view kBillingSummary = "billing-summary";

/// document_id_of() "bs" and kind, tenant, contract, period from, period until, revision.
std::string document_id(std::string_view tenant, std::string_view contract, Period period,
                        uint32_t revision);

/// How far the evidence was read when the document was made.
struct EvidenceSummary {
  LeafNumber log_leaves = 0;  // leaves folded
  std::vector<StreamProgress> streams;
};

struct DocumentInput {
  std::string tenant;
  Period period;
  std::vector<RatedLine> lines;  // at least one
  EvidenceSummary evidence;
  std::string zone_database;
  Timestamp now;
};

/// The document, waiting or (approval auto) approved. Errc::reject where the total needs more than
/// 128 bits or the period lies outside the years of the zone data.
Result<DocumentRow> make_document(const Catalog& catalog, const Contract& contract,
                                  const DocumentInput& input);

/// Of the one delivery of a document's revision: "<document>.r<revision>.<connector>".
std::string delivery_id(const DocumentRow& document);
DeliveryRow new_delivery(const DocumentRow& document, Timestamp now);

struct DocumentVerdict {
  DocumentState state = DocumentState::approved;
  std::string by;
  Timestamp at;
  std::optional<DeliveryRow> delivery;
};
/// Errc::conflict where the document does not wait for approval (any more), Errc::reject where `by`
/// is empty.
Result<DocumentVerdict> approve(const DocumentRow& document, const std::string& by, Timestamp now);
Result<DocumentVerdict> refuse(const DocumentRow& document, const std::string& by, Timestamp now);

}  // namespace ledgerline::collector
