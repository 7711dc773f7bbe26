#pragma once
// Maintenance orders: deterministic ids and one canonical JSON body. Pure.
//
// The body is compact JSON with exactly these members in this order; values, limits and quantities
// are strings:
//   format (1), kind, id, revision, tenant,
//   asset {name, model, site, external}, account {name, legal_name, external} or null,
//   connector, rule, description, number, priority, opened_at, decided_at, due_at, effort_minutes,
//   parts [{product, quantity}],
//   conditions [{meter, where, value, window_minutes, ahead_minutes, side, limit, found or null,
//   met}], readings [{condition, from, until, readings, value}],
//   catalog (hash), evidence {log_leaves, batches [{stream, number}], batches_more}
// `found` is rounded to the places of the limit and 3 more. `readings` holds for each condition
// with a meter at most kReadingsShown newest steps with readings, oldest first; value is the step's
// mean for a gauge, else its sum. Revision 2, 3 ... of an order say the same of a later step, while
// the conditions are still met.

#include <string>
#include <vector>

#include "collector/core/catalog.h"
#include "collector/core/documents.h"
#include "collector/core/maintenance.h"

namespace ledgerline::collector {

inline constexpr std::string_view kMaintenanceOrder = "maintenance-order";
inline constexpr size_t kReadingsShown = 24;
inline constexpr size_t kBatchesShown = 64;

/// document_id_of() "mo" and kind, tenant, rule, asset, number. All revisions of an order have one
/// id.
std::string order_id(std::string_view tenant, std::string_view rule, std::string_view asset,
                     uint32_t number);

struct BatchName {
  StreamId stream;
  BatchNumber number = 0;
  friend auto operator<=>(const BatchName&, const BatchName&) = default;
};

struct OrderInput {
  std::string tenant;
  const OrderDecision* decision = nullptr;
  Timestamp opened_at;
  const std::vector<Samples>* samples = nullptr;  // one per condition, also behind the decision
  LeafNumber log_leaves = 0;
  std::vector<BatchName> batches;  // ascending; those that hold the readings shown
  Timestamp now;
};

/// Approved: an order for field service waits for nobody here. Errc::reject where a value needs
/// more than 126 bits.
Result<DocumentRow> make_order(const Catalog& catalog, const MaintenanceRule& rule,
                               const Asset& asset, const OrderInput& input);

}  // namespace ledgerline::collector
