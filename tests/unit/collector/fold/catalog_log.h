#pragma once
// Operators who log versions of a catalog.

#include <catch2/catch.hpp>

#include "collector/core/operators.h"
#include "collector/fold/logged_catalog.h"

namespace ledgerline::collector {

class CatalogLog {
 public:
  /// `collector` signs who the operators are; nullptr: nobody does.
  explicit CatalogLog(Store& store, Signer* collector = nullptr)
      : store_(store), collector_(collector) {
    add("ada");
  }

  void add(const std::string& name) {
    signer_ = signer_from_pem(generate_private_key_pem(KeyAlgorithm::ed25519).value()).value();
    name_ = name;
    const OperatorRow row = new_operator(name, signer_->public_key(), now_);
    StatementPut put{.kind = LeafKind::operator_key, .id = {}, .sealed = Bytes(1, 0), .at = now_};
    if (collector_ != nullptr) {
      const std::string json = statement_of(row, "").json();
      put = signed_put(LeafKind::operator_key, json, *collector_);
    }
    REQUIRE(store_.put_operator(row, put));
  }

  /// As the operator who was added last.
  StatementPut say(LeafKind kind, const std::string& json) {
    return signed_put(kind, json, *signer_);
  }
  /// When everything is said.
  [[nodiscard]] Timestamp now() const { return now_; }

  /// Both versions in one transaction, as catalog load logs them.
  Status log(const Catalog& catalog) {
    LoggedCatalog logged(store_);
    TRY_VOID(logged.refresh());
    CommercialChanges changes;
    for (const LeafKind kind : {LeafKind::catalog_version, LeafKind::mapping_version}) {
      const bool is_catalog = kind == LeafKind::catalog_version;
      const auto next =
          logged.state(kind).next(is_catalog ? catalog_entries(catalog) : mapping_entries(catalog),
                                  {.tenant = "demo", .by = name_, .at = now_, .reason = "because"},
                                  [this] { return *EntrySalt::from(Bytes(16, ++salt_)); });
      if (*next) changes.statements.push_back(put(kind, **next));
    }
    return store_.put_documents(changes);
  }

  StatementPut put(LeafKind kind, const NextVersion& version) {
    const auto made = sign_version(kind, version, *signer_).value();
    return {.kind = kind,
            .id = made.id,
            .sealed = made.sealed,
            .at = now_,
            .expected_count = version.statement.number - 1};
  }

  void act_as(const std::string& name) { name_ = name; }
  [[nodiscard]] Signer& signer() { return *signer_; }

 private:
  StatementPut signed_put(LeafKind kind, const std::string& json, Signer& signer) const {
    auto made = sign_statement(kind, json, signer).value();
    return {.kind = kind,
            .id = made.id,
            .sealed = std::move(made.bytes),
            .at = now_,
            .expected_count = std::nullopt};
  }

  Store& store_;
  Signer* collector_;
  std::unique_ptr<Signer> signer_;
  std::string name_;
  Timestamp now_{1'767'700'000'000};
  uint8_t salt_ = 0;
};

}  // namespace ledgerline::collector
