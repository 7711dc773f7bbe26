// exceptions map: the link that an unmapped subject lacks, put into force by a mapping version and
// written into the catalog's folder.

#include <algorithm>

#include "collector/api/catalog_links.h"
#include "collector/api/catalog_load.h"
#include "collector/api/commands.h"
#include "collector/api/operator_key.h"
#include "collector/api/setup.h"
#include "collector/core/mapping.h"
#include "common/check.h"
#include "common/exit_code.h"
#include "common/printable.h"

namespace ledgerline::collector {

namespace {

constexpr QuarterHour kUsageFrom{0};
constexpr QuarterHour kUsageUntil{std::numeric_limits<int32_t>::max()};
constexpr size_t kSeriesPage = 1000;

/// Where no link decides.
std::vector<MappedSpan> gaps_of(const Catalog& catalog, const std::string& device,
                                const std::string& subject) {
  auto spans = Mapping(catalog).spans(device, subject, kAlways);
  std::erase_if(spans, [](const MappedSpan& span) { return span.link != nullptr; });
  return spans;
}

/// When the series has its first usage in one of the gaps, to the quarter hour.
Result<std::optional<Timestamp>> first_in(Store& store, SeriesId series,
                                          const std::vector<MappedSpan>& gaps) {
  TRY(const auto rows, store.usage(series, kUsageFrom, kUsageUntil));
  for (const UsageRow& row : rows) {
    for (const MappedSpan& gap : gaps) {
      if (gap.from < row.quarter.end() && row.quarter.start() < gap.until)
        return std::max(gap.from, row.quarter.start());
    }
  }
  return std::optional<Timestamp>();
}

/// Of all the subject's meters: a link holds for every one.
Result<std::optional<Timestamp>> first_unmapped(Store& store, const SeriesKey& key,
                                                const std::vector<MappedSpan>& gaps) {
  std::optional<Timestamp> out;
  SeriesFilter filter{.tenant = key.tenant, .device = key.device, .limit = kSeriesPage};
  for (;;) {
    TRY(const auto page, store.list_series(filter));
    for (const SeriesRow& series : page) {
      if (series.key.subject != key.subject) continue;
      TRY(const auto first, first_in(store, series.id, gaps));
      if (first && (!out || *first < *out)) out = first;
    }
    if (page.size() < filter.limit) return out;
    filter.after = page.back().id;
  }
}

Result<Link> wanted_link(Store& store, const Catalog& catalog, const ExceptionRow& row,
                         const CommandLine& options) {
  TRY(const SeriesRow series, store.series(row.series));
  const SeriesKey& key = series.key;
  const auto gaps = gaps_of(catalog, key.device, key.subject);
  Link link{.device = key.device,
            .subject = key.subject,
            .subscription = options.subscription,
            .asset = options.asset,
            .from = {},
            .until = {}};
  if (options.from.empty()) {
    TRY(const auto first, first_unmapped(store, key, gaps));
    if (!first) {
      return fail(Errc::reject,
                  "links name the subject whenever it was used: its contract has not begun or has "
                  "ended, which another link does not change");
    }
    link.from = *first;
  } else {
    auto from = parse_rfc3339(options.from);
    if (!from) return fail(Error(from.error()).with("--from", options.from));
    link.from = *from;
  }
  // Up to where another link decides: what is mapped stays as it is.
  for (const MappedSpan& gap : gaps) {
    const bool holds = gap.from <= link.from && link.from < gap.until;
    if (holds && gap.until < kAlways.until) link.until = gap.until;
  }
  return link;
}

std::string described(const Link& link) {
  return "device " + link.device + ", subject " + (link.subject.empty() ? "\"\"" : link.subject) +
         " to " + link.subscription + (link.asset.empty() ? "" : ", asset " + link.asset) +
         " from " + to_rfc3339(link.from) +
         (link.until ? " until " + to_rfc3339(*link.until) : std::string());
}

/// Closed periods keep what they booked; what the link brings to them is late.
Status tell_of_closed(Store& store, const Catalog& catalog, const Link& link,
                      const std::string& tenant, std::ostream& out) {
  const Contract* contract = catalog.contract_of(link.subscription);
  if (contract == nullptr) return {};
  TRY(const auto newest, store.newest_period(tenant, contract->name));
  if (newest && newest->to > link.from) {
    out << "contract " << contract->name << " is closed until " << to_rfc3339(newest->to)
        << ": usage before that is late, and billed by adjustments\n";
  }
  if (link.from < contract->rule.anchor()) {
    out << "contract " << contract->name << " begins at " << to_rfc3339(contract->rule.anchor())
        << ": usage before that stays unmapped\n";
  }
  return {};
}

/// The mapping in force with the link, as its next version. Errc::reject where it does not fit.
Result<StatementPut> mapping_with(const LoggedCatalog& logged, const Catalog& catalog,
                                  const Link& link, const VersionAuthor& author, Signer& signer) {
  const auto entries = mapping_entries_with(catalog, link);
  const VersionState& state = logged.state(LeafKind::mapping_version);
  const auto whole = catalog_from_entries(catalog.tenant(), catalog_entries(catalog), entries);
  if (!whole) return fail(Errc::reject, "the link does not fit: " + whole.error().text());
  TRY(const auto next, state.next(entries, author, random_salt));
  CHECK_INVARIANT(next);  // the link was not there: it begins where none decides
  return version_put(LeafKind::mapping_version, *next, signer);
}

}  // namespace

Result<int> map_exception(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                          std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const ActingOperator acting, acting_operator(config, *store, options.key, clock.now()));
  TRY(const ExceptionRow row, find_exception(*store, options.exception));
  ExceptionChange change;
  TRY(change.action, requested_action(row, options, acting.name, clock.now()));
  // Around reading and writing: catalog load and other commands write versions and the file too.
  TRY(const auto lock, lock_setup(config));
  LoggedCatalog logged(*store);
  TRY_VOID(logged.refresh());
  TRY(const auto catalog, logged.catalog());
  if (!catalog) return fail(Errc::config, std::string("no catalog is loaded; ") + kHowToLoad);
  TRY(const Link link, wanted_link(*store, *catalog, row, options));
  change.action.detail = described(link);
  TRY(const LinksFile file, with_link(config, link,
                                      row.id + " by " + acting.name + " at " +
                                          to_rfc3339(clock.now()) + ": " + options.reason));
  const VersionAuthor author{.tenant = catalog->tenant(),
                             .by = acting.name,
                             .at = clock.now(),
                             .reason = row.id + ": " + options.reason};
  TRY(change.statements.emplace_back(),
      mapping_with(logged, *catalog, link, author, *acting.signer));
  TRY(const ExceptionAction done, record_action(*store, row, std::move(change), *acting.signer));
  // In force from here on; the file is for the next catalog load.
  const Status written = file.write();
  if (!written) {
    return fail(Error(written.error())
                    .with("in force, but not in the folder", link_text(link, author.reason)));
  }
  out << printable(done.detail) << ", mapping version "
      << logged.state(LeafKind::mapping_version).number() + 1 << ", in " << file.name
      << "\na running collector takes it within seconds; the exception closes by itself\n";
  TRY_VOID(tell_of_closed(*store, *catalog, link, row.tenant, out));
  return kExitOk;
}

}  // namespace ledgerline::collector
