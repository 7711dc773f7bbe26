// catalog load, diff and show, on a real store.
#include "collector/core/mapping.h"
#include "collector/fold/logged_catalog.h"
#include "common/exit_code.h"
#include "common/json.h"
#include "tests/unit/collector/api/office.h"
#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

class Archive : public Office {
 public:
  Archive() {
    config.catalog = folder() + "/catalog.d";
    config.connectors = {{.name = "tryton"}};
    REQUIRE(io::make_folders(config.catalog));
    write(kExampleCatalog);
    options.key = operator_key("ann");
    options.reason = "prices of 2026";
  }

  void write(const std::string& text) const {
    REQUIRE(io::write_file_durably(config.catalog + "/10.toml", text));
  }
  Result<int> load() {
    out.str("");
    return load_catalog_folder(config, options, clock, out);
  }
  std::string loaded() {
    const auto done = load();
    INFO((done ? "" : done.error().text()));
    REQUIRE(done == kExitOk);
    return out.str();
  }
  uint64_t count(LeafKind kind) {
    return open_store(config).value()->statement_count(kind).value();
  }
  Catalog in_force() { return catalog_in_force(*open_store(config).value()).value(); }

  /// The contract's first hour, closed with 2000 API calls of subject "aqua" on device app-1.
  void close_a_period() {
    const auto store = open_store(config).value();
    NewStream stream;
    stream.grant.tenant = "demo";
    stream.grant.device = "app-1";
    REQUIRE(store->put_device({.tenant = "demo", .device = "app-1", .streams = {stream}}));
    AdmitChange change{.stream = stream.grant.stream, .expected_revision = 1};
    change.links = {{.number = 1, .id = {}, .sealed = Bytes(64, 5)}};
    REQUIRE(store->admit(std::span(&change, 1)));
    const Timestamp from = *parse_rfc3339("2026-01-01T00:00:00Z");
    UsageDelta delta{.series = 1, .quarter = QuarterHour::of(from)};
    delta.earliest = from;
    delta.leaves = {0};
    delta.value.add(2000, {.time_ms = from.unix_ms(), .stream = {}, .seq = 1});
    FoldChanges changes{.cursor_before = 0, .cursor_after = 1};
    changes.new_series = {{1,
                           {.tenant = "demo",
                            .device = "app-1",
                            .subject = "aqua",
                            .meter = "api.requests",
                            .unit = "1"}}};
    changes.new_series[0].key.kind = MeterKind::delta;
    changes.usage = {delta};
    REQUIRE(store->fold(changes));
    PeriodRow period{.tenant = "demo", .contract = "aqua-2026"};
    period.from = from;
    period.to = from + std::chrono::hours(1);
    period.revision = 1;
    period.closed = true;
    CommercialChanges closing;
    closing.periods.push_back({period, 0});
    REQUIRE(store->put_documents(closing));
  }
};

TEST_CASE("what the files say is in force once it is loaded, signed") {
  Archive archive;

  const std::string said = archive.loaded();

  CHECK_THAT(said, Catch::Contains("added contract \"aqua-2026\"\n") &&
                       Catch::Contains("catalog version 1 logged by ann\n") &&
                       Catch::Contains("mapping version 1 logged by ann\n"));
  CHECK(archive.in_force().hash() == read_catalog(kExampleCatalog).hash());
  CHECK_THAT(archive.loaded(), Catch::Contains("nothing changed: catalog version 1, mapping"));
  CHECK(archive.count(LeafKind::catalog_version) == 1);
}

TEST_CASE("a change is shown member by member, and logs only what changed") {
  Archive archive;
  archive.loaded();
  archive.write(example_with("grace = \"10s\"", "grace = \"20s\""));

  archive.options.dry_run = true;
  CHECK(archive.loaded() ==
        "changed contract \"aqua-2026\": grace_ms 10000 -> 20000\n"
        "nothing was loaded: this only shows what catalog load would\n");
  CHECK(archive.in_force().contract("aqua-2026")->grace == std::chrono::seconds(10));
  archive.options.dry_run = false;
  CHECK_THAT(archive.loaded(),
             Catch::Contains("catalog version 2") && !Catch::Contains("mapping version"));
  CHECK(archive.in_force().contract("aqua-2026")->grace == std::chrono::seconds(20));
  CHECK(archive.count(LeafKind::mapping_version) == 1);

  archive.options.json = true;
  archive.out.str("");
  REQUIRE(show_catalog(archive.config, archive.options, archive.out) == kExitOk);
  const Json versions = parse_json(archive.out.str()).value();
  REQUIRE(versions.items().size() == 3);
  CHECK(versions.items()[1].find("number")->text() == "2");
  CHECK(versions.items()[1].find("by")->text() == "ann");
  CHECK(versions.items()[1].find("reason")->text() == "prices of 2026");
}

