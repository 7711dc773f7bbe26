// ledger: what closed periods have booked, and the hash that any order of arrival gives.

#include <algorithm>

#include "collector/api/commands.h"
#include "collector/api/setup.h"
#include "collector/core/ledger.h"
#include "collector/fold/stored_ledger.h"
#include "common/exit_code.h"

namespace ledgerline::collector {

Result<int> ledger(Store& store, const CommandLine& options, std::ostream& out) {
  TRY(auto texts, stored_ledger(store));
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
