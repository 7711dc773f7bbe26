#pragma once
// A collector whose documents are proven by bundles, and the forger who holds its key: whatever the
// forger changes it seals again, in a log of its own making.

#include <algorithm>
#include <functional>

#include "collector/core/bundle.h"
#include "collector/core/verify.h"
#include "collector/fold/bundle_writer.h"
#include "tests/unit/collector/fold/catalog_log.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {

inline const std::string kOther = R"(
[[account]]
name = "brio"
external = "C-1002"
[[contract]]
name = "brio-2026"
account = "brio"
connector = "tryton"
currency = "EUR"
time_zone = "Europe/Brussels"
anchor = "2026-01-05T10:00:00Z"
period = "PT1H"
grace = "10s"
  [[contract.subscription]]
  name = "brio-api"
  rate_card = "standard"
[[link]]
device = "app-1"
subject = "brio"
subscription = "brio-api"
from = "2026-01-01T00:00:00Z"
)";

inline std::string bundle_catalog() {
  return "tenant = \"demo\"\n" + commercial("PT1H") + link("aqua", kFrom) + kOther;
}

class Proven : public CommerceWorld {
 public:
  explicit Proven(Sections how = Sections::by_subject,
                  const std::string& catalog = bundle_catalog())
      : CommerceWorld(catalog) {
    sections = how;
    REQUIRE(store().ensure_origin(
        {.collector = collector().public_key().id().hex(), .log = "ledgerline", .epoch = 1}));
    REQUIRE(log_.log(read(catalog)));
    LoggedCatalog logged(store());
    REQUIRE(logged.refresh());
    runner().set_catalog(*logged.catalog().value());
    keys_.collectors = {collector().public_key()};
    keys_.operators["ada"] = {log_.signer().public_key()};
    keys_.devices["demo.app-1"] = {device().public_key()};
  }

  /// 107 calls of aqua and 9 of brio in three batches, closed.
  void bill() {
    record({{"aqua", "2026-01-05T10:10:00Z", 60}, {"brio", "2026-01-05T10:11:00Z", 4}});
    record({{"aqua", "2026-01-05T10:20:00Z", 40}, {"brio", "2026-01-05T10:21:00Z", 5}});
    record({{"aqua", "2026-01-05T10:30:00Z", 7}});
    heartbeat("2026-01-05T11:00:00Z");
    documents = step("2026-01-05T11:00:20Z").documents;
    REQUIRE(documents.size() == 2);
  }

  std::string document_of(const std::string& account) {
    for (const DocumentRow& row : documents) {
      if (row.account == account) return row.id;
    }
    FAIL("no document of " + account);
    return {};
  }

  Bytes bundle(const std::string& account = "aqua", uint32_t line = 1) {
    const auto made = make_bundle(store(), collector(),
                                  {.document = document_of(account), .line = line, .at = now_});
    INFO((made ? "" : made.error().text()));
    REQUIRE(made);
    return *made;
  }
  Bundle opened(const std::string& account = "aqua") {
    return open_bundle(bundle(account), keys_.collectors).value();
  }

  VerifyReport verified(ByteView bytes) { return verify_bundle(bytes, keys_); }
  std::string refused(ByteView bytes) {
    const VerifyReport report = verified(bytes);
    CHECK_FALSE(report.holds());
    return report.failure;
  }

  /// As the forger does it: a log that holds just what the bundle shows, a checkpoint of it and a
  /// seal.
  Bytes sealed_again(Bundle forged) {
    std::vector<Digest> leaves;
    const auto add = [&](InclusionPath& path, const Digest& data) {
      path = {.index = leaves.size(), .hashes = {}};
      leaves.push_back(data);
    };
    for (BundleStatement& one : forged.statements) {
      const auto open = open_statement(one.kind, one.signed_bytes).value();
      add(one.path, open.id);
    }
    for (BundleBatch& one : forged.batches) {
      const auto open = open_envelope(one.sealed, Withheld::allowed);
      if (one.path && open) add(*one.path, *Digest::from(open->id.view()));
    }
    const NodeReader node = [&](unsigned level, uint64_t at) -> Result<Digest> {
      LogTree tree;
      const uint64_t size = uint64_t{1} << level;
      for (uint64_t i = at * size; i < (at + 1) * size; ++i) tree.append(leaves.at(i).view());
      return tree.root();
    };
    const auto prove = [&](InclusionPath& path) {
      path.hashes = inclusion_proof(path.index, leaves.size(), node).value();
    };
    for (BundleStatement& one : forged.statements) prove(one.path);
    for (BundleBatch& one : forged.batches) {
      if (one.path) prove(*one.path);
    }
    const auto note = open_checkpoint(forged.checkpoint).value();
    forged.checkpoint = sign_checkpoint({note.checkpoint.origin, leaves.size(),
                                         root_of(leaves.size(), node).value()},
                                        collector())
                            .value();
    return write_bundle(std::move(forged), now_, collector()).value();
  }

  /// The close statement changed and signed again, as the document is.
  Bundle with_close(Bundle bundle, const std::function<void(CloseStatement&, std::string&)>& edit) {
    for (BundleStatement& one : bundle.statements) {
      if (one.kind != LeafKind::close) continue;
      const auto open = open_statement(one.kind, one.signed_bytes).value();
      auto close = CloseStatement::parse(open.json).value();
      edit(close, bundle.documents.front());
      close.document->sha256 = sha256(bytes_of(bundle.documents.front()));
      one.signed_bytes = sign_statement(one.kind, close.json(), collector()).value().bytes;
    }
    return bundle;
  }

  CatalogLog log_{store()};
  VerifyKeys keys_;
  std::vector<DocumentRow> documents;
  Timestamp now_ = at("2026-01-06T00:00:00Z");
};

inline std::string with(std::string text, const std::string& old_text,
                        const std::string& new_text) {
  const size_t where = text.find(old_text);
  INFO(text << " has no " << old_text);
  REQUIRE(where != std::string::npos);
  return text.replace(where, old_text.size(), new_text);
}

}  // namespace ledgerline::collector
