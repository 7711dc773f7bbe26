#include "collector/core/catalog_version.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "catalog_examples.h"

namespace ledgerline::collector {

namespace {

const std::string kMore = R"(in_service_from = "2025-05-01T00:00:00Z"
external = "EXT-7"
[[link]]
device = "app-1"
subject = "aqua"
asset = "pump-7"
from = "2025-01-01T00:00:00Z"
until = "2026-01-01T00:00:00Z"
[[link]]
device = "app-1"
subject = "*"
subscription = "aqua-api"
from = "2026-01-01T00:00:00Z"
[[maintenance]]
name = "bearing"
model = "P-100"
connector = "tryton"
priority = "high"
step = "30m"
due = "2d"
effort = "90m"
cool_down = "1d"
update = "6h"
needed = 2
  [[maintenance.when]]
  meter = "seats"
  value = "trend"
  window = "4h"
  ahead = "2h"
  steps_min = 3
  above = "10"
  clear = "8.50"
  where = { axle = "left", side = "front" }
  [[maintenance.when]]
  value = "days_since_service"
  above = "30"
  [[maintenance.when]]
  meter = "api.requests"
  value = "since_service"
  below = "1"
  [[maintenance.part]]
  product = "BEARING"
  quantity = "2.50"
[[account_update]]
name = "health"
connector = "crm"
accounts = ["aqua"]
limits = ["0.80", "1"]
expansion_above = "0.5"
churn_below = "-0.3"
renewal_window = "60d"
overage_periods = 2
weights = { adoption = 10, trend = 20 }
  [[account_update.feature]]
  name = "search"
  meter = "api.requests"
  where = { feature = "search" }
)";

/// Everything that a catalog can hold, with no value at its default.
std::string full() {
  return example_with("grace = \"10s\"",
                      "grace = \"10s\"\nsilence = \"7m\"\nadjust_after = \"3m\"\n"
                      "until = \"2027-01-01\"") +
         kMore;
}

std::vector<CatalogFile> demo_files() {
  std::vector<CatalogFile> out;
  const std::string folder = LEDGERLINE_SOURCE_DIR "/deploy/demo/catalog.d";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    out.push_back({entry.path().filename().string(), text.str()});
  }
  REQUIRE(out.size() >= 2);
  return out;
}

Catalog again(const Catalog& catalog) {
  auto out =
      catalog_from_entries(catalog.tenant(), catalog_entries(catalog), mapping_entries(catalog));
  INFO((out ? "" : out.error().text()));
  REQUIRE(out);
  return *out;
}

std::string fault_of(std::vector<std::string> catalog, const std::vector<std::string>& mapping) {
  std::sort(catalog.begin(), catalog.end());
  const auto out = catalog_from_entries("demo", catalog, mapping);
  if (out) return "no fault";
  CHECK(out.error().code() == Errc::corrupt);
  return out.error().text();
}

/// The example's entries with a text replaced in the entry that has it.
std::string fault_with(const std::string& old_text, const std::string& new_text) {
  const Catalog catalog = read_catalog(full());
  auto entries = catalog_entries(catalog);
  auto mapping = mapping_entries(catalog);
  size_t found = 0;
  for (auto* list : {&entries, &mapping}) {
    for (std::string& entry : *list) {
      const size_t at = entry.find(old_text);
      if (at == std::string::npos || found++ != 0) continue;
      entry.replace(at, old_text.size(), new_text);
    }
  }
  REQUIRE(found >= 1);
  return fault_of(entries, mapping);
}

/// Salts 1, 2, 3 ...
struct Salts {
  uint8_t last = 0;
  EntrySalt operator()() { return *EntrySalt::from(Bytes(16, ++last)); }
};

const VersionAuthor kAuthor{
    .tenant = "demo", .by = "ada", .at = Timestamp(1'700'000'000'000), .reason = "prices of 2026"};

OpenVersion signed_and_opened(LeafKind kind, const NextVersion& version) {
  const auto signer = signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519)).value();
  const auto sealed = sign_version(kind, version, *signer).value();
  auto opened = open_version(kind, sealed.sealed);
  REQUIRE(opened);
  CHECK(opened->signature.id == sealed.id);
  CHECK(verify(opened->signature.message, signer->public_key()));
  return *opened;
}

OpenVersion next_version(const VersionState& state, const std::vector<std::string>& texts,
                         Salts& salts) {
  const auto next = state.next(texts, kAuthor, std::ref(salts)).value();
  REQUIRE(next);
  return signed_and_opened(LeafKind::catalog_version, *next);
}

}  // namespace

