// The work that exceptions make for people, on a real store.
#include "collector/api/catalog_links.h"
#include "collector/core/exception_statement.h"
#include "collector/core/exceptions.h"
#include "collector/core/mapping.h"
#include "collector/fold/logged_catalog.h"
#include "common/exit_code.h"
#include "common/json.h"
#include "tests/unit/collector/api/office.h"
#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

using Verb = CommandLine::Verb;

class Desk : public Office {
 public:
  Desk() {
    config.catalog = config.state + "-catalog";
    REQUIRE(io::make_folders(config.catalog));
    write_catalog("");
    options.reason = "because";
  }

  void write_catalog(const std::string& more) {
    config.connectors = {{.name = "tryton"}};
    REQUIRE(io::write_file_durably(config.catalog + "/10.toml", kExampleCatalog + more));
  }

  ExceptionRow put(std::string_view kind, const std::string& about, Duration age = {}) {
    auto row = new_exception(kind, {about}, "demo", clock.now() - age);
    row.device = "d";
    row.subject = about;
    row.count = 3;
    const ExceptionUpsert upsert{UpsertMode::add, row};
    REQUIRE(open_store(config).value()->upsert_exceptions({&upsert, 1}));
    return row;
  }

  /// The files as they are come into force.
  void load() {
    CommandLine words;
    words.key = operator_key("ann");
    std::ostringstream said;
    const auto done = load_catalog_folder(config, words, clock, said);
    INFO((done ? "" : done.error().text()));
    REQUIRE(done == kExitOk);
  }
  Catalog in_force() { return catalog_in_force(*open_store(config).value()).value(); }

  /// Device d: subject "new one" with usage in two quarter hours, not linked.
  ExceptionRow put_unmapped() {
    const auto store = open_store(config).value();
    NewStream stream;
    stream.grant.tenant = "demo";
    stream.grant.device = "d";
    REQUIRE(store->put_device({.tenant = "demo", .device = "d", .streams = {stream}}));
    AdmitChange change{.stream = stream.grant.stream, .expected_revision = 1};
    change.links = {{.number = 1, .id = {}, .sealed = Bytes(64, 5)}};
    REQUIRE(store->admit(std::span(&change, 1)));
    FoldChanges changes{.cursor_before = 0, .cursor_after = 1};
    changes.new_series = {{1,
                           {.tenant = "demo",
                            .device = "d",
                            .subject = "new one",
                            .meter = "api.requests",
                            .unit = "1"}}};
    for (const char* time : {"2026-02-03T10:15:00Z", "2026-02-03T10:30:00Z"}) {
      UsageDelta delta{.series = 1, .quarter = QuarterHour::of(*parse_rfc3339(time))};
      delta.earliest = delta.quarter.start();
      delta.value.add(5, {.time_ms = delta.earliest.unix_ms(), .stream = {}, .seq = 1});
      delta.leaves = {0};
      changes.usage.push_back(delta);
    }
    REQUIRE(store->fold(changes));
    auto row = new_exception(exception_kind::kUnmappedSubject, {"demo", "1"}, "demo", clock.now());
    row.device = "d";
    row.subject = "new one";
    row.meter = "api.requests";
    row.series = 1;
    row.count = 2;
    row.value = Decimal(10, 0);
    row.unit = "1";
    const ExceptionUpsert upsert{UpsertMode::replace, row};
    REQUIRE(store->upsert_exceptions({&upsert, 1}));
    return row;
  }

  Result<int> act(Verb verb, const std::string& id) {
    options.verb = verb;
    options.exception = id;
    options.key = operator_key(who);
    out.str("");
    return verb == Verb::map_exception ? map_exception(config, options, clock, out)
                                       : act_on_exception(config, options, clock, out);
  }
  std::string shown(const std::string& id) {
    options.exception = id;
    out.str("");
    REQUIRE(show_exception(config, options, clock, out) == kExitOk);
    return out.str();
  }
  std::string listed() {
    out.str("");
    REQUIRE(list_exceptions(config, options, clock, out) == kExitOk);
    return out.str();
  }
  std::vector<std::string> listed_subjects() {
    options.json = true;
    std::vector<std::string> subjects;
    const Json rows = parse_json(listed()).value();
    for (const Json& row : rows.items()) subjects.push_back(row.find("subject")->text());
    options.json = false;
    return subjects;
  }
  ExceptionRow stored(const std::string& id) {
    return open_store(config).value()->exception(id).value();
  }

