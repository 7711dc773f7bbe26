// Corrections and accepted gaps as an operator makes them, on a real store.

#include "collector/core/correction.h"
#include "collector/core/gap_acceptance.h"
#include "collector/fold/folder.h"
#include "common/exit_code.h"
#include "tests/unit/collector/api/office.h"
#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

using Verb = CommandLine::Verb;

class Clerk : public Office {
 public:
  Clerk() {
    config.catalog = folder() + "/catalog";
    config.connectors = {{.name = "tryton"}};
    REQUIRE(io::make_folders(config.catalog));
    REQUIRE(io::write_file_durably(config.catalog + "/10.toml", kExampleCatalog));
    options.name = "ann";
    options.out = folder() + "/ann.key";
    REQUIRE(add_operator(config, options, clock, out));
    options.key = options.out;
    REQUIRE(load_catalog_folder(config, options, clock, out));
    NewStream stream;
    stream.grant.tenant = "demo";
    stream.grant.device = "app-1";
    REQUIRE(open_store(config).value()->put_device(
        {.tenant = "demo", .device = "app-1", .streams = {stream}}));
  }

  CommandLine said() {
    CommandLine one;
    one.device = "app-1";
    one.subject = "aqua";
    one.meter = "api.requests";
    one.from = "2027-01-10T10:20:00Z";
    one.reason = "read by hand";
    one.references = {"ticket 7"};
    one.key = folder() + "/ann.key";
    return one;
  }
  CommandLine add(const std::string& value) {
    CommandLine one = said();
    one.verb = Verb::add_usage;
    one.value = value;
    return one;
  }
  CommandLine voided(const std::string& until) {
    CommandLine one = said();
    one.verb = Verb::void_usage;
    one.until = until;
    return one;
  }
  CommandLine withdraw(const std::string& id) {
    CommandLine one = said();
    one.verb = Verb::withdraw_correction;
    one.correction = id;
    return one;
  }

  Result<int> run(const CommandLine& one) {
    out.str("");
    return correct(config, one, clock, out);
  }
  /// What is logged, folded.
  uint64_t folded() {
    const auto store = open_store(config).value();
    REQUIRE(Folder(*store).run_to_end());
    return store->statement_count(LeafKind::correction).value();
  }
  Json listed() {
    CommandLine one;
    one.json = true;
    out.str("");
    REQUIRE(list_corrections(config, one, out));
    return parse_json(out.str()).value();
  }
};

}  // namespace

TEST_CASE("a correction shows what it changes and is logged with its author's signature") {
  Clerk clerk;

  REQUIRE(clerk.run(clerk.add("2.5")));

  CHECK_THAT(clerk.out.str(), Catch::Contains("0 -> 2.5 1 (readings 0 -> 1)"));
  REQUIRE(clerk.folded() == 1);
  const Json first = clerk.listed().items()[0];
  CHECK(first.find("action")->text() == "add");
  CHECK(first.find("by")->text() == "ann");
  CHECK(first.find("value")->text() == "2.5");
  CHECK(first.find("references")->items()[0].text() == "ticket 7");
  CHECK(first.find("withdrawn_by")->is(Json::Kind::null));
  const auto store = open_store(clerk.config).value();
  const auto leaf = store->statements(LeafKind::correction).value().at(0);
  const auto statement = open_statement(LeafKind::correction, leaf.sealed);
  REQUIRE(statement);
  CHECK(statement->key == store->operators().value().at(0).key);
}

TEST_CASE("a void and a withdraw say what they take and give back") {
  Clerk clerk;
  REQUIRE(clerk.run(clerk.add("7")));
  REQUIRE(clerk.folded() == 1);
  const std::string id = clerk.listed().items()[0].find("id")->text();

  // A void is about readings, not about what was added.
  REQUIRE(clerk.run(clerk.voided("2027-01-10T10:30:00Z")));
  CHECK_THAT(clerk.out.str(), Catch::Contains("7 -> 7 1 (readings 1 -> 1)"));
  REQUIRE(clerk.run(clerk.withdraw(id.substr(0, 12))));
  CHECK_THAT(clerk.out.str(), Catch::Contains("7 -> 0 1 (readings 1 -> 0)"));
  CHECK(clerk.folded() == 3);
  CHECK(clerk.listed().items()[0].find("withdrawn_by")->is(Json::Kind::string));
  CHECK(clerk.run(clerk.withdraw(id)).error().code() == Errc::reject);
  const std::string last = clerk.listed().items()[2].find("id")->text();
  CHECK(clerk.run(clerk.withdraw(last)).error().code() == Errc::reject);
  CHECK(clerk.run(clerk.withdraw("zz")).error().code() == Errc::not_found);
}