TEST_CASE("a catalog is the same one again from its entries", "[catalog_version]") {
  for (const std::string& text : {kExampleCatalog, full(), std::string("tenant = \"demo\"\n")}) {
    const Catalog catalog = read_catalog(text);
    CHECK(again(catalog).hash() == catalog.hash());
  }
  const auto demo = Catalog::read(demo_files());
  REQUIRE(demo);
  CHECK(again(*demo).hash() == demo->hash());
}

TEST_CASE("what a catalog says of a contract beyond its price is in its entry",
          "[catalog_version]") {
  const Catalog read = again(read_catalog(full()));

  const Contract& contract = *read.contract("aqua-2026");
  CHECK(contract.silence == std::chrono::minutes(7));
  CHECK(contract.adjust_after == std::chrono::minutes(3));
  CHECK(contract.until == Timestamp(1'798'758'000'000));
  CHECK(read.contract_of("aqua-api") == &contract);
  CHECK(read.rate_card("standard", Timestamp(1'780'000'000'000))->version == 2);
  CHECK(read.links().size() == 3);
  CHECK(read.rules().at("bearing").conditions[0].steps_min == 3);
  CHECK(read.account_rules().at("health").weights.data == 0);
}

TEST_CASE("entries are canonical texts, ascending, one per thing", "[catalog_version]") {
  const Catalog catalog = read_catalog(full());
  const auto entries = catalog_entries(catalog);
  const auto mapping = mapping_entries(catalog);

  CHECK(std::is_sorted(entries.begin(), entries.end()));
  CHECK(entries.size() == 9);
  CHECK(entries[0] ==
        R"({"kind":"account","name":"aqua","legal_name":"Aqua Works Ltd","external":"C-1001"})");
  CHECK(entry_name(entries[0]) == "account \"aqua\"");
  CHECK(entry_name(entries.back()) == "rate_card \"standard\" version 2");
  REQUIRE(mapping.size() == 2);
  CHECK(mapping[1].find(R"("subject":"aqua","links":[{"subscription":"","asset":"pump-7",)") !=
        std::string::npos);
  CHECK(entry_name(mapping[1]) == "links of device \"app-1\", subject \"aqua\"");
}

TEST_CASE("a part of the entries that names nothing outside it is a catalog", "[catalog_version]") {
  const Catalog catalog = read_catalog(full());
  std::vector<std::string> part;
  for (const std::string& entry : catalog_entries(catalog)) {
    const bool of_rules = entry.starts_with("{\"kind\":\"maintenance") ||
                          entry.starts_with("{\"kind\":\"account_update");
    if (!of_rules) part.push_back(entry);
  }

  const auto read = catalog_from_entries("demo", part, {mapping_entries(catalog)[1]});

  REQUIRE(read);
  CHECK(read->links().size() == 2);
  CHECK(read->rules().empty());
}

TEST_CASE("an entry with a fault is refused and named", "[catalog_version]") {
  const auto [old_text, new_text, expected] =
      GENERATE(table<std::string, std::string, std::string>({
          {R"("meter_kind":"delta")", R"("meter_kind":"dent")", "meter \"api.requests\""},
          {R"("unit_price":"9.9")", R"("unit_price":"9.90")", "canonical"},
          {R"("unit_price":"9.9")", R"("unit_price":"-9.9")", "not negative"},
          {R"("up_to":"10000")", R"("up_to":null)", "bounds that rise"},
          {R"("version":1,"currency":"EUR")", R"("version":1,"currency":"EUX")", "currency"},
          {R"("account":"aqua","connector")", R"("account":"aqa","connector")",
           "unknown account \"aqa\""},
          {R"("anchor":"2026-01-01T00:00:00.000Z")", R"("anchor":"2026-01-02T00:00:00.000Z")",
           "contract \"aqua-2026\""},
          {R"("anchor_text":"2026)", R"("anchor_text":"x026)", "contract \"aqua-2026\""},
          {R"("step_ms":1800000)", R"("step_ms":0)", "quarter hours"},
          {R"("needed":2)", R"("needed":4)", "needed"},
          {R"("subscription":"aqua-api","asset":"")", R"("subscription":"aqua-ap","asset":"")",
           "unknown subscription \"aqua-ap\""},
          {R"("legal_name":"Aqua)", R"("legal_nam":"Aqua)", "account \"aqua\""},
          {R"("kind":"asset")", R"("kind":"essay")", "kind that is not known"},
          {R"("version":2)", R"("version":1)", "version already"},
      }));
  const std::string fault = fault_with(old_text, new_text);
  INFO(old_text << " -> " << new_text << ": " << fault);
  CHECK(fault != "no fault");
  CHECK(fault.find(expected) != std::string::npos);
}

