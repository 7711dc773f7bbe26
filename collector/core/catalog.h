#pragma once
// The commercial side as written in catalog.d/*.toml: meters, rate cards, accounts, contracts with
// their subscriptions, assets and their maintenance rules, account updates, and links of devices
// and subjects to subscriptions and assets. A Catalog that exists is whole: every name it uses is
// defined, so no later step meets an unknown one. It never changes; a new set of files is a new
// Catalog with another hash. In force is what the evidence log holds of it (catalog_version.h).
// Pure: takes texts.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "collector/core/account_rule.h"
#include "collector/core/maintenance_rule.h"
#include "collector/core/periods.h"
#include "common/decimal.h"
#include "common/ids.h"
#include "common/meter.h"
#include "common/result.h"

namespace ledgerline::collector {

enum class Aggregation { sum, count, min, max, last };
std::string_view to_string(Aggregation aggregation);

struct CatalogMeter {
  std::string name;
  std::string unit;
  MeterKind kind = MeterKind::delta;
  Aggregation aggregation = Aggregation::sum;
  StreamClass stream_class = StreamClass::billing;
};

/// Graduated: each tier's price holds for the part of the billable quantity that lies in it.
struct Tier {
  std::optional<Decimal> up_to;  // nothing: the last
  Decimal unit_price;
};

struct Price {
  std::string meter;
  std::string product;  // the external system's code
  std::string description;
  Decimal included;  // quantity of a period that costs nothing
  std::vector<Tier>
      tiers;  // at least one; bounds rise; a plain unit price is one tier without a bound
};

struct RateCard {
  std::string name;
  int64_t version = 1;
  std::string currency;
  Timestamp from;
  std::vector<Price> prices;  // by meter, each once
};

struct Account {
  std::string name;
  std::string legal_name;
  std::string external;  // party code in the external system
};

struct Subscription {
  std::string name;
  std::string rate_card;
};

enum class Approval { automatic, manual };

struct Contract {
  std::string name;
  std::string account;
  std::string connector;
  std::string currency;
  std::string period_text;  // as written
  std::string anchor_text;
  PeriodRule rule;
  std::optional<Timestamp> until;
  Duration grace{};
  Duration
      silence{};  // how long after a period's end a device may be silent before a person is told
  Duration adjust_after{};  // from the first sighting of late usage to the adjustment that books it
  Approval approval = Approval::automatic;
  std::vector<Subscription> subscriptions;
};

/// Half-open [from, until).
struct Link {
  std::string device;
  std::string subject;       // kEverySubject: all that no other link of the device names
  std::string subscription;  // empty: known, and not billed
  std::string asset;         // empty: none
  Timestamp from;
  std::optional<Timestamp> until;
};
inline constexpr std::string_view kEverySubject = "*";

struct CatalogFile {
  std::string name;  // for messages
  std::string text;
};

struct CatalogOptions {
  /// Connectors that are configured; nothing: not checked.
  std::optional<std::vector<std::string>> connectors;
};

/// Ids of the logged versions that a catalog was read from; nothing: from files.
struct CatalogVersions {
  std::optional<Digest> catalog;
  std::optional<Digest> mapping;
};

class Catalog {
 public:
  /// Errc::config; the message holds every complaint (at most kComplaintsMax), one line each as
  /// file:line:column: what.
  static Result<Catalog> read(const std::vector<CatalogFile>& files,
                              const CatalogOptions& options = {});
  static constexpr size_t kComplaintsMax = 20;

  /// The tenant that the files name; empty where none does.
  [[nodiscard]] const std::string& tenant() const { return tenant_; }
  /// SHA-256 over the canonical form: the version that documents name. Spelling, order and comments
  /// do not change it.
  [[nodiscard]] const Digest& hash() const { return hash_; }

  [[nodiscard]] const CatalogVersions& versions() const { return versions_; }
  void set_versions(const CatalogVersions& versions) { versions_ = versions; }

  [[nodiscard]] const CatalogMeter* meter(const std::string& name) const;
  [[nodiscard]] const Account* account(const std::string& name) const;
  [[nodiscard]] const std::map<std::string, Account>& accounts() const { return accounts_; }
  /// Versions ascending by from.
  [[nodiscard]] const std::map<std::string, std::vector<RateCard>>& rate_cards() const {
    return rate_cards_;
  }
  /// The card's version in force at `t`: the latest that began at or before it.
  [[nodiscard]] const RateCard* rate_card(const std::string& name, Timestamp t) const;
  [[nodiscard]] const Contract* contract(const std::string& name) const;
  /// The contract that holds the subscription; subscription names are unique in the catalog.
  [[nodiscard]] const Contract* contract_of(const std::string& subscription) const;
  [[nodiscard]] const std::map<std::string, Contract>& contracts() const { return contracts_; }
  [[nodiscard]] const std::vector<Link>& links() const { return links_; }
  [[nodiscard]] const std::map<std::string, CatalogMeter>& meters() const { return meters_; }
  [[nodiscard]] const Asset* asset(const std::string& name) const;
  [[nodiscard]] const std::map<std::string, Asset>& assets() const { return assets_; }
  [[nodiscard]] const std::map<std::string, MaintenanceRule>& rules() const { return rules_; }
  [[nodiscard]] const std::map<std::string, AccountRule>& account_rules() const {
    return account_rules_;
  }

 private:
  friend class CatalogReader;
  Catalog() = default;
  /// The canonical form: JSON with everything sorted by name.
  [[nodiscard]] std::string canonical() const;

  std::string tenant_;
  std::map<std::string, CatalogMeter> meters_;
  std::map<std::string, std::vector<RateCard>> rate_cards_;
  std::map<std::string, Account> accounts_;
  std::map<std::string, Contract> contracts_;
  std::map<std::string, std::string> contract_of_;  // subscription -> contract
  std::vector<Link> links_;                         // by device, subject, from
  std::map<std::string, Asset> assets_;
  std::map<std::string, MaintenanceRule> rules_;
  std::map<std::string, AccountRule> account_rules_;
  Digest hash_;
  CatalogVersions versions_;
};

}  // namespace ledgerline::collector
