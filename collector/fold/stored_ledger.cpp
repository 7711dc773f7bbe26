#include "collector/fold/stored_ledger.h"

#include "collector/core/ledger.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kPage = 1000;
constexpr size_t kRowsMax = 10'000'000;  // all of them are sorted in memory

}  // namespace

Result<std::vector<std::string>> stored_ledger(Store& store) {
  std::vector<std::string> out;
  PeriodRow last;
  for (;;) {
    TRY(const auto page, store.list_all_periods(last.tenant, last.contract, last.from, kPage));
    for (const PeriodRow& period : page) {
      auto rows = ledger_rows(period);
      if (!rows) {
        return fail(std::move(rows.error())
                        .with("contract", period.contract)
                        .with("from", to_rfc3339(period.from)));
      }
      for (const LedgerRow& row : *rows) out.push_back(row.text());
      if (out.size() > kRowsMax)
        return fail(Errc::reject, "the ledger has more than ten million rows");
    }
    if (page.size() < kPage) return out;
    last = page.back();
  }
}

}  // namespace ledgerline::collector
