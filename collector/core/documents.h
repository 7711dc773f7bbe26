#pragma once
// Billing summaries and adjustments: deterministic ids, one canonical JSON body, and the decision
// of the approver. Pure.
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
//
// An adjustment has the same members; after period
//   adjusts {document (of the close; null: it had none), number (1, 2, ... per period)}
// and in a line after quantity
//   booked_quantity
// quantity, readings and included are those of the period as it is now, booked_quantity what was
// booked before; billable_quantity and amount are the difference, which may be negative.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collector/core/catalog.h"
#include "collector/core/rating.h"
#include "collector/core/records.h"
#include "common/json.h"

namespace ledgerline::collector {

inline constexpr std::string_view kBillingSummary = "billing-summary";
inline constexpr std::string_view kAdjustment = "adjustment";

/// document_id_of() "bs" and kind, tenant, contract, period from, period until, revision.
std::string document_id(std::string_view tenant, std::string_view contract, Period period,
                        uint32_t revision);

/// document_id_of() "ad" and kind, tenant, contract, period from, period until, number.
std::string adjustment_id(std::string_view tenant, std::string_view contract, Period period,
                          size_t number);

/// How far the evidence was read when the document was made.
struct EvidenceSummary {
  LeafNumber log_leaves = 0;  // leaves folded
  std::vector<StreamProgress> streams;
};

/// What makes a document an adjustment.
struct Adjusts {
  std::string document;  // of the close; empty: it had none
  size_t number = 1;     // among the adjustment documents of the period
  std::map<std::pair<std::string, std::string>, Decimal>
      booked;  // quantity by subscription and meter
};

/// A line of the body, `index` from 0.
Json line_json(const RatedLine& line, size_t index, const std::optional<Adjusts>& adjusts);

struct DocumentInput {
  std::string tenant;
  Period period;
  std::vector<RatedLine> lines;  // at least one
  std::optional<Adjusts> adjusts = std::nullopt;
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
