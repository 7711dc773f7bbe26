// The commands on a real store in a folder of their own, as an operator meets them.

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "collector/core/approvals.h"
#include "collector/store/keys.h"
#include "collector/store/memory_store.h"
#include "common/exit_code.h"
#include "common/io/lmdb.h"
#include "common/io/system.h"
#include "common/json.h"
#include "common/messages.h"
#include "tests/unit/collector/api/office.h"

namespace ledgerline::collector {
namespace {

TEST_CASE("a command that only reads makes no store") {
  Office office;
  const auto refused = status(office.config, office.options, office.clock, office.out);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::not_found);
  CHECK_FALSE(fs::exists(office.config.state));
}

TEST_CASE("the signing key is made once, for its owner only") {
  Office office;
  const auto first = load_or_make_signer(office.config).value()->public_key().id();
  struct stat info {};
  REQUIRE(::stat(office.config.key_file().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(load_or_make_signer(office.config).value()->public_key().id() == first);
}

TEST_CASE(
    "enrolling answers with a certificate and a grant, and opens the broker's list; revoking "
    "closes it") {
  Office office;
  office.make_authority();
  office.options.file = office.request_file("host-1");

  REQUIRE(enroll(office.config, office.options, office.clock, office.out) == kExitOk);

  const Bytes bytes =
      pem_decode("LEDGERLINE ENROLMENT", text_of(office.options.file + ".answer")).value();
  const auto message = open_signed(bytes, payload_type::kEnrolment).value();
  CHECK(verify(message, load_or_make_signer(office.config).value()->public_key()));
  const auto answer = decode_enrolment(message.body).value();
  CHECK((answer.tenant == "demo" && answer.device == "host-1" && answer.grants.size() == 1));
  CHECK_THAT(text_of(office.config.acl_file), Catch::Contains("user demo.host-1\n"));

  const auto again = enroll(office.config, office.options, office.clock, office.out);
  REQUIRE_FALSE(again);
  CHECK(exit_code_of(again.error()) == kExitData);

  office.options.tenant = "demo";
  office.options.device = "host-1";
  office.options.reason = "stolen";
  office.out.str("");
  REQUIRE(revoke(office.config, office.options, office.clock, office.out) == kExitOk);
  CHECK_THAT(text_of(office.config.acl_file), !Catch::Contains("demo.host-1"));
  CHECK_THAT(office.out.str(), Catch::Contains("SIGHUP") &&
                                   Catch::Contains(office.config.acl_file) &&
                                   Catch::Contains("certificate stays valid"));
  CHECK_FALSE(revoke(office.config, office.options, office.clock, office.out));
  office.options.device = "nobody";
  CHECK_FALSE(revoke(office.config, office.options, office.clock, office.out));
}

TEST_CASE("a diagnostic stream is added beside the billing one, which goes on") {
  Office office;
  office.make_authority();
  office.classes = {StreamClass::diagnostic};
  office.options.file = office.request_file("host-1", "a diagnostic meter was added");
  const auto alone = enroll(office.config, office.options, office.clock, office.out);
  REQUIRE_FALSE(alone);
  CHECK_THAT(alone.error().text(), Catch::Contains("ask for both"));
  office.classes = {StreamClass::billing};
  office.options.file = office.request_file("host-1");
  REQUIRE(enroll(office.config, office.options, office.clock, office.out) == kExitOk);
  office.classes = {StreamClass::diagnostic};
  office.options.file = office.request_file("host-1", "a diagnostic meter was added");

  REQUIRE(enroll(office.config, office.options, office.clock, office.out) == kExitOk);

  const auto store = open_store(office.config).value();
  const auto streams = store->streams_of("demo", "host-1").value();
  REQUIRE(streams.size() == 2);
  for (const StreamRow& row : streams) CHECK(row.status == StreamStatus::open);
  // The answer names both: the agent installs it as a whole.
  const Bytes bytes =
      pem_decode("LEDGERLINE ENROLMENT", text_of(office.options.file + ".answer")).value();
  const auto answer =
      decode_enrolment(open_signed(bytes, payload_type::kEnrolment).value().body).value();
  REQUIRE(answer.grants.size() == 2);
  const auto kept =
      decode_grant(open_signed(answer.grants[0], payload_type::kGrant).value().body).value();
  CHECK(kept.stream_class == StreamClass::billing);
  CHECK(std::any_of(streams.begin(), streams.end(),
                    [&](const StreamRow& row) { return row.grant.stream == kept.stream; }));
}

TEST_CASE("another key for an enrolled device needs --replace, and the reason is kept") {
  Office office;
  office.make_authority();
  office.options.file = office.request_file("host-1");
  REQUIRE(enroll(office.config, office.options, office.clock, office.out) == kExitOk);
  const std::string old_key = office.device_key->public_key().id().hex();
  CHECK_THAT(office.out.str(), Catch::Contains(old_key));
  office.device_key =
      signer_from_pem(generate_private_key_pem(KeyAlgorithm::ed25519).value()).value();
  office.options.file = office.request_file("host-1", "a new disk");
  const std::string new_key = office.device_key->public_key().id().hex();

  const auto refused = enroll(office.config, office.options, office.clock, office.out);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::conflict);
  CHECK(open_store(office.config).value()->device("demo", "host-1")->keys.size() == 1);

  office.out.str("");
  office.options.replace = true;
  office.options.reason = "ticket 7";
  REQUIRE(enroll(office.config, office.options, office.clock, office.out) == kExitOk);
  CHECK_THAT(office.out.str(), Catch::Contains(old_key) && Catch::Contains(new_key));
  const auto streams = open_store(office.config).value()->streams_of("demo", "host-1").value();
  REQUIRE(streams.size() == 2);
  const auto& granted = streams[0].grant.key.hex() == new_key ? streams[0] : streams[1];
  CHECK(granted.grant.reason == "ticket 7; the device says: a new disk");
}

TEST_CASE("a request for another device than the operator expects is refused") {
  Office office;
  office.make_authority();
  office.options.file = office.request_file("host-1");
  office.options.tenant = "demo";
  office.options.device = "host-2";
  const auto refused = enroll(office.config, office.options, office.clock, office.out);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().text(), Catch::Contains("host-1") && Catch::Contains("host-2"));
  CHECK_FALSE(fs::exists(office.config.store_folder()));

  office.options.tenant = "else";
  office.options.device = "";
  CHECK_FALSE(enroll(office.config, office.options, office.clock, office.out));
  office.options.tenant = "demo";
  CHECK(enroll(office.config, office.options, office.clock, office.out) == kExitOk);
}

TEST_CASE("replacing a device's key without a reason is a usage error") {
  const auto parse = [](std::vector<const char*> words) {
    words.insert(words.begin(), {"ledgerline-collector", "enroll", "request.pem"});
    return parse_command_line(static_cast<int>(words.size()), words.data());
  };
  CHECK(parse({}));
  CHECK_FALSE(parse({"--replace"}));
  CHECK_FALSE(parse({"--reason", "a new disk"}));
  const auto both =
      parse({"--replace", "--reason", "a new disk", "--tenant", "a", "--device", "b"});
  REQUIRE(both);
  CHECK((both->replace && both->reason == "a new disk" && both->tenant == "a" &&
         both->device == "b"));
}

/// Each in a process of its own, as operators' commands run.
template <class Command>
bool all_at_once(int count, const Command& command) {
  std::vector<pid_t> children;
  for (int i = 0; i < count; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(command(i) ? 0 : 1);
    children.push_back(child);
  }
  bool fine = true;
  for (const pid_t child : children) {
    int code = 0;
    fine &= ::waitpid(child, &code, 0) == child && code == 0;
  }
  return fine;
}

TEST_CASE("devices enrolled at the same time are all in the broker's list, under one key") {
  constexpr int kProcesses = 4;
  constexpr int kDevicesEach = 5;
  Office office;
  office.make_authority();
  std::vector<std::string> requests;
  for (int i = 0; i < kProcesses * kDevicesEach; ++i)
    requests.push_back(office.request_file("host-" + std::to_string(i)));

  REQUIRE(all_at_once(kProcesses, [&](int process) {
    bool fine = true;
    for (int i = 0; i < kDevicesEach; ++i) {
      office.options.file = requests.at(static_cast<size_t>(process * kDevicesEach + i));
      fine &= enroll(office.config, office.options, office.clock, office.out).has_value();
      const std::string device = "user demo.host-" + std::to_string(process * kDevicesEach + i);
      fine &= text_of(office.config.acl_file).find(device + "\n") != std::string::npos;
    }
    return fine;
  }));

  const auto key = load_or_make_signer(office.config).value()->public_key();
  for (const auto& request : requests) {
    const Bytes answer = pem_decode("LEDGERLINE ENROLMENT", text_of(request + ".answer")).value();
    CHECK(verify(open_signed(answer, payload_type::kEnrolment).value(), key));
  }
}

TEST_CASE("keys and passwords that others may read are not used") {
  Office office;
  office.make_authority();
  office.options.file = office.request_file("host-1");
  const auto refuses = [&](const std::string& file, const auto& use) {
    REQUIRE(::chmod(file.c_str(), 0640) == 0);
    const auto refused = use();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::config);
    CHECK_THAT(refused.error().text(),
               Catch::Contains("0640") && Catch::Contains("chmod 600 " + file));
    REQUIRE(::chmod(file.c_str(), 0600) == 0);
  };
  REQUIRE(load_or_make_signer(office.config));
  refuses(office.config.key_file(), [&] { return load_or_make_signer(office.config); });
  refuses(office.config.authority_private_key,
          [&] { return enroll(office.config, office.options, office.clock, office.out); });

