#pragma once
// Reads a catalog, from its files or from the entries of logged versions, and checks that its parts
// fit together. Used by Catalog::read and catalog_from_entries only.

#include <set>
#include <string>
#include <vector>

#include "collector/core/catalog.h"
#include "common/toml.h"

namespace ledgerline::collector {

class CatalogReader {
 public:
  explicit CatalogReader(const CatalogOptions& options) : options_(options) {}

  Result<Catalog> read(const std::vector<CatalogFile>& files);
  /// As catalog_from_entries(), but for the comparison with what was given.
  Result<Catalog> read_entries(const std::string& tenant, const std::vector<std::string>& entries);

 private:
  /// Where a thing was written, for the complaints that only the whole catalog can give rise to.
  template <class Value>
  struct Written {
    Value value;
    TomlTable at;
  };
  struct WrittenContract {
    Contract value;
    TomlTable at;
    std::vector<TomlTable> subscriptions;
  };
  struct WrittenCard {
    RateCard value;
    TomlTable at;
    std::vector<TomlTable> prices;
  };

  struct WrittenRule {
    MaintenanceRule value;
    TomlTable at;
    std::vector<TomlTable> conditions;
  };
  struct WrittenAccountRule {
    AccountRule value;
    TomlTable at;
    std::vector<TomlTable> features;
  };

  Status read_file(const CatalogFile& file);
  template <class Read>
  Status read_tables(TomlTable& root, std::string_view key, Read read_one);
  Status read_meter(TomlTable table);
  Status read_rate_card(TomlTable table);
  Result<Price> read_price(TomlTable table);
  Result<std::vector<Tier>> read_tiers(TomlTable& table);
  Status read_account(TomlTable table);
  Status read_contract(TomlTable table);
  Status read_link(TomlTable table);
  Status read_asset(TomlTable table);
  Status read_maintenance(TomlTable table);
  Status read_account_update(TomlTable table);
  Result<Condition> read_condition(TomlTable& table, Duration step);
  Result<Part> read_part(TomlTable& table);

  Status take_entry(const std::string& text);
  /// The catalog, checked as a whole.
  Result<Catalog> whole();
  void check_rate_cards();
  void check_contracts();
  void check_subscriptions(const WrittenContract& contract);
  void check_links();
  void check_maintenance();
  void check_rule(const WrittenRule& rule, const std::set<std::string>& models);
  void check_account_updates();
  void check_connector(const TomlTable& at, const std::string& name);

  void complain(const Error& error);
  void complain(const TomlTable& at, std::string_view key, const std::string& message) {
    complain(at.error_at(key, message));
  }

  const CatalogOptions& options_;
  Catalog catalog_;
  std::vector<WrittenCard> cards_;
  std::vector<WrittenContract> contracts_;
  std::vector<Written<Link>> links_;
  std::vector<Written<Asset>> assets_;
  std::vector<WrittenRule> rules_;
  std::vector<WrittenAccountRule> account_rules_;
  std::vector<std::string> complaints_;
  size_t complaints_more_ = 0;
};

}  // namespace ledgerline::collector