TEST_CASE("files that do not check, and people without a key, load nothing") {
  Archive archive;
  archive.write(example_with("name = \"seats\"", "name = \"seat\""));
  const auto wrong = archive.load();
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code() == Errc::config);
  CHECK_THAT(wrong.error().text(), Catch::Contains("did you mean \"seat\"?"));

  archive.write(kExampleCatalog);
  archive.options.key.clear();
  CHECK(archive.load().error().code() == Errc::config);
  CHECK(archive.count(LeafKind::catalog_version) == 0);
  archive.out.str("");
  archive.options.json = false;
  REQUIRE(show_catalog(archive.config, archive.options, archive.out) == kExitOk);
  CHECK_THAT(archive.out.str(), Catch::Contains("no catalog is loaded"));
}

TEST_CASE("what would alter a closed period is refused, with what it would make of it") {
  Archive archive;
  archive.loaded();
  archive.close_a_period();
  archive.write(example_with("\"0.0035\"", "\"0.0050\""));
  for (const bool adjust : {false, true}) {
    archive.options.adjust_closed = adjust;
    const auto refused = archive.load();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::reject);
    CHECK_THAT(refused.error().text(),
               Catch::Contains("contract aqua-2026, period 2026-01-01T00:00:00.000Z to "
                               "2026-01-01T01:00:00.000Z, subscription aqua-api, meter "
                               "api.requests: quantity 2000, amount 3.5 EUR, product API-CALL -> "
                               "quantity 2000, amount 5 EUR"));
  }
  CHECK(archive.count(LeafKind::catalog_version) == 1);
}

TEST_CASE("the same figures in another currency or for another product alter a closed period") {
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"EUR\"", "\"USD\""}, {"product = \"API-CALL\"", "product = \"CALL\""}}) {
    INFO(from << " -> " << to);
    Archive archive;
    archive.loaded();
    archive.close_a_period();
    std::string text(kExampleCatalog);
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at))
      text.replace(at, from.size(), to);
    archive.write(text);
    const auto refused = archive.load();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::reject);
  }
}

TEST_CASE("links may bring usage to a closed period where that is asked for") {
  Archive archive;
  archive.write(example_with("from = \"2026-01-01T00:00:00Z\"\n\n[[asset]]",
                             "from = \"2026-01-01T02:00:00Z\"\n\n[[asset]]"));
  archive.loaded();
  archive.close_a_period();
  archive.write(kExampleCatalog);
  const auto refused = archive.load();
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().text(), Catch::Contains("no line -> quantity 2000, amount 3.5") &&
                                         Catch::Contains("--adjust-closed"));

  archive.options.adjust_closed = true;
  CHECK_THAT(archive.loaded(), Catch::Contains("mapping version 2"));
  CHECK(archive.in_force().hash() == read_catalog(kExampleCatalog).hash());
}

TEST_CASE("a catalog of another tenant does not replace the one in force") {
  Archive archive;
  archive.loaded();
  archive.write(example_with("tenant = \"demo\"", "tenant = \"other\""));

  const auto refused = archive.load();

  // Every entry is the same; the tenant alone is another.
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::reject);
}

TEST_CASE("status says which versions are in force, or that none is") {
  Archive archive;
  archive.out.str("");
  REQUIRE(status(archive.config, archive.options, archive.clock, archive.out) == kExitOk);
  CHECK_THAT(archive.out.str(),
             Catch::Contains("catalog: nothing is rated: no catalog is loaded; ") &&
                 Catch::Contains("catalog load --key FILE"));
  archive.loaded();
  archive.out.str("");
  REQUIRE(status(archive.config, archive.options, archive.clock, archive.out) == kExitOk);
  CHECK_THAT(archive.out.str(), Catch::Contains("catalog: version 1, mapping version 1\n"));
}

TEST_CASE("catalog and its subcommands read their words") {
  const auto parse = [](std::vector<const char*> words) {
    words.insert(words.begin(), {"ledgerline-collector", "catalog"});
    return parse_command_line(static_cast<int>(words.size()), words.data());
  };
  const auto load = parse({"load", "dir", "--key", "k", "--reason", "r", "--adjust-closed"});
  REQUIRE(load);
  CHECK((load->verb == CommandLine::Verb::load_catalog && load->file == "dir" && load->key == "k"));
  CHECK((load->reason == "r" && load->adjust_closed && !load->dry_run));
  const auto diff = parse({"diff"});
  REQUIRE(diff);
  CHECK((diff->verb == CommandLine::Verb::load_catalog && diff->dry_run));
  CHECK(parse({"show", "--json"})->verb == CommandLine::Verb::show_catalog);
  CHECK_FALSE(parse({}));
}

}  // namespace
}  // namespace ledgerline::collector