  ConnectorConfig connector;
  connector.name = "erp";
  connector.profile = LEDGERLINE_SOURCE_DIR "/deploy/connectors/tryton.lua";
  connector.url = "http://127.0.0.1:1/";
  connector.password_file = office.config.state + "/password";
  REQUIRE(io::write_file_durably(connector.password_file, "secret\n", 0640));
  office.config.connectors.push_back(connector);
  boost::asio::io_context context;
  refuses(connector.password_file,
          [&] { return open_engines(context.get_executor(), office.clock, office.config); });
}

TEST_CASE("a file that is no request is refused and leaves nothing behind") {
  Office office;
  office.make_authority();
  office.options.file = office.config.authority_certificate;
  CHECK_FALSE(enroll(office.config, office.options, office.clock, office.out));
  CHECK_FALSE(fs::exists(office.config.acl_file));
  CHECK_FALSE(fs::exists(office.options.file + ".answer"));
}

TEST_CASE("an approved document enters the outbox once, under the name of who approved") {
  Office office;
  office.put_document(DocumentState::waiting_approval);
  office.options.verb = CommandLine::Verb::approve;
  office.options.document = "bs-1";
  CHECK(decide(office.config, office.options, office.clock, office.out).error().code() ==
        Errc::config);
  office.options.key = office.operator_key("ann");

  REQUIRE(decide(office.config, office.options, office.clock, office.out) == kExitOk);
  CHECK(office.out.str() == "bs-1 approved by ann: 12.77 EUR for aqua\n");
  const auto again = decide(office.config, office.options, office.clock, office.out);
  REQUIRE_FALSE(again);
  CHECK(again.error().code() == Errc::conflict);

  const auto store = open_store(office.config).value();
  const DocumentRow row = store->document("bs-1").value();
  CHECK(row.decided_by == "ann");
  CHECK(store->list_deliveries({}).value().size() == 1);
  CHECK(store->statement_count(LeafKind::approval) == 1);
  CHECK(check_approval(row, store->leaf(row.decided_leaf.value()).value(),
                       store->operators().value()));
}

