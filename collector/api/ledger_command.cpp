// ledger: what closed periods have booked, and the hash that any order of arrival gives.

#include <algorithm>

#include "collector/api/commands.h"
#include "collector/api/pages.h"
#include "collector/api/setup.h"
#include "collector/core/ledger.h"
#include "common/exit_code.h"
#include "common/json.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kRowsMax = 10'000'000;  // all of them are sorted in memory

Result<std::vector<std::string>> ledger_texts(Store& store) {
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

}  // namespace

Result<int> ledger(Store& store, const CommandLine& options, std::ostream& out) {
  TRY(auto texts, ledger_texts(store));
  std::sort(texts.begin(), texts.end());
  const std::string hash = ledger_hash(texts).hex();
  if (!options.json) {
    out << "ledger hash " << hash << "\nrows " << texts.size() << "\n";
    return kExitOk;
  }
  // The rows are JSON as they are hashed; nothing is written anew.
  out << R"({"hash":")" << hash << R"(","rows":[)";
  for (size_t i = 0; i < texts.size(); ++i) out << (i == 0 ? "" : ",") << texts[i];
  out << "]}\n";
  return kExitOk;
}

Result<int> ledger(const CollectorConfig& config, const CommandLine& options, std::ostream& out) {
  TRY(const auto store, open_store(config));
  return ledger(*store, options, out);
}

}  // namespace ledgerline::collector
