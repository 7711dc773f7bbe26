#include "collector/core/catalog_reader.h"

#include <algorithm>

#include "collector/core/catalog_words.h"
#include "collector/core/currency.h"
#include "common/crypto.h"

namespace ledgerline::collector {

namespace {

Result<std::string> read_currency(TomlTable& table) {
  TRY(std::string code, table.string("currency"));
  if (currency_exponent(code)) return code;
  return fail(table.error_at("currency", in_quotes(code) + " is no ISO 4217 currency in use" +
                                             did_you_mean(code, currency_codes())));
}

/// An RFC 3339 time, or a local date, which means the start of that day in the zone.
Result<Timestamp> read_instant(TomlTable& table, std::string_view key, const TimeZone& zone) {
  TRY(const std::string written, table.string(key));
  const auto day = parse_local_date(written);
  const auto instant = day ? zone.start_of_day(*day) : parse_rfc3339(written);
  if (!instant) {
    return fail(table.error_at(
        key, in_quotes(written) + " is neither a date such as 2026-01-31 nor an RFC 3339 time"));
  }
  return instant;
}

Result<TimeZone> read_time_zone(TomlTable& table) {
  TRY(const std::string name, table.string("time_zone"));
  auto zone = TimeZone::find(name);
  if (zone) return zone;
  return fail(table.error_at("time_zone", in_quotes(name) +
                                              " is no time zone of the IANA database" +
                                              did_you_mean(name, time_zone_names())));
}

}  // namespace

Result<Catalog> Catalog::read(const std::vector<CatalogFile>& files,
                              const CatalogOptions& options) {
  return CatalogReader(options).read(files);
}

Result<Catalog> CatalogReader::read(const std::vector<CatalogFile>& files) {
  for (const CatalogFile& file : files) {
    const auto status = read_file(file);
    if (!status) complain(status.error());
  }
  return whole();
}

Result<Catalog> CatalogReader::whole() {
  // Only where every file could be read does an unknown name mean that it is defined nowhere.
  if (complaints_.empty()) {
    check_rate_cards();
    check_contracts();
    check_maintenance();
    check_account_updates();
    check_links();
  }
  if (!complaints_.empty()) {
    std::string message;
    for (const std::string& complaint : complaints_)
      message += (message.empty() ? "" : "\n") + complaint;
    if (complaints_more_ != 0) message += "\nand " + std::to_string(complaints_more_) + " more";
    return fail(Errc::config, message);
  }
  const std::string label("ledgerline/catalog/v1\0", 22);
  catalog_.hash_ = sha256({bytes_of(label), bytes_of(catalog_.canonical())});
  return std::move(catalog_);
}

void CatalogReader::complain(const Error& error) {
  if (complaints_.size() < Catalog::kComplaintsMax) {
    complaints_.push_back(error.text());
  } else {
    ++complaints_more_;
  }
}

template <class Read>
Status CatalogReader::read_tables(TomlTable& root, std::string_view key, Read read_one) {
  TRY(auto tables, root.tables(key));
  for (TomlTable& table : tables) {
    const auto status = (this->*read_one)(table);
    if (!status) complain(status.error());
  }
  return {};
}

Status CatalogReader::read_file(const CatalogFile& file) {
  TRY(TomlTable root, TomlTable::parse(file.text, file.name));
  TRY(const std::string tenant, root.string("tenant", ""));
  if (!tenant.empty()) {
    if (!catalog_.tenant_.empty() && catalog_.tenant_ != tenant) {
      complain(root, "tenant",
               "another file names the tenant " + in_quotes(catalog_.tenant_) +
                   "; a catalog serves one");
    }
    catalog_.tenant_ = tenant;
  }
  TRY_VOID(read_tables(root, "meter", &CatalogReader::read_meter));
  TRY_VOID(read_tables(root, "rate_card", &CatalogReader::read_rate_card));
  TRY_VOID(read_tables(root, "account", &CatalogReader::read_account));
  TRY_VOID(read_tables(root, "contract", &CatalogReader::read_contract));
  TRY_VOID(read_tables(root, "link", &CatalogReader::read_link));
  TRY_VOID(read_tables(root, "asset", &CatalogReader::read_asset));
  TRY_VOID(read_tables(root, "maintenance", &CatalogReader::read_maintenance));
  TRY_VOID(read_tables(root, "account_update", &CatalogReader::read_account_update));
  return root.finish();
}

Status CatalogReader::read_meter(TomlTable table) {
  CatalogMeter meter;
  TRY(meter.name, read_name(table, "name"));
  TRY(meter.unit, table.string("unit"));
  TRY(const std::string kind, table.string("kind"));
  TRY(meter.kind, choose<MeterKind>(table, "kind", kind,
                                    {{"register", MeterKind::register_},
                                     {"delta", MeterKind::delta},
                                     {"gauge", MeterKind::gauge},
                                     {"event", MeterKind::event}}));
  TRY(const std::string aggregation, table.string("aggregation"));
  TRY(meter.aggregation, choose<Aggregation>(table, "aggregation", aggregation,
                                             {{"sum", Aggregation::sum},
                                              {"count", Aggregation::count},
                                              {"min", Aggregation::min},
                                              {"max", Aggregation::max},
                                              {"last", Aggregation::last}}));
  // The sum of levels depends on how often somebody looked: it is no quantity.
  if (meter.kind == MeterKind::gauge && meter.aggregation == Aggregation::sum) {
    return fail(
        table.error_at("aggregation", "a gauge is not summed; use max, min, last or count"));
  }
  if (meter.kind == MeterKind::register_ && meter.aggregation != Aggregation::sum) {
    return fail(table.error_at("aggregation", "a register's consumption is summed"));
  }
  TRY(const std::string stream_class, table.string("class", "billing"));
  TRY(meter.stream_class, choose<StreamClass>(table, "class", stream_class,
                                              {{"billing", StreamClass::billing},
                                               {"diagnostic", StreamClass::diagnostic}}));
  TRY_VOID(table.finish());
  const std::string name = meter.name;
  if (!catalog_.meters_.emplace(name, std::move(meter)).second) {
    return fail(table.error_at("name", "the meter " + in_quotes(name) + " is defined twice"));
  }
  return {};
}

Status CatalogReader::read_rate_card(TomlTable table) {
  WrittenCard card{{}, table, {}};
  TRY(card.value.name, read_name(table, "name"));
  TRY(card.value.version, table.integer("version", 1, 1'000'000));
  TRY(card.value.currency, read_currency(table));
  TRY(card.value.from, table.timestamp("from"));
  TRY(card.prices, table.tables("price"));
  for (TomlTable& price : card.prices) {
    TRY(Price read, read_price(price));
    card.value.prices.push_back(std::move(read));
  }
  TRY_VOID(table.finish());
  if (card.value.prices.empty())
    return fail(table.error_at("name", "the rate card has no [[rate_card.price]]"));
  cards_.push_back(std::move(card));
  return {};
}

Result<Price> CatalogReader::read_price(TomlTable table) {
  Price price;
  TRY(price.meter, read_name(table, "meter"));
  TRY(price.product, read_name(table, "product"));
  TRY(price.description, table.string("description", price.product));
  if (table.has("included")) {
    TRY(price.included, read_not_negative(table, "included"));
  }
  if (table.has("tiers") == table.has("unit_price")) {
    return fail(table.error_at("tiers", "a price has either unit_price or tiers"));
  }
  if (table.has("tiers")) {
    TRY(price.tiers, read_tiers(table));
  } else {
    TRY(const Decimal unit_price, read_not_negative(table, "unit_price"));
    price.tiers.push_back({std::nullopt, unit_price});
  }
  TRY_VOID(table.finish());
  return price;
}

Result<std::vector<Tier>> CatalogReader::read_tiers(TomlTable& table) {
  std::vector<Tier> out;
  TRY(auto tables, table.tables("tiers"));
  for (TomlTable& tier_table : tables) {
    if (!out.empty() && !out.back().up_to) {
      return fail(
          tier_table.error_at("unit_price", "a tier after the one without up_to is never reached"));
    }
    Tier tier;
    if (tier_table.has("up_to")) {
      TRY(tier.up_to, tier_table.decimal("up_to"));
      const Decimal below = out.empty() ? Decimal() : *out.back().up_to;
      if (*tier.up_to <= below) {
        return fail(tier_table.error_at(
            "up_to", "tier bounds rise: " + tier.up_to->text() + " is not above " + below.text()));
      }
    }
    TRY(tier.unit_price, read_not_negative(tier_table, "unit_price"));
    TRY_VOID(tier_table.finish());
    out.push_back(std::move(tier));
  }
  if (out.empty()) return fail(table.error_at("tiers", "there is no tier"));
  if (out.back().up_to)
    return fail(
        table.error_at("tiers", "the last tier has no up_to, so that every quantity has a price"));
  return out;
}

Status CatalogReader::read_account(TomlTable table) {
  Account account;
  TRY(account.name, read_name(table, "name"));
  TRY(account.legal_name, table.string("legal_name", account.name));
  TRY(account.external, read_name(table, "external"));
  TRY_VOID(table.finish());
  const std::string name = account.name;
  if (!catalog_.accounts_.emplace(name, std::move(account)).second) {
    return fail(table.error_at("name", "the account " + in_quotes(name) + " is defined twice"));
  }
  return {};
}

Status CatalogReader::read_contract(TomlTable table) {
  TRY(const TimeZone zone, read_time_zone(table));
  TRY(const std::string period_text, table.string("period"));
  TRY(const std::string anchor_text, table.string("anchor"));
  auto rule = PeriodRule::parse(period_text, anchor_text, zone);
  if (!rule) return fail(table.error_at("period", "period and anchor: " + rule.error().text()));
  Contract contract{.name = {},
                    .account = {},
                    .connector = {},
                    .currency = {},
                    .period_text = period_text,
                    .anchor_text = anchor_text,
                    .rule = *rule,
                    .until = {},
                    .subscriptions = {}};
  TRY(contract.name, read_name(table, "name"));
  TRY(contract.account, table.string("account"));
  TRY(contract.connector, table.string("connector"));
  TRY(contract.currency, read_currency(table));
  TRY(contract.grace, table.duration("grace", Duration(0)));
  TRY(contract.silence, table.duration("silence", std::chrono::hours(1)));
  TRY(contract.adjust_after, table.duration("adjust_after", std::chrono::hours(1)));
  TRY(const std::string approval, table.string("approval", "manual"));
  TRY(contract.approval,
      choose<Approval>(table, "approval", approval,
                       {{"auto", Approval::automatic}, {"manual", Approval::manual}}));
  if (table.has("until")) {
    TRY(contract.until, read_instant(table, "until", zone));
    if (*contract.until <= contract.rule.anchor())
      return fail(table.error_at("until", "the contract ends before it begins"));
  }
  TRY(auto subscriptions, table.tables("subscription"));
  for (TomlTable& written : subscriptions) {
    Subscription subscription;
    TRY(subscription.name, read_name(written, "name"));
    TRY(subscription.rate_card, written.string("rate_card"));
    TRY_VOID(written.finish());
    contract.subscriptions.push_back(std::move(subscription));
  }
  TRY_VOID(table.finish());
  if (subscriptions.empty())
    return fail(table.error_at("name", "the contract has no [[contract.subscription]]"));
  contracts_.push_back({std::move(contract), table, std::move(subscriptions)});
  return {};
}

Status CatalogReader::read_link(TomlTable table) {
  Link link;
  TRY(link.device, read_name(table, "device"));
  TRY(link.subject, table.string("subject"));
  TRY(link.subscription, table.string("subscription", ""));
  TRY(link.asset, table.string("asset", ""));
  TRY(link.from, table.timestamp("from"));
  if (table.has("until")) {
    TRY(link.until, table.timestamp("until"));
    if (*link.until <= link.from)
      return fail(table.error_at("until", "the link ends before it begins"));
  }
  TRY_VOID(table.finish());
  if (link.subscription.empty() && link.asset.empty())
    return fail(table.error_at("subscription", "a link names a subscription, an asset or both"));
  links_.push_back({std::move(link), table});
  return {};
}

}  // namespace ledgerline::collector