TEST_CASE("a refused document keeps the refusal, signed, and never leaves") {
  Office office;
  office.put_document(DocumentState::waiting_approval);
  office.options.verb = CommandLine::Verb::refuse;
  office.options.document = "bs-1";
  office.options.key = office.operator_key("ann");
  office.options.reason = "credit due";

  REQUIRE(decide(office.config, office.options, office.clock, office.out) == kExitOk);

  const auto store = open_store(office.config).value();
  CHECK(store->list_deliveries({}).value().empty());
  const auto leaf = store->statements(LeafKind::approval).value().at(0);
  const auto said =
      ApprovalStatement::parse(open_statement(LeafKind::approval, leaf.sealed).value().json);
  CHECK((!said->approved && said->reason == "credit due" && said->by == "ann"));
}

TEST_CASE("a document that only the store calls approved is approved anew") {
  Office office;
  office.put_document(DocumentState::approved);  // and held by the dispatcher
  office.stop_delivery(AttemptUnapproved{"approved by nobody"});
  office.options.verb = CommandLine::Verb::approve;
  office.options.document = "bs-1";
  office.options.key = office.operator_key("ann");
  CHECK(decide(office.config, office.options, office.clock, office.out).error().code() ==
        Errc::conflict);  // its body needs no approval

  Office needing;
  needing.body = R"({"approval":"manual"})";
  needing.put_document(DocumentState::approved);
  needing.options = office.options;
  needing.options.key = needing.operator_key("ann");
  CHECK(decide(needing.config, needing.options, needing.clock, needing.out).error().code() ==
        Errc::conflict);  // not held
  needing.stop_delivery(AttemptUnapproved{"approved by nobody"});
  REQUIRE(decide(needing.config, needing.options, needing.clock, needing.out) == kExitOk);
  CHECK_FALSE(decide(needing.config, needing.options, needing.clock, needing.out));

  needing.options.reason = "approved now";
  REQUIRE(requeue(needing.config, needing.options, needing.clock, needing.out) == kExitOk);
  CHECK(open_store(needing.config).value()->list_deliveries({}).value().front().state ==
        DeliveryState::retry);
}