TEST_CASE("an entry that is there twice, or in the other kind of version, is refused",
          "[catalog_version]") {
  const Catalog catalog = read_catalog(full());
  auto entries = catalog_entries(catalog);
  const auto mapping = mapping_entries(catalog);

  CHECK(fault_of(entries, {mapping[0], mapping[1], mapping[1]}) != "no fault");
  entries.push_back(mapping[0]);
  CHECK(fault_of(entries, {mapping[1]}) != "no fault");
  entries.back() = entries.front();
  CHECK(fault_of(entries, mapping) != "no fault");
}

TEST_CASE("a version's statement is read back as it was written", "[catalog_version]") {
  CatalogVersion version{.tenant = "demo",
                         .number = 2,
                         .previous = sha256(bytes_of(std::string_view("1"))),
                         .entries = 7,
                         .root = sha256(bytes_of(std::string_view("root"))),
                         .by = "ada",
                         .at = Timestamp(1'700'000'000'000),
                         .reason = "prices"};
  const std::string json = version.json();

  CHECK(json.starts_with(R"({"format":1,"tenant":"demo","number":2,"previous":")"));
  CHECK(json.ends_with(R"(","by":"ada","at":"2023-11-14T22:13:20.000Z","reason":"prices"})"));
  REQUIRE(CatalogVersion::parse(json));
  CHECK(CatalogVersion::parse(json)->json() == json);
  version.previous.reset();
  CHECK(CatalogVersion::parse(version.json())->json() == version.json());
  CHECK(CatalogVersion::parse(" " + json).error().code() == Errc::corrupt);
}

TEST_CASE("versions follow on each other and keep the salts of what stays", "[catalog_version]") {
  VersionState state;
  Salts salts;
  const auto first = catalog_entries(read_catalog(kExampleCatalog));
  const auto second = catalog_entries(read_catalog(example_with("\"9.90\"", "\"11\"")));

  REQUIRE(state.apply(next_version(state, first, salts)));
  CHECK(state.number() == 1);
  CHECK(state.texts() == first);
  CHECK(salts.last == first.size());
  const auto before = state.entries();
  CHECK_FALSE(state.next(first, kAuthor, std::ref(salts)).value());

  const OpenVersion change = next_version(state, second, salts);
  CHECK(change.added.size() == 1);
  CHECK(change.removed.size() == 1);
  CHECK(change.statement.previous == state.id());
  REQUIRE(state.apply(change));
  CHECK(state.number() == 2);
  CHECK(state.texts() == second);
  CHECK(state.entries().at(first[0]) == before.at(first[0]));
  CHECK(entries_root(state.entries()) == change.statement.root);
}

TEST_CASE("a version that does not follow, or whose entries are not those of its root, is refused",
          "[catalog_version]") {
  VersionState state;
  Salts salts;
  const auto texts = catalog_entries(read_catalog(kExampleCatalog));
  const OpenVersion first = next_version(state, texts, salts);
  const auto refused = [&](const std::function<void(OpenVersion&)>& change) {
    OpenVersion changed = first;
    change(changed);
    const auto status = state.apply(changed);
    return !status && status.error().code() == Errc::corrupt && state.number() == 0 &&
           state.entries().empty();
  };

  CHECK(refused([](OpenVersion& v) { v.statement.number = 2; }));
  CHECK(refused([](OpenVersion& v) { v.statement.previous = Digest(); }));
  CHECK(refused([](OpenVersion& v) { v.added.pop_back(); }));
  CHECK(refused([](OpenVersion& v) { v.added[0].salt = EntrySalt(); }));
  CHECK(refused([](OpenVersion& v) { v.added[0].text += " "; }));
  CHECK(refused([](OpenVersion& v) { v.removed.emplace_back(); }));
  CHECK(refused([](OpenVersion& v) { v.added.push_back(v.added[0]); }));
  REQUIRE(state.apply(first));
  CHECK_FALSE(state.apply(first));
}

TEST_CASE("a version is no version of the other kind", "[catalog_version]") {
  VersionState state;
  Salts salts;
  const auto next = state.next({"{}"}, kAuthor, std::ref(salts)).value();
  const auto signer = signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519)).value();
  const auto sealed = sign_version(LeafKind::mapping_version, *next, *signer).value();

  CHECK_FALSE(open_version(LeafKind::catalog_version, sealed.sealed));
  CHECK_FALSE(open_version(LeafKind::mapping_version, ByteView(sealed.sealed).first(20)));
  CHECK(open_version(LeafKind::mapping_version, sealed.sealed));
}

}  // namespace ledgerline::collector