  std::string who = "ann";
};

using Names = std::vector<std::string>;
constexpr Duration kDay = std::chrono::hours(24);

TEST_CASE("exceptions are listed by deadline, filtered, and a terminal obeys none of them") {
  Desk desk;
  desk.put(exception_kind::kCoarsened, "old but patient", 2 * kDay);
  desk.put(exception_kind::kFork, "urgent", std::chrono::hours(5));
  const auto mine = desk.put(exception_kind::kUnmappedSubject, "esc\x1b[31m");

  CHECK(desk.listed_subjects() == Names{"urgent", "esc\x1b[31m", "old but patient"});
  const std::string table = desk.listed();
  CHECK_THAT(table, Catch::Contains("esc\\u001b[31m") && Catch::Contains("60m late"));
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) CHECK(line.size() <= 100);

  desk.options.overdue = true;
  CHECK(desk.listed_subjects() == Names{"urgent"});
  desk.options.overdue = false;
  desk.options.owner = "customer success";
  CHECK(desk.listed_subjects() == Names{"esc\x1b[31m"});
  desk.options.owner.clear();
  desk.options.kind = "fork";
  CHECK(desk.listed_subjects() == Names{"urgent"});
  desk.options.kind.clear();

  desk.options.to = "Bob";
  REQUIRE(desk.act(Verb::assign_exception, mine.id));
  desk.options.assignee = "Bob";
  CHECK(desk.listed_subjects() == Names{"esc\x1b[31m"});
  REQUIRE(desk.act(Verb::ignore_exception, mine.id));
  CHECK(desk.listed_subjects().empty());
  desk.options.state = "resolved";
  CHECK(desk.listed_subjects() == Names{"esc\x1b[31m"});
}

TEST_CASE("what a person does is kept with who, when and why, and shown") {
  Desk desk;
  const auto row = desk.put(exception_kind::kCoarsened, "aqua");
  desk.options.to = "Bob";
  REQUIRE(desk.act(Verb::assign_exception, row.id));
  desk.who = "bob";
  desk.options.reason = "a test device";
  REQUIRE(desk.act(Verb::ignore_exception, row.id));

  CHECK(desk.stored(row.id).state == ExceptionState::resolved);
  CHECK(desk.stored(row.id).resolved_by == "bob");
  CHECK_THAT(desk.shown(row.id), Catch::Contains("1. 2027-01-15T08:00:00.000Z ann: assign Bob") &&
                                     Catch::Contains("bob: ignore (a test device)") &&
                                     Catch::Contains("by bob: a test device"));
  const auto again = desk.act(Verb::ignore_exception, row.id);
  REQUIRE_FALSE(again);
  CHECK(again.error().code() == Errc::conflict);
}

TEST_CASE("what a person does is signed with their key, under the action's number") {
  Desk desk;
  const auto row = desk.put(exception_kind::kCoarsened, "aqua");
  desk.options.to = "Bob";
  REQUIRE(desk.act(Verb::assign_exception, row.id));
  desk.who = "bob";
  REQUIRE(desk.act(Verb::ignore_exception, row.id));

  const auto store = open_store(desk.config).value();
  const auto actions = store->exception_actions(row.id).value();
  const auto leaves = store->statements(LeafKind::exception_action).value();
  REQUIRE((actions.size() == 2 && leaves.size() == 2));
  for (size_t i = 0; i < 2; ++i) {
    const auto open = open_statement(LeafKind::exception_action, leaves[i].sealed).value();
    CHECK(open.json == statement_of(actions[i], "demo").json());
    const auto signer = signer_from_pem(text_of(desk.operator_key(actions[i].by))).value();
    CHECK(verify(open.message, signer->public_key()));
  }
}