TEST_CASE("a list of documents looks each delivery up, and goes through none") {
  constexpr size_t kDocuments = 200;
  const auto database = make_memory_database();
  const auto store = open_memory_store(database);
  CommercialChanges changes;
  for (size_t i = 0; i < kDocuments; ++i) {
    DocumentRow row;
    row.id = "bs-" + std::to_string(1000 + i);
    row.connector = "tryton";
    row.state = i % 2 == 0 ? DocumentState::approved : DocumentState::waiting_approval;
    row.body = "{}";
    changes.documents.push_back({row, 0});
    if (i % 2 == 0) changes.deliveries.push_back(new_delivery(row, Timestamp(1)));
  }
  REQUIRE(store->put_documents(changes));
  const uint64_t before = entries_read(*database);
  CommandLine options;
  options.json = true;
  std::ostringstream out;

  REQUIRE(documents(*store, options, out));

  CHECK(entries_read(*database) - before < 5 * kDocuments);
  const Json list = parse_json(out.str()).value();
  REQUIRE(list.items().size() == kDocuments);
  CHECK(list.items().front().find("delivery") != nullptr);
  CHECK(list.items().back().find("delivery") == nullptr);
}

TEST_CASE("documents are listed and shown, for people and for programs") {
  Office office;
  office.put_document(DocumentState::approved);
  REQUIRE(documents(office.config, office.options, office.out));
  CHECK_THAT(office.out.str(), Catch::Contains("bs-1  aqua-2026") && Catch::Contains("12.77 EUR"));

  office.out.str("");
  office.options.json = true;
  REQUIRE(documents(office.config, office.options, office.out));
  const Json list = parse_json(office.out.str()).value();
  CHECK(list.items().front().find("delivery")->find("state")->text() == "pending");

  office.out.str("");
  office.options.document = "bs-1";
  REQUIRE(documents(office.config, office.options, office.out));
  CHECK(parse_json(office.out.str()).value().find("body")->find("lines")->items().size() == 1);
  office.options.document = "bs-2";
  const auto absent = documents(office.config, office.options, office.out);
  REQUIRE_FALSE(absent);
  CHECK(exit_code_of(absent.error()) == kExitNoInput);
}

