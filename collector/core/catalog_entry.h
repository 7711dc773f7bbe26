#pragma once
// One entry of a logged version, read member by member as catalog_canonical.h writes it. What is
// not as a catalog can have it becomes a fault of the reader. For catalog_from_entries only. Pure.

#include <vector>

#include "collector/core/catalog.h"
#include "collector/core/statement.h"

namespace ledgerline::collector {

CatalogMeter entry_meter(StatementReader& in);
RateCard entry_rate_card(StatementReader& in);
Account entry_account(StatementReader& in);
/// An error too where its periods cannot be cut.
Result<Contract> entry_contract(StatementReader& in);
Asset entry_asset(StatementReader& in);
MaintenanceRule entry_rule(StatementReader& in);
AccountRule entry_account_rule(StatementReader& in);
/// All links of one device and subject.
std::vector<Link> entry_links(StatementReader& in);

}  // namespace ledgerline::collector