TEST_CASE("of two who act at once under one number, the second changes nothing") {
  Desk desk;
  const auto row = desk.put(exception_kind::kCoarsened, "aqua");
  const auto signer = signer_from_pem(text_of(desk.operator_key("ann"))).value();
  const auto store = open_store(desk.config).value();
  ExceptionChange late{.action = {.exception = row.id, .number = 1, .by = "ann", .detail = "x"},
                       .release = {},
                       .statements = {}};
  desk.options.to = "Bob";
  REQUIRE(desk.act(Verb::assign_exception, row.id));
  CHECK(store->act_on_exception(late).error().code() == Errc::conflict);
  CHECK(record_action(*store, row, late, *signer)->number == 2);  // numbered anew
}

TEST_CASE("nobody acts without a key that is registered and in force") {
  Desk desk;
  const auto row = desk.put(exception_kind::kCoarsened, "aqua");
  REQUIRE(desk.act(Verb::assign_exception, row.id));
  CommandLine revoke;
  revoke.name = "ann";
  REQUIRE(revoke_operator(desk.config, revoke, desk.clock, desk.out));
  CHECK(desk.act(Verb::ignore_exception, row.id).error().code() == Errc::reject);
  CHECK(desk.stored(row.id).state == ExceptionState::open);
  CHECK(open_store(desk.config).value()->statement_count(LeafKind::exception_action) == 1);
}

TEST_CASE("an action that a kind does not have is refused with those that it has") {
  Desk desk;
  const auto row = desk.put(exception_kind::kNotRated, "aqua");
  for (const Verb verb : {Verb::ignore_exception, Verb::requeue_exception, Verb::map_exception}) {
    const auto refused = desk.act(verb, row.id);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::reject);
    CHECK_THAT(refused.error().text(),
               Catch::Contains("it has: assign") && Catch::Contains("mend the rate card"));
  }
  CHECK(open_store(desk.config).value()->exception_actions(row.id)->empty());
  desk.options.reason.clear();
  const auto silent = desk.act(Verb::ignore_exception, desk.put(exception_kind::kFork, "f").id);
  REQUIRE_FALSE(silent);
  CHECK_THAT(silent.error().text(), Catch::Contains("--reason"));
}

TEST_CASE("an exception is found by the beginning of its id, if only one begins so") {
  Desk desk;
  const auto row = desk.put(exception_kind::kFork, "a");
  desk.put(exception_kind::kFork, "b");
  CHECK_THAT(desk.shown(row.id.substr(0, 11)), Catch::StartsWith(row.id));
  const auto store = open_store(desk.config).value();
  CHECK(find_exception(*store, "ex-").error().code() == Errc::reject);
  CHECK(find_exception(*store, "ex-zz").error().code() == Errc::not_found);
}

TEST_CASE("a mapped subject's link is in force and in the folder, from its first usage on") {
  Desk desk;
  const auto row = desk.put_unmapped();
  desk.load();
  CHECK_THAT(desk.shown(row.id),
             Catch::Contains("leaf 0: batch 1 of stream") &&
                 Catch::Contains("ledgerline-collector exceptions map " + row.id) &&
                 Catch::Contains("--device d --subject 'new one'"));

  desk.options.subscription = "aqua-api";
  REQUIRE(desk.act(Verb::map_exception, row.id) == kExitOk);

  CHECK_THAT(desk.out.str(), Catch::Contains("mapping version 2, in "));
  CHECK_THAT(text_of(desk.config.catalog + "/links.toml"),
             Catch::Contains("# " + row.id + " by ann at 2027-01-15T08:00:00.000Z: because\n"));
  const Catalog catalog = desk.in_force();
  CHECK(catalog.hash() == read_catalog(desk.config)->hash());
  const Mapping mapping(catalog);
  const Timestamp first = *parse_rfc3339("2026-02-03T10:15:00Z");
  REQUIRE(mapping.resolve("d", "new one", first) != nullptr);
  CHECK(mapping.resolve("d", "new one", first)->subscription == "aqua-api");
  CHECK(mapping.resolve("d", "new one", first - Duration(1)) == nullptr);
  CHECK(desk.stored(row.id).state == ExceptionState::open);  // until its usage is counted
  CHECK_THAT(desk.shown(row.id), Catch::Contains("ann: map device d, subject new one to aqua-api"));
  const auto version =
      open_store(desk.config).value()->statements(LeafKind::mapping_version).value().back();
  CHECK(open_version(LeafKind::mapping_version, version.sealed)->statement.reason ==
        row.id + ": because");
}

