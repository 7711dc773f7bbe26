#include "collector/fold/tenant.h"

namespace ledgerline::collector {

Result<std::optional<std::string>> tenant_of(const Catalog& catalog, Store& store) {
  if (!catalog.tenant().empty()) return std::optional(catalog.tenant());
  TRY(const auto first, store.list_devices("", "", "", 1));
  if (first.empty()) return std::optional<std::string>();
  // After every possible device name of the first tenant comes another tenant, or nothing.
  TRY(const auto other, store.list_devices("", first[0].tenant, "\x7f", 1));
  if (!other.empty()) {
    return fail(Errc::config,
                "the catalog names no tenant, but there are several: write tenant = \"" +
                    first[0].tenant + "\" at the top of a catalog file");
  }
  return std::optional(first[0].tenant);
}

}  // namespace ledgerline::collector