TEST_CASE("only a delivery that stands still is tried again by hand") {
  Office office;
  office.put_document(DocumentState::approved);
  office.options.document = "bs-1";
  const auto refused = requeue(office.config, office.options, office.clock, office.out);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().text(), Catch::Contains("the delivery is pending"));
  office.reject_delivery("no party C-9");
  REQUIRE(documents(office.config, office.options, office.out));
  CHECK_THAT(office.out.str(), Catch::Contains("delivery rejected after 1 attempts: no party C-9"));
  office.options.verb = CommandLine::Verb::requeue;
  office.options.reason = "party made";
  office.options.key = office.operator_key("ann");
  REQUIRE(requeue(office.config, office.options, office.clock, office.out) == kExitOk);
  const auto store = open_store(office.config).value();
  CHECK(store->list_deliveries({}).value().front().state == DeliveryState::retry);
  const ExceptionRow row = store->list_exceptions({}).value().at(0);
  CHECK(store->exception_actions(row.id).value().at(0).by == "ann");
  CHECK(store->statement_count(LeafKind::exception_action) == 1);
}

/// One batch in the log, its leaf damaged on disk.
void put_damaged_leaf(const CollectorConfig& config) {
  NewStream stream;
  stream.grant.tenant = "demo";
  stream.grant.device = "d";
  DeviceEnrolment enrolment{.tenant = "demo", .device = "d", .streams = {stream}};
  AdmitChange change{.stream = stream.grant.stream, .expected_revision = 1};
  change.links = {{.number = 1, .id = {}, .sealed = Bytes(64, 5)}};
  {
    auto store = open_store(config).value();
    REQUIRE(store->put_device(enrolment));
    REQUIRE(store->admit(std::span(&change, 1)));
  }
  auto env =
      io::LmdbEnv::open({.folder = config.store_folder(), .map_size_bytes = config.map_size_bytes});
  auto txn = env->begin_write();
  const Key leaf = Key(Table::leaf).u64(0);
  Bytes value = copy_of(**txn->get(leaf));
  value[value.size() / 2] ^= 1;
  REQUIRE(txn->put(leaf, value));
  REQUIRE(txn->commit());
}

UsageDelta usage_delta(SeriesId series, const char* time, int64_t value) {
  UsageDelta out{.series = series, .quarter = QuarterHour::of(*parse_rfc3339(time))};
  out.earliest = out.quarter.start();
  out.value.add(value, {.time_ms = out.earliest.unix_ms(), .stream = {}, .seq = 1});
  out.leaves = {0};
  return out;
}