TEST_CASE("a mapped subject brings nothing into force that a person is still editing") {
  Desk desk;
  const auto row = desk.put_unmapped();
  desk.load();
  desk.write_catalog(
      "\n[[meter]]\nname = \"draft\"\nunit = \"1\"\nkind = \"delta\"\n"
      "aggregation = \"sum\"\nclass = \"billing\"\n");
  desk.options.subscription = "aqua-api";
  REQUIRE(desk.act(Verb::map_exception, row.id) == kExitOk);

  const Catalog taken = desk.in_force();
  CHECK(Mapping(taken).resolve("d", "new one", *parse_rfc3339("2026-02-03T10:15:00Z")) != nullptr);
  CHECK(taken.meter("draft") == nullptr);
}

TEST_CASE("nothing is mapped where no catalog is loaded") {
  Desk desk;
  const auto row = desk.put_unmapped();
  desk.options.subscription = "aqua-api";

  const auto refused = desk.act(Verb::map_exception, row.id);

  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().text(), Catch::Contains("catalog load --key FILE"));
  CHECK_FALSE(fs::exists(desk.config.catalog + "/links.toml"));
}

TEST_CASE("a link ends where another begins, and tells of what is closed already") {
  Desk desk;
  const auto row = desk.put_unmapped();
  desk.write_catalog(
      "\n[[link]]\ndevice = \"d\"\nsubject = \"*\"\nsubscription = \"aqua-api\"\n"
      "from = \"2026-02-03T10:30:00Z\"\n");
  desk.load();
  PeriodRow period{.tenant = "demo", .contract = "aqua-2026"};
  period.from = *parse_rfc3339("2026-01-31T23:00:00Z");
  period.to = *parse_rfc3339("2026-02-28T23:00:00Z");
  period.revision = 1;
  period.closed = true;
  CommercialChanges changes;
  changes.periods.push_back({period, 0});
  REQUIRE(open_store(desk.config).value()->put_documents(changes));

  desk.options.subscription = "aqua-api";
  REQUIRE(desk.act(Verb::map_exception, row.id) == kExitOk);

  CHECK_THAT(text_of(desk.config.catalog + "/links.toml"),
             Catch::Contains("until = \"2026-02-03T10:30:00.000Z\""));
  CHECK_THAT(desk.out.str(), Catch::Contains("closed until 2026-02-28T23:00:00.000Z") &&
                                 Catch::Contains("late, and billed by adjustments"));
}

TEST_CASE("a link with which the catalog would not check is not written") {
  Desk desk;
  const auto row = desk.put_unmapped();
  desk.load();
  desk.options.subscription = "aqua-ap";
  const auto refused = desk.act(Verb::map_exception, row.id);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::config);
  CHECK_THAT(refused.error().text(), Catch::Contains("links.toml:") && Catch::Contains("aqua-api"));
  CHECK_FALSE(fs::exists(desk.config.catalog + "/links.toml"));
  CHECK(open_store(desk.config).value()->exception_actions(row.id)->empty());

  desk.options.subscription = "aqua-api";
  desk.options.from = "yesterday";
  CHECK_FALSE(desk.act(Verb::map_exception, row.id));
  desk.options.from.clear();
  REQUIRE(desk.act(Verb::map_exception, row.id));
  const std::string written = text_of(desk.config.catalog + "/links.toml");
  CHECK_FALSE(desk.act(Verb::map_exception, row.id));  // it is mapped by now
  CHECK(text_of(desk.config.catalog + "/links.toml") == written);
  CHECK(open_store(desk.config).value()->statement_count(LeafKind::mapping_version) == 2);
}

