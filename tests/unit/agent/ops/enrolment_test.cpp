#include "agent/ops/enrolment.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "agent/journal/journal.h"
#include "agent/ops/command_line.h"
#include "agent/ops/commands.h"
#include "common/check.h"
#include "common/io/system.h"
#include "common/json.h"
#include "tests/unit/agent/ops/fake_collector.h"

namespace ledgerline::agent {
namespace {

namespace fs = std::filesystem;

class FixedClock final : public Clock {
 public:
  Timestamp now() override { return Timestamp(1'800'000'000'000); }
  Monotonic monotonic() override { return {1'000}; }
};

/// A device's state folder.
class Device {
 public:
  explicit Device(const std::string& name = "app-1") {
    char folder[] = "/tmp/ledgerline-enrol-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    folder_ = folder;
    config = *parse_config(
        "tenant = \"demo\"\ndevice = \"" + name +
            "\"\nstate = \"state\"\n[broker]\nhost = \"127.0.0.1\"\n[journal]\nquota = \"4MiB\"\n",
        folder_ + "/agent.toml", {});
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() { fs::remove_all(folder_); }

  DeviceKeys keys() const { return std::move(*load_or_make_keys(config)); }
  std::string request() {
    auto own = keys();
    return *make_request(config, own, clock.now(), "");
  }
  std::string text(const std::string& file) const {
    return *io::read_file(config.state + "/" + file);
  }
  JournalOptions journal() const {
    return {
        .folder = config.journal_folder(), .retention = config.retention, .batch = config.batch};
  }

  AgentConfig config;
  FixedClock clock;

 private:
  std::string folder_;
};

unsigned mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

TEST_CASE("keys are made once, for their owner only") {
  const Device device;

  const KeyId first = device.keys().signer->public_key().id();

  CHECK(mode_of(device.config.keys_folder() + "/signing.pem") == 0600);
  CHECK(mode_of(device.config.keys_folder() + "/tls.pem") == 0600);
  CHECK(mode_of(device.config.keys_folder()) == 0700);
  CHECK(device.keys().signer->public_key().id() == first);
  CHECK(device.keys().signer->public_key().algorithm() == KeyAlgorithm::ed25519);
}

TEST_CASE("a key that others may read is not used") {
  const Device device;
  (void)device.keys();
  REQUIRE(::chmod((device.config.keys_folder() + "/signing.pem").c_str(), 0640) == 0);

  const auto keys = load_keys(device.config);

  REQUIRE_FALSE(keys);
  CHECK(keys.error().code() == Errc::config);
}

TEST_CASE("a damaged key is told with its file and never replaced") {
  const Device device;
  (void)device.keys();
  REQUIRE(io::write_file_durably(device.config.keys_folder() + "/signing.pem", "not a key", 0600));

  const auto keys = load_or_make_keys(device.config);

  REQUIRE_FALSE(keys);
  CHECK(keys.error().text().find("signing.pem") != std::string::npos);
  CHECK(device.text("keys/signing.pem") == "not a key");
}

TEST_CASE("request, answer and installation make an enrolled device") {
  Device device;
  FakeCollector collector;
  CHECK(load_enrolment(device.config, device.keys()).error().code() == Errc::not_found);

  const std::string answer = collector.answer(device.request());
  const auto installed = install_answer(answer, device.config, device.keys(), {});

  REQUIRE(installed);
  CHECK(device.text("enrolment.pem") == answer);
  CHECK(device.text("certificate.pem").starts_with("-----BEGIN CERTIFICATE-----"));
  CHECK(device.text("ca.pem").starts_with("-----BEGIN CERTIFICATE-----"));
  const auto loaded = load_enrolment(device.config, device.keys());
  REQUIRE(loaded);
  CHECK(loaded->collector_key.id() == collector.key_id());
  CHECK(loaded->grant.partition == 3);
  CHECK(loaded->grant_body == installed->grant_body);
}

TEST_CASE("an answer that does not fit is refused and leaves nothing behind") {
  struct Case {
    const char* what;
    FakeCollector::Fault fault;
    const char* words;
  };
  const Case cases[] = {
      {"another tenant", {.tenant = "other", .grant_device = ""}, "other/app-1"},
      {"a grant for another device", {.tenant = "", .grant_device = "app-2"}, "app-2"},
      {"a certificate for another key",
       {.tenant = "", .grant_device = "", .other_certificate = true},
       "another TLS key"},
      {"a grant for another key",
       {.tenant = "", .grant_device = "", .other_grant_key = true},
       "another signing key"},
      {"a grant that another key signed",
       {.tenant = "", .grant_device = "", .foreign_grant_signature = true},
       ""},
      {"no grant", {.tenant = "", .grant_device = "", .no_grant = true}, "grants"},
      {"a broken signature", {.tenant = "", .grant_device = "", .broken_signature = true}, ""},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Device device;
    FakeCollector collector;
    const auto installed = install_answer(collector.answer(device.request(), c.fault),
                                          device.config, device.keys(), {});
    REQUIRE_FALSE(installed);
    INFO(installed.error().text());
    CHECK(installed.error().text().find(c.words) != std::string::npos);
    CHECK_FALSE(fs::exists(device.config.state + "/enrolment.pem"));
    CHECK_FALSE(fs::exists(device.config.state + "/certificate.pem"));
  }
  Device device;
  (void)device.keys();
  for (const char* text :
       {"", "hello",
        "-----BEGIN LEDGERLINE ENROLMENT-----\nAAAA\n-----END LEDGERLINE ENROLMENT-----\n"}) {
    INFO(text);
    CHECK_FALSE(install_answer(text, device.config, device.keys(), {}));
  }
}

TEST_CASE("an answer for another device's keys is refused") {
  Device one;
  Device clone;
  FakeCollector collector;

  CHECK_FALSE(install_answer(collector.answer(one.request()), clone.config, clone.keys(), {}));
}

TEST_CASE("another collector's key replaces the pinned one only when told") {
  Device device;
  FakeCollector first;
  FakeCollector second;
  REQUIRE(install_answer(first.answer(device.request()), device.config, device.keys(), {}));

  const auto refused =
      install_answer(second.answer(device.request()), device.config, device.keys(), {});

  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::conflict);
  CHECK(load_enrolment(device.config, device.keys())->collector_key.id() == first.key_id());
  CHECK(install_answer(first.answer(device.request()), device.config, device.keys(), {}));
  REQUIRE(install_answer(second.answer(device.request()), device.config, device.keys(),
                         {.replace = true}));
  CHECK(load_enrolment(device.config, device.keys())->collector_key.id() == second.key_id());
}

TEST_CASE("a new stream moves the old journal aside, and only when told") {
  Device device;
  FakeCollector collector;
  const auto first =
      install_answer(collector.answer(device.request()), device.config, device.keys(), {});
  REQUIRE(first);
  {
    auto journal = Journal::open(device.journal(), device.clock);
    REQUIRE(journal);
    REQUIRE((*journal)->install_grant(first->grant, first->grant_body));
  }
  const std::string next =
      collector.answer(device.request(), {.tenant = "", .grant_device = "", .stream = 9});

  CHECK(install_answer(next, device.config, device.keys(), {}).error().code() == Errc::conflict);
  {
    const auto running = Journal::open(device.journal(), device.clock);
    REQUIRE(running);
    CHECK_FALSE(install_answer(next, device.config, device.keys(), {.replace = true}));
  }
  REQUIRE(install_answer(next, device.config, device.keys(), {.replace = true}));

  CHECK_FALSE(fs::exists(device.config.journal_folder()));
  CHECK(fs::exists(device.config.journal_folder() + "." + first->grant.stream.hex()));
}

TEST_CASE("a device with a diagnostic meter is enrolled for both streams at once") {
  Device device;
  device.config.diagnostic_meters = {"noise"};
  FakeCollector collector;

  const auto enrolled =
      install_answer(collector.answer(device.request()), device.config, device.keys(), {});

  REQUIRE(enrolled);
  CHECK(collector.classes ==
        std::vector<StreamClass>{StreamClass::billing, StreamClass::diagnostic});
  REQUIRE(enrolled->diagnostic);
  CHECK(enrolled->diagnostic->grant.stream_class == StreamClass::diagnostic);
  CHECK(enrolled->diagnostic->grant.stream != enrolled->grant.stream);
}

TEST_CASE("an enrolled device that gets a diagnostic meter asks for that stream alone") {
  Device device;
  FakeCollector collector;
  REQUIRE(install_answer(collector.answer(device.request()), device.config, device.keys(), {}));
  CHECK(collector.classes == std::vector<StreamClass>{StreamClass::billing});
  device.config.diagnostic_meters = {"noise"};

  const auto enrolled =
      install_answer(collector.answer(device.request()), device.config, device.keys(), {});

  CHECK(collector.classes == std::vector<StreamClass>{StreamClass::diagnostic});
  CHECK_FALSE(collector.reason.empty());
  REQUIRE(enrolled);
  CHECK(enrolled->diagnostic);
  // Whoever gives a reason begins anew, with both.
  auto keys = device.keys();
  collector.answer(*make_request(device.config, keys, Timestamp(), "rolled back"));
  CHECK(collector.classes.size() == 2);
}

TEST_CASE("a new diagnostic stream moves its own journal aside, and leaves the billing one") {
  Device device;
  device.config.diagnostic_meters = {"noise"};
  FakeCollector collector;
  const std::string request = device.request();
  const auto first = install_answer(collector.answer(request), device.config, device.keys(), {});
  REQUIRE(first);
  FixedClock clock;
  for (const StreamClass each : {StreamClass::billing, StreamClass::diagnostic}) {
    auto options = device.journal();
    options.folder = device.config.journal_folder(each);
    auto journal = Journal::open(options, clock);
    REQUIRE(journal);
    const bool billing = each == StreamClass::billing;
    REQUIRE((*journal)->install_grant(billing ? first->grant : first->diagnostic->grant,
                                      billing ? first->grant_body : first->diagnostic->grant_body));
  }
  const std::string answer =
      collector.answer(request, FakeCollector::Fault{.diagnostic_stream = 77});

  CHECK(install_answer(answer, device.config, device.keys(), {}).error().code() == Errc::conflict);
  REQUIRE(install_answer(answer, device.config, device.keys(), {.replace = true}));

  CHECK(fs::exists(device.config.journal_folder()));
  CHECK_FALSE(fs::exists(device.config.journal_folder(StreamClass::diagnostic)));
}

TEST_CASE("a replacement that is cut short never leaves the old stream without its journal") {
  Device device;
  FakeCollector collector;
  const auto first =
      install_answer(collector.answer(device.request()), device.config, device.keys(), {});
  REQUIRE(first);
  {
    auto journal = Journal::open(device.journal(), device.clock);
    REQUIRE(journal);
    REQUIRE((*journal)->install_grant(first->grant, first->grant_body));
  }
  const std::string next =
      collector.answer(device.request(), {.tenant = "", .grant_device = "", .stream = 9});
  // Stands in for the power cut: the new enrolment cannot be written.
  const std::string in_the_way = device.config.state + "/certificate.pem";
  fs::remove(in_the_way);
  fs::create_directories(in_the_way + "/x");
  REQUIRE_FALSE(install_answer(next, device.config, device.keys(), {.replace = true}));
  CHECK(fs::exists(device.config.journal_folder()));
  fs::remove_all(in_the_way);

  // The name that the old journal would get is taken, as after an earlier replacement.
  const std::string aside = device.config.journal_folder() + "." + first->grant.stream.hex();
  fs::create_directories(aside + "/x");
  REQUIRE(install_answer(next, device.config, device.keys(), {.replace = true}));

  CHECK_FALSE(fs::exists(device.config.journal_folder()));
  CHECK(fs::exists(aside + ".2"));
}

TEST_CASE("the commands tell a newcomer what is next") {
  Device device;
  FakeCollector collector;
  CommandLine options;
  std::ostringstream out;

  REQUIRE(*check(device.config, options, out) == 0);
  CHECK(out.str().find("there are no keys yet: run ledgerline-agent enroll") != std::string::npos);
  out.str("");
  CHECK(*status(device.config, options, out) == 69);

  out.str("");
  REQUIRE(*enroll(device.config, options, device.clock, out) == 0);
  CHECK(out.str().find("ledgerline-collector enroll") != std::string::npos);
  const std::string answer_file = device.config.folder + "/answer.pem";
  REQUIRE(
      io::write_file_durably(answer_file, collector.answer(device.text("enrolment-request.pem"))));
  options.answer = answer_file;
  out.str("");
  REQUIRE(*enroll(device.config, options, device.clock, out) == 0);
  CHECK(out.str().find(collector.key_id().hex()) != std::string::npos);

  out.str("");
  REQUIRE(*check(device.config, options, out) == 0);
  CHECK(out.str().find("journal    will be made") != std::string::npos);
  { REQUIRE(Journal::open(device.journal(), device.clock)); }
  out.str("");
  options.json = true;
  REQUIRE(*status(device.config, options, out) == 0);
  const auto report = parse_json(out.str());
  REQUIRE(report);
  CHECK(report->find("running")->as_bool() == false);
  CHECK(report->find("next_seq")->text() == "1");
  CHECK(record(device.config, options, out).error().code() == Errc::config);
}

TEST_CASE("an installed answer without keys says what to do") {
  Device device;
  CommandLine options;
  options.answer = device.config.folder + "/answer.pem";
  REQUIRE(io::write_file_durably(options.answer, "x"));
  std::ostringstream out;

  const auto code = enroll(device.config, options, device.clock, out);

  REQUIRE_FALSE(code);
  CHECK(exit_code_of(code.error()) == 66);
  CHECK(code.error().text().find("ledgerline-agent enroll") != std::string::npos);
}

TEST_CASE("a recorded reading is posted as a CloudEvent") {
  CommandLine options;
  options.meter = "api.requests";
  options.value = "2.50";
  options.subject = "aqua";
  options.dimensions = {"route=/a=b", "zone=1"};

  CHECK(
      *event_of(options, "id-1") ==
      R"({"specversion":"1.0","type":"api.requests","source":"ledgerline-agent/record","id":"id-1","subject":"aqua","data":{"value":"2.50","route":"/a=b","zone":"1"}})");
  for (const char* bad : {"route", "=x", "value=3", "unit=kWh", "zone=2"}) {
    INFO(bad);
    options.dimensions = {"zone=1", bad};
    CHECK_FALSE(event_of(options, "id-1"));
  }
}

TEST_CASE("the command line is read, and a mistake is a usage error") {
  const auto parse = [](std::vector<const char*> words) {
    words.insert(words.begin(), "ledgerline-agent");
    return parse_command_line(static_cast<int>(words.size()), words.data());
  };
  CHECK(parse({"run"})->config == "/etc/ledgerline/agent.toml");
  CHECK(parse({"run", "--config", "x.toml"})->config == "x.toml");
  CHECK(parse({"status", "--json"})->json);
  CHECK(parse({"enroll", "--answer", "a.pem", "--replace"})->replace);
  const auto recorded = parse({"record", "--dimension", "a=1", "m", "5", "--dimension", "b=2"});
  REQUIRE(recorded);
  CHECK(recorded->meter == "m");
  CHECK(recorded->value == "5");
  CHECK(recorded->dimensions == std::vector<std::string>{"a=1", "b=2"});
  for (const auto& bad :
       std::vector<std::vector<const char*>>{{},
                                             {"rnu"},
                                             {"run", "--confg", "x"},
                                             {"record", "m"},
                                             {"enroll", "--replace"},
                                             {"enroll", "--out", "a", "--answer", "b"}}) {
    const auto parsed = parse(bad);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == 64);
    CHECK_FALSE(parsed.error().text.empty());
  }
  for (const char* verb : {"run", "check", "status", "enroll", "record"}) {
    const auto help = parse({verb, "--help"});
    REQUIRE_FALSE(help);
    CHECK(help.error().code == 0);
    CHECK(help.error().text.find("Example:") != std::string::npos);
  }
}

}  // namespace
}  // namespace ledgerline::agent
