// Evidence bundles: written from a store, checked with public keys alone. The forger of these tests
// holds the collector's key: whatever it changes it seals again, in a log of its own making.
#include <algorithm>

#include "collector/core/bundle.h"
#include "collector/core/verify.h"
#include "collector/fold/bundle_writer.h"
#include "tests/unit/collector/fold/catalog_log.h"
#include "tests/unit/collector/fold/commerce_catalog.h"
#include "tests/unit/collector/fold/commerce_world.h"

namespace ledgerline::collector {
namespace {

using Catch::Contains;

const std::string kOther = R"(
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

std::string catalog_text() {
  return "tenant = \"demo\"\n" + commercial("PT1H") + link("aqua", kFrom) + kOther;
}

class Proven : public CommerceWorld {
 public:
  explicit Proven(Sections how = Sections::by_subject) : CommerceWorld(catalog_text()) {
    sections = how;
    REQUIRE(store().ensure_origin(
        {.collector = collector().public_key().id().hex(), .log = "ledgerline", .epoch = 1}));
    REQUIRE(log_.log(read(catalog_text())));
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

  Bytes bundle(const std::string& account = "aqua") {
    const auto made = make_bundle(store(), collector(),
                                  {.document = document_of(account), .line = 1, .at = now_});
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

std::string with(std::string text, const std::string& old_text, const std::string& new_text) {
  const size_t where = text.find(old_text);
  INFO(text << " has no " << old_text);
  REQUIRE(where != std::string::npos);
  return text.replace(where, old_text.size(), new_text);
}

std::string all_of(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += text + "\n";
  return out;
}

TEST_CASE("a line is proven from its readings to its amount", "[bundle]") {
  Proven world;
  world.bill();
  const VerifyReport report = world.verified(world.bundle());
  INFO(all_of(report.proven));
  CHECK(report.failure.empty());
  CHECK_THAT(all_of(report.proven), Contains("quantity of aqua-api, api.requests: 107 1"));
  CHECK_THAT(all_of(report.proven), Contains("line 1: 107 1 x 0.01 EUR = 1.07 EUR"));
  CHECK_THAT(all_of(report.withheld), Contains("2 sections of batches"));
  CHECK(report.not_proven.size() >= 3);
  CHECK(world.verified(world.bundle("brio")).failure.empty());
}

TEST_CASE("a bundle of one section per batch is proven, too, and leaves nothing out", "[bundle]") {
  Proven world(Sections::one);
  world.bill();
  const VerifyReport report = world.verified(world.bundle());
  INFO(all_of(report.proven));
  CHECK(report.failure.empty());
  CHECK(report.withheld.empty());
}

TEST_CASE("the sealed bundle has nothing of other customers", "[bundle]") {
  Proven world;
  world.bill();
  const Bytes bytes = world.bundle();
  CHECK(text_of(bytes).find("brio") == std::string_view::npos);
}

TEST_CASE("nothing is proven by keys that one does not trust", "[bundle]") {
  Proven world;
  world.bill();
  const Bytes bytes = world.bundle();
  const PublicKey stranger = world.log_.signer().public_key();
  VerifyKeys keys = world.keys_;
  keys.collectors = {stranger};
  CHECK_THAT(verify_bundle(bytes, keys).failure, Contains("seal"));
  keys = world.keys_;
  keys.operators.clear();
  CHECK_THAT(verify_bundle(bytes, keys).failure, Contains("\"ada\""));
  keys = world.keys_;
  keys.devices["demo.app-1"] = {stranger};
  CHECK_THAT(verify_bundle(bytes, keys).failure, Contains("app-1"));
}

TEST_CASE("who has the collector's key cannot bill another quantity", "[bundle]") {
  Proven world;
  world.bill();
  const Bundle forged =
      world.with_close(world.opened(), [](CloseStatement& close, std::string& document) {
        close.lines[0].quantity = Decimal::integer(108);
        close.lines[0].amount = *Decimal::parse("1.08");
        document = with(document, "\"billable_quantity\":\"107\"", "\"billable_quantity\":\"108\"");
        document = with(document, "\"amount\":\"1.07\"", "\"amount\":\"1.08\"");
      });
  CHECK_THAT(world.refused(world.sealed_again(forged)),
             Contains("the readings shown for aqua-api, api.requests come to 107"));
}

TEST_CASE("who has the collector's key cannot round an amount up", "[bundle]") {
  Proven world;
  world.bill();
  const Bundle forged =
      world.with_close(world.opened(), [](CloseStatement&, std::string& document) {
        document = with(document, "\"amount\":\"1.07\"", "\"amount\":\"1.08\"");
      });
  CHECK_THAT(world.refused(world.sealed_again(forged)), Contains("line 1 of the document"));
}

TEST_CASE("who has the collector's key cannot change a price, a tier or a link", "[bundle]") {
  Proven world;
  world.bill();
  const auto changed = [&](const std::string& old_text, const std::string& new_text) {
    Bundle forged = world.opened();
    bool found = false;
    for (BundleEntry& one : forged.entries) {
      if (one.entry.text.find(old_text) == std::string::npos) continue;
      one.entry.text = with(one.entry.text, old_text, new_text);
      found = true;
    }
    REQUIRE(found);
    return world.refused(world.sealed_again(forged));
  };
  CHECK_THAT(changed("\"unit_price\":\"0.01\"", "\"unit_price\":\"0.02\""),
             Contains("rate_card \"standard\" version 1") && Contains("ada"));
  CHECK_THAT(changed("\"up_to\":null", "\"up_to\":\"5\""), Contains("rate_card \"standard\""));
  CHECK_THAT(changed("\"subscription\":\"aqua-api\"", "\"subscription\":\"aqua-ap\""),
             Contains("links of device \"app-1\", subject \"aqua\""));
}

TEST_CASE("who has the collector's key cannot sign a catalog for an operator", "[bundle]") {
  Proven world;
  world.bill();
  for (const std::string by : {"ada", "collector"}) {
    Bundle forged = world.opened();
    for (BundleStatement& one : forged.statements) {
      if (one.kind != LeafKind::catalog_version) continue;
      const auto open = open_statement(one.kind, one.signed_bytes).value();
      auto version = CatalogVersion::parse(open.json).value();
      version.by = by;
      version.reason = "forged";
      one.signed_bytes = sign_statement(one.kind, version.json(), world.collector()).value().bytes;
    }
    CHECK_THAT(world.refused(world.sealed_again(forged)), Contains("catalog-version"));
  }
}

TEST_CASE("who has the collector's key cannot drop, swap or replace a batch", "[bundle]") {
  Proven world;
  world.bill();
  Bundle dropped = world.opened();
  dropped.batches.erase(dropped.batches.begin() + 1);
  CHECK_THAT(world.refused(world.sealed_again(dropped)), Contains("batch 2 of device app-1"));

  Bundle last = world.with_close(world.opened(), [](CloseStatement& close, std::string&) {
    close.streams[0].batch = 2;
    close.streams[0].next_seq = 5;
  });
  last.batches.pop_back();
  CHECK_FALSE(world.verified(world.sealed_again(last)).holds());

  Bundle swapped = world.opened();
  std::swap(swapped.batches[0].sealed, swapped.batches[1].sealed);
  CHECK_THAT(world.refused(world.sealed_again(swapped)), Contains("says it is another batch"));
}

TEST_CASE("the newest batch cannot be left out: the device promised what it had", "[bundle]") {
  Proven world;
  world.bill();
  Bundle forged = world.opened();
  forged.batches.pop_back();
  const auto end = open_envelope(forged.batches.back().sealed, Withheld::allowed).value();
  forged.batches.back().path = InclusionPath{};
  forged = world.with_close(forged, [&](CloseStatement& close, std::string&) {
    close.streams[0].batch = end.manifest.number;
    close.streams[0].batch_id = end.id;
    close.streams[0].next_seq = end.manifest.last_seq + 1;
  });
  CHECK_THAT(world.refused(world.sealed_again(forged)), Contains("had recorded readings up to 5"));
}

TEST_CASE("a section of the customer's own cannot be withheld", "[bundle]") {
  Proven world;
  world.bill();
  Bundle forged = world.opened();
  forged.batches[0].sealed = withhold_others(forged.batches[0].sealed, {}).value();
  CHECK_THAT(world.refused(world.sealed_again(forged)),
             Contains("withheld") && Contains("subject \"aqua\" is billed in this line"));
}

TEST_CASE("an adjustment is proven as the difference to what was booked", "[bundle]") {
  Proven world;
  world.bill();
  world.record({{"aqua", "2026-01-05T10:40:00Z", 13}});
  world.step("2026-01-05T12:00:00Z");
  world.documents = world.step("2026-01-05T13:30:00Z").documents;
  REQUIRE(world.documents.size() == 1);
  const VerifyReport report = world.verified(world.bundle());
  INFO(all_of(report.proven));
  CHECK(report.failure.empty());
  CHECK_THAT(all_of(report.proven), Contains("line 1: 13 1 x 0.01 EUR = 0.13 EUR"));
}

}  // namespace
}  // namespace ledgerline::collector