TEST_CASE("a released delivery's exception says by whom, and the delivery is tried again") {
  Desk desk;
  desk.put_document(DocumentState::approved);
  desk.reject_delivery("no party C-9");
  const auto store = open_store(desk.config).value();
  const ExceptionRow row = store->list_exceptions({}).value().at(0);
  CHECK_THAT(desk.shown(row.id), Catch::Contains("12.77 EUR") && Catch::Contains("no party C-9") &&
                                     Catch::Contains("ledgerline-collector documents bs-1"));

  REQUIRE(desk.act(Verb::requeue_exception, row.id) == kExitOk);

  CHECK(store->list_deliveries({}).value().at(0).state == DeliveryState::retry);
  CHECK(store->exception(row.id)->state == ExceptionState::open);  // until the document is there
  const auto actions = store->exception_actions(row.id).value();
  REQUIRE(actions.size() == 1);
  CHECK(actions[0].detail == "bs-1.r1.tryton");
  CHECK_FALSE(desk.act(Verb::requeue_exception, row.id));
  CHECK(store->exception_actions(row.id)->size() == 1);
  CHECK(store->statement_count(LeafKind::exception_action) == 1);
}

TEST_CASE("an exception shows and releases the revision that it is about, not a newer one") {
  Desk desk;
  desk.put_document(DocumentState::approved);
  desk.reject_delivery("no party C-9");
  const auto store = open_store(desk.config).value();
  DocumentRow newer = store->document("bs-1").value();
  newer.revision = 2;
  CommercialChanges changes;
  changes.documents.push_back({newer, 1});
  changes.deliveries.push_back(new_delivery(newer, desk.clock.now()));
  REQUIRE(store->put_documents(changes));
  const ExceptionRow row = store->list_exceptions({}).value().at(0);

  CHECK_THAT(desk.shown(row.id), Catch::Contains("bs-1 revision 1:") &&
                                     Catch::Contains("delivery rejected after 1 attempts"));
  REQUIRE(desk.act(Verb::requeue_exception, row.id) == kExitOk);
  CHECK(store->delivery("bs-1.r1.tryton").value()->state == DeliveryState::retry);
  CHECK(store->delivery("bs-1.r2.tryton").value()->state == DeliveryState::pending);
}

TEST_CASE("exceptions and its subcommands read their words") {
  const auto parse = [](std::vector<const char*> words) {
    words.insert(words.begin(), {"ledgerline-collector", "exceptions"});
    return parse_command_line(static_cast<int>(words.size()), words.data());
  };
  CHECK(parse({})->verb == Verb::list_exceptions);
  CHECK(parse({"--json"})->json);
  CHECK(parse({"list", "--overdue", "--owner", "finance"})->overdue);
  CHECK_FALSE(parse({"list", "--state", "closed"}));
  CHECK(parse({"show", "ex-1"})->verb == Verb::show_exception);
  const auto map = parse({"map", "ex-1", "--subscription", "s", "--key", "a", "--reason", "r"});
  REQUIRE(map);
  CHECK((map->verb == Verb::map_exception && map->exception == "ex-1" && map->reason == "r"));
  CHECK_FALSE(parse({"map", "ex-1", "--key", "a", "--reason", "r"}));
  CHECK_FALSE(parse({"ignore", "ex-1", "--key", "a"}));
  CHECK(parse({"assign", "ex-1", "--to", "b", "--key", "a"})->to == "b");
}

}  // namespace
}  // namespace ledgerline::collector
