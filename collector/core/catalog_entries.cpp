// The entries of catalog and mapping versions: from a catalog and back.
#include <algorithm>
#include <tuple>

#include "collector/core/catalog_canonical.h"
#include "collector/core/catalog_entry.h"
#include "collector/core/catalog_reader.h"
#include "collector/core/catalog_version.h"
#include "collector/core/catalog_words.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kShownMax = 200;  // of an entry that has no name

std::string entry(std::string_view kind, Json members) {
  Json out = Json::object({{"kind", Json::string(std::string(kind))}});
  for (const auto& [name, value] : members.members()) out.set(name, value);
  return out.dump();
}

std::string text_of(const Json& object, std::string_view member) {
  const Json* value = object.find(member);
  return value == nullptr ? std::string() : value->text();
}

/// The first that is in `one` and not in `other`; both ascending.
const std::string* first_missing(const std::vector<std::string>& one,
                                 const std::vector<std::string>& other) {
  for (size_t i = 0; i < one.size(); ++i) {
    if (i >= other.size() || one[i] != other[i]) return &one[i];
  }
  return nullptr;
}

Status check_same(std::vector<std::string> given, const std::vector<std::string>& read) {
  std::sort(given.begin(), given.end());
  const std::string* odd = first_missing(given, read);
  if (odd == nullptr) return {};
  return fail(Error(Errc::corrupt,
                    "an entry is there twice, of the wrong version, or not written in its one "
                    "canonical form (of a contract also where the time zone data begins its first "
                    "period at another instant)")
                  .with("entry", entry_name(*odd)));
}

}  // namespace

std::string entry_name(const std::string& text) {
  const auto parsed = parse_json(text);
  if (!parsed || !parsed->is(Json::Kind::object) || text_of(*parsed, "kind").empty())
    return text.substr(0, kShownMax);
  const std::string kind = text_of(*parsed, "kind");
  if (kind == "links") {
    return "links of device " + in_quotes(text_of(*parsed, "device")) + ", subject " +
           in_quotes(text_of(*parsed, "subject"));
  }
  return kind + " " + in_quotes(text_of(*parsed, "name")) +
         (kind == "rate_card" ? " version " + text_of(*parsed, "version") : std::string());
}

std::vector<std::string> catalog_entries(const Catalog& catalog) {
  std::vector<std::string> out;
  for (const auto& [name, meter] : catalog.meters())
    out.push_back(entry("meter", canonical_meter(meter, "meter_kind")));
  for (const auto& [name, versions] : catalog.rate_cards()) {
    for (const RateCard& card : versions)
      out.push_back(entry("rate_card", canonical_rate_card(card)));
  }
  for (const auto& [name, account] : catalog.accounts())
    out.push_back(entry("account", canonical_account(account)));
  for (const auto& [name, contract] : catalog.contracts())
    out.push_back(entry("contract", canonical_contract(contract)));
  for (const auto& [name, asset] : catalog.assets())
    out.push_back(entry("asset", canonical_asset(asset)));
  for (const auto& [name, rule] : catalog.rules())
    out.push_back(entry("maintenance", canonical_rule(rule)));
  for (const auto& [name, rule] : catalog.account_rules())
    out.push_back(entry("account_update", canonical_account_rule(rule)));
  std::sort(out.begin(), out.end());
  return out;
}

namespace {

/// By device, subject, from.
std::vector<std::string> entries_of(const std::vector<Link>& links) {
  std::vector<std::string> out;
  for (size_t i = 0; i < links.size();) {
    Json spans = Json::array();
    size_t end = i;
    for (; end < links.size() && links[end].device == links[i].device &&
           links[end].subject == links[i].subject;
         ++end)
      spans.push(canonical_link_span(links[end]));
    out.push_back(entry("links", Json::object({{"device", Json::string(links[i].device)},
                                               {"subject", Json::string(links[i].subject)},
                                               {"links", std::move(spans)}})));
    i = end;
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

std::vector<std::string> mapping_entries(const Catalog& catalog) {
  return entries_of(catalog.links());
}

std::vector<std::string> mapping_entries_with(const Catalog& catalog, const Link& link) {
  std::vector<Link> links = catalog.links();
  links.push_back(link);
  std::stable_sort(links.begin(), links.end(), [](const Link& a, const Link& b) {
    return std::tie(a.device, a.subject, a.from) < std::tie(b.device, b.subject, b.from);
  });
  return entries_of(links);
}

Result<Catalog> catalog_from_entries(const std::string& tenant,
                                     const std::vector<std::string>& catalog_texts,
                                     const std::vector<std::string>& mapping_texts) {
  const CatalogOptions options;
  std::vector<std::string> texts = catalog_texts;
  texts.insert(texts.end(), mapping_texts.begin(), mapping_texts.end());
  TRY(Catalog out, CatalogReader(options).read_entries(tenant, texts));
  TRY_VOID(check_same(catalog_texts, catalog_entries(out)));
  TRY_VOID(check_same(mapping_texts, mapping_entries(out)));
  return out;
}

Result<Catalog> CatalogReader::read_entries(const std::string& tenant,
                                            const std::vector<std::string>& entries) {
  catalog_.tenant_ = tenant;
  for (const std::string& text : entries) {
    const auto taken = take_entry(text);
    if (!taken)
      return fail(Error(Errc::corrupt, taken.error().text()).with("entry", entry_name(text)));
  }
  auto out = whole();
  if (!out)
    return fail(Errc::corrupt, "the logged entries do not fit together: " + out.error().text());
  return out;
}

Status CatalogReader::take_entry(const std::string& text) {
  TRY(const Json json, parse_json(text));
  const std::string kind = text_of(json, "kind");
  TRY(const TomlTable at, TomlTable::parse("", entry_name(text)));
  StatementReader in(json);
  in.text("kind");
  if (kind == "meter") {
    const CatalogMeter meter = entry_meter(in);
    TRY_VOID(in.end());
    if (!catalog_.meters_.emplace(meter.name, meter).second) complain(at, "", "is defined twice");
  } else if (kind == "rate_card") {
    WrittenCard card{entry_rate_card(in), at, {}};
    TRY_VOID(in.end());
    card.prices.assign(card.value.prices.size(), at);
    cards_.push_back(std::move(card));
  } else if (kind == "account") {
    const Account account = entry_account(in);
    TRY_VOID(in.end());
    if (!catalog_.accounts_.emplace(account.name, account).second)
      complain(at, "", "is defined twice");
  } else if (kind == "contract") {
    TRY(Contract contract, entry_contract(in));
    TRY_VOID(in.end());
    const std::vector<TomlTable> subscriptions(contract.subscriptions.size(), at);
    contracts_.push_back({std::move(contract), at, subscriptions});
  } else if (kind == "asset") {
    assets_.push_back({entry_asset(in), at});
    TRY_VOID(in.end());
  } else if (kind == "maintenance") {
    WrittenRule rule{entry_rule(in), at, {}};
    TRY_VOID(in.end());
    rule.conditions.assign(rule.value.conditions.size(), at);
    rules_.push_back(std::move(rule));
  } else if (kind == "account_update") {
    WrittenAccountRule rule{entry_account_rule(in), at, {}};
    TRY_VOID(in.end());
    rule.features.assign(rule.value.features.size(), at);
    account_rules_.push_back(std::move(rule));
  } else if (kind == "links") {
    for (Link& link : entry_links(in)) links_.push_back({std::move(link), at});
    TRY_VOID(in.end());
  } else {
    return fail(Errc::corrupt, "an entry of a kind that is not known here");
  }
  return {};
}

}  // namespace ledgerline::collector
