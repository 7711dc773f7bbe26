// catalog load, diff and show.

#include "collector/api/catalog_load.h"
#include "collector/api/commands.h"
#include "collector/api/operator_key.h"
#include "collector/api/setup.h"
#include "collector/api/table.h"
#include "collector/fold/closed_periods.h"
#include "collector/fold/commerce_loop.h"
#include "collector/fold/tenant.h"
#include "common/exit_code.h"
#include "common/json.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

constexpr LeafKind kKinds[] = {LeafKind::catalog_version, LeafKind::mapping_version};

std::string_view kind_word(LeafKind kind) {
  return kind == LeafKind::catalog_version ? "catalog" : "mapping";
}

std::string number_or_none(uint64_t number) {
  return number == 0 ? std::string("none") : std::to_string(number);
}

/// What the folder's files say, of a tenant that they or the store name.
struct Loading {
  Catalog next;
  std::string tenant;
};

Result<Loading> read_folder(const CollectorConfig& config, const CommandLine& options,
                            Store& store) {
  TRY(Catalog next, load_catalog(options.file.empty() ? config.catalog : options.file,
                                 {.connectors = config.connector_names()}));
  TRY(const auto tenant, tenant_of(next, store));
  if (!tenant) {
    return fail(Errc::config,
                "no file names the tenant: write tenant = \"NAME\" at the top of one");
  }
  return Loading{.next = std::move(next), .tenant = *tenant};
}

/// Returns how many entries differ.
size_t print_changes(const LoggedCatalog& logged, const Catalog& next, std::ostream& out) {
  size_t count = 0;
  for (const LeafKind kind : kKinds) {
    const auto texts =
        kind == LeafKind::catalog_version ? catalog_entries(next) : mapping_entries(next);
    for (const EntryChange& change : entry_changes(logged.state(kind).texts(), texts)) {
      ++count;
      for (const std::string& line : in_words(change)) out << printable(line) << "\n";
    }
  }
  return count;
}

tl::unexpected<Error> refusal(const AlteredLines& altered, bool adjust_closed) {
  std::string text = "this would alter closed periods, which are never edited; nothing was loaded";
  for (const AlteredLine& line : altered.lines) text += "\n" + line.text();
  if (altered.more != 0) text += "\nand " + std::to_string(altered.more) + " more lines";
  text +=
      adjust_closed
          ? "\na new price begins with a new rate card version, a new term with a new contract"
          : "\nwhere only links changed, --adjust-closed loads them: what they bring to a closed "
            "period becomes an adjustment";
  return fail(Errc::reject, text);
}

Status check_closed(Store& store, const LoggedCatalog& logged, const Loading& loading,
                    bool adjust_closed) {
  TRY(const auto before, logged.catalog());
  if (!before) return {};
  TRY(const auto altered,
      altered_lines(store, *before, loading.next,
                    adjust_closed ? LinkChanges::allowed : LinkChanges::compared));
  if (altered.lines.empty()) return {};
  return refusal(altered, adjust_closed);
}

Result<int> append_versions(const CollectorConfig& config, const CommandLine& options,
                            const LoggedCatalog& logged, const Loading& loading, Store& store,
                            Timestamp now, std::ostream& out) {
  TRY(const ActingOperator acting, acting_operator(config, store, options.key, now));
  CommercialChanges changes;
  TRY(changes.statements,
      version_puts(
          logged, loading.next,
          {.tenant = loading.tenant, .by = acting.name, .at = now, .reason = options.reason},
          *acting.signer));
  TRY_VOID(store.put_documents(changes));
  for (const StatementPut& put : changes.statements) {
    out << kind_word(put.kind) << " version " << *put.expected_count + 1 << " logged by "
        << acting.name << "\n";
  }
  out << "a running collector takes it within seconds\n";
  return kExitOk;
}

Json as_json(const CatalogVersion& version, LeafKind kind) {
  return Json::object({{"kind", Json::string(std::string(kind_word(kind)))},
                       {"number", Json::number(std::to_string(version.number))},
                       {"at", Json::string(to_rfc3339(version.at))},
                       {"by", Json::string(version.by)},
                       {"reason", Json::string(version.reason)},
                       {"tenant", Json::string(version.tenant)},
                       {"entries", Json::number(std::to_string(version.entries))},
                       {"root", Json::string(version.root.hex())}});
}

}  // namespace

Result<int> load_catalog_folder(const CollectorConfig& config, const CommandLine& options,
                                Clock& clock, std::ostream& out) {
  TRY(auto store, options.dry_run ? open_existing_store(config) : open_store(config));
  // Around reading, comparing and logging: exceptions map writes versions and links.toml too.
  TRY(const auto lock, lock_setup(config));
  TRY(const Loading loading, read_folder(config, options, *store));
  LoggedCatalog logged(*store);
  TRY_VOID(logged.refresh());
  const size_t changed = print_changes(logged, loading.next, out);
  // The first version is one also where it has no entry; another tenant's has to be refused.
  const auto& newest = logged.state(LeafKind::catalog_version).newest();
  if (changed == 0 && newest && newest->tenant == loading.tenant) {
    out << "nothing changed: catalog version " << logged.state(kKinds[0]).number()
        << ", mapping version " << number_or_none(logged.state(kKinds[1]).number())
        << " stay in force\n";
    return kExitOk;
  }
  TRY_VOID(check_closed(*store, logged, loading, options.adjust_closed));
  if (options.dry_run) {
    out << "nothing was loaded: this only shows what catalog load would\n";
    return kExitOk;
  }
  return append_versions(config, options, logged, loading, *store, clock.now(), out);
}

Result<int> show_catalog(const CollectorConfig& config, const CommandLine& options,
                         std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  LoggedCatalog logged(*store);
  TRY_VOID(logged.refresh());
  Json list = Json::array();
  TextTable table({"KIND", "NUMBER", "LOGGED", "BY", "ENTRIES", "REASON"});
  for (const LeafKind kind : kKinds) {
    for (const CatalogVersion& version : logged.history(kind)) {
      list.push(as_json(version, kind));
      table.add({std::string(kind_word(kind)), std::to_string(version.number),
                 to_rfc3339(version.at), version.by, std::to_string(version.entries),
                 version.reason});
    }
  }
  if (options.json) {
    out << list.dump() << "\n";
    return kExitOk;
  }
  if (!logged.state(LeafKind::catalog_version).newest()) {
    out << "no catalog is loaded; " << kHowToLoad << "\n";
    return kExitOk;
  }
  table.print(out);
  return kExitOk;
}

}  // namespace ledgerline::collector