/// Requests of two subjects and bytes of one over two days, and a level.
void put_usage(const CollectorConfig& config) {
  NewStream stream;
  stream.grant.tenant = "demo";
  stream.grant.device = "d";
  DeviceEnrolment enrolment{.tenant = "demo", .device = "d", .streams = {stream}};
  AdmitChange change{.stream = stream.grant.stream, .expected_revision = 1};
  change.links = {{.number = 1, .id = {}, .sealed = Bytes(64, 5)}};
  auto store = open_store(config).value();
  REQUIRE(store->put_device(enrolment));
  REQUIRE(store->admit(std::span(&change, 1)));
  const SeriesKey ok{.tenant = "demo",
                     .device = "d",
                     .subject = "aqua",
                     .meter = "api.requests",
                     .unit = "1",
                     .dimensions = {{"status", "200"}}};
  SeriesKey other_status = ok;
  other_status.dimensions = {{"status", "404"}};
  SeriesKey other_subject = ok;
  other_subject.subject = "terra";
  SeriesKey volume = ok;
  volume.meter = "data.volume";
  volume.unit = "GB";
  volume.scale = 6;
  SeriesKey level = volume;
  level.meter = "level";
  level.kind = MeterKind::gauge;
  FoldChanges changes{.cursor_before = 0, .cursor_after = 1};
  changes.new_series = {{1, ok}, {2, other_status}, {3, other_subject}, {4, volume}, {5, level}};
  changes.usage = {usage_delta(1, "2026-11-19T23:45:00Z", 5),
                   usage_delta(1, "2026-11-20T00:00:00Z", 7),
                   usage_delta(2, "2026-11-20T00:15:00Z", 11),
                   usage_delta(3, "2026-11-20T01:00:00Z", 13),
                   usage_delta(4, "2026-11-20T00:00:00Z", 9'007'199'254'740'993),
                   usage_delta(5, "2026-11-20T00:00:00Z", 500'000)};
  REQUIRE(store->fold(changes));
}

std::string lines_of(const Office& office) {
  std::string out;
  const Json rows = parse_json(office.out.str()).value();
  for (const Json& row : rows.items()) {
    out += row.find("from")->text().substr(0, 16) + " " + row.find("meter")->text() + " " +
           row.find("subject")->text() + " " + row.find("readings")->text() + " " +
           (row.find("sum") != nullptr ? row.find("sum")->text()
                                       : "last " + row.find("last")->text()) +
           "; ";
  }
  return out;
}

TEST_CASE("usage adds up quarter hours in UTC, exactly, over all dimensions") {
  Office office;
  put_usage(office.config);
  office.options.json = true;
  struct Case {
    const char* by;
    const char* meter;
    const char* from;
    const char* until;
    const char* lines;
  };
  const Case cases[] = {
      {"day", "api.requests", "", "",
       "2026-11-19T00:00 api.requests aqua 1 5; 2026-11-20T00:00 api.requests aqua 2 18; "
       "2026-11-20T00:00 api.requests terra 1 13; "},
      {"hour", "api.requests", "2026-11-20", "",
       "2026-11-20T00:00 api.requests aqua 2 18; 2026-11-20T01:00 api.requests terra 1 13; "},
      {"quarter", "api.requests", "2026-11-20", "2026-11-20T00:15:00Z",
       "2026-11-20T00:00 api.requests aqua 1 7; "},
      {"day", "data.volume", "", "", "2026-11-20T00:00 data.volume aqua 1 9007199254.740993; "},
      {"day", "level", "", "", "2026-11-20T00:00 level aqua 1 last 0.500000; "},
      {"day", "nothing", "", "", ""},
  };
  for (const Case& c : cases) {
    INFO(c.by);
    office.out.str("");
    office.options.by = c.by;
    office.options.meter = c.meter;
    office.options.from = c.from;
    office.options.until = c.until;
    REQUIRE(usage(office.config, office.options, office.out));
    CHECK(lines_of(office) == c.lines);
  }
  office.options.from = "2026-11-20T00:10:00Z";
  CHECK_FALSE(usage(office.config, office.options, office.out));
  office.options = {};
  office.options.by = "day";
  office.options.subject = "terra";
  office.out.str("");
  REQUIRE(usage(office.config, office.options, office.out));
  CHECK_THAT(office.out.str(), Catch::Contains("terra") && !Catch::Contains("aqua"));
}

TEST_CASE("status says where damage has stopped the fold") {
  Office office;
  put_damaged_leaf(office.config);

  REQUIRE(status(office.config, office.options, office.clock, office.out));
  CHECK_THAT(office.out.str(), Catch::Contains("fold: stopped at leaf 0: "));

  office.out.str("");
  office.options.json = true;
  REQUIRE(status(office.config, office.options, office.clock, office.out));
  CHECK_THAT(parse_json(office.out.str()).value().find("fold_error")->text(),
             Catch::StartsWith("stopped at leaf 0: "));
}

}  // namespace
}  // namespace ledgerline::collector