TEST_CASE("a dry run needs no key and writes nothing") {
  Clerk clerk;
  CommandLine dry = clerk.add("7");
  dry.dry_run = true;
  dry.key.clear();

  REQUIRE(clerk.run(dry));

  CHECK_THAT(clerk.out.str(), Catch::Contains("0 -> 7 1"));
  CHECK(clerk.folded() == 0);
}

TEST_CASE("a correction that cannot be meant is refused and nothing is written") {
  Clerk clerk;
  const auto refused = [&](CommandLine one, Errc code) {
    const auto result = clerk.run(one);
    REQUIRE_FALSE(result);
    INFO(result.error().text());
    CHECK(result.error().code() == code);
  };
  CommandLine bad = clerk.add("7");
  bad.meter = "api.request";
  refused(bad, Errc::reject);
  bad = clerk.add("7");
  bad.unit = "By";
  refused(bad, Errc::reject);
  bad = clerk.add("7");
  bad.device = "app-9";
  refused(bad, Errc::not_found);
  bad = clerk.add("7");
  bad.from = "yesterday";
  refused(bad, Errc::reject);
  refused(clerk.add("0"), Errc::corrupt);
  refused(clerk.voided("2027-01-10T10:20:00Z"), Errc::corrupt);
  bad = clerk.add("7");
  bad.key = clerk.folder() + "/nobody.key";
  refused(bad, Errc::not_found);
  CHECK(clerk.folded() == 0);
}

TEST_CASE("gaps lists who keeps periods open, and accept signs that they need not") {
  Clerk clerk;
  CommandLine one;
  one.json = true;
  clerk.out.str("");
  REQUIRE(list_gaps(clerk.config, one, clerk.clock, clerk.out));
  const Json gaps = parse_json(clerk.out.str()).value();
  REQUIRE_FALSE(gaps.items().empty());
  const Json gap = gaps.items()[0];
  CHECK_THAT(gap.find("because")->text(), Catch::Contains("no heartbeat"));

  CommandLine accept;
  accept.device = gap.find("device")->text();
  accept.from = gap.find("from")->text();
  accept.until = gap.find("until")->text();
  accept.reason = "burnt";
  CHECK_FALSE(accept_gap(clerk.config, accept, clerk.clock, clerk.out));  // no key
  accept.key = clerk.folder() + "/ann.key";
  REQUIRE(accept_gap(clerk.config, accept, clerk.clock, clerk.out));

  clerk.out.str("");
  REQUIRE(list_gaps(clerk.config, one, clerk.clock, clerk.out));
  CHECK(parse_json(clerk.out.str()).value().items().size() == gaps.items().size() - 1);
  const auto leaf =
      open_store(clerk.config).value()->statements(LeafKind::gap_acceptance).value().at(0);
  CHECK(read_gap_acceptance(leaf).value().by == "ann");

  accept.until = "2099-01-01T00:00:00Z";
  CHECK(accept_gap(clerk.config, accept, clerk.clock, clerk.out).error().code() == Errc::reject);
}

TEST_CASE("close accepts all that a contract's period waits for, and says why it need not") {
  Clerk clerk;
  CommandLine one;
  one.contract = "nobody";
  one.reason = "burnt";
  one.key = clerk.folder() + "/ann.key";
  CHECK(close_period(clerk.config, one, clerk.clock, clerk.out).error().code() == Errc::not_found);

  one.contract = "aqua-2026";
  REQUIRE(close_period(clerk.config, one, clerk.clock, clerk.out));
  CHECK_THAT(clerk.out.str(),
             Catch::Contains("accepted by ann") && Catch::Contains("becomes an adjustment"));
  const auto logged =
      open_store(clerk.config).value()->statements(LeafKind::gap_acceptance).value();
  REQUIRE(logged.size() == 1);
  CHECK(read_gap_acceptance(logged[0]).value().device == "app-1");

  clerk.out.str("");
  REQUIRE(close_period(clerk.config, one, clerk.clock, clerk.out));
  CHECK_THAT(clerk.out.str(), Catch::Contains("waits for no device"));
}

}  // namespace ledgerline::collector
