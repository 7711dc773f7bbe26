#include "agent/ops/diag.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "agent/journal/table_sizes.h"
#include "common/certificate.h"
#include "common/io/system.h"
#include "tests/unit/agent/ops/fake_collector.h"

namespace ledgerline::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kInputs = {"file", "http", "prometheus", "statsd"};
constexpr const char* kToken = "sk_live_4f9a81c2d7";
constexpr const char* kSubject = "patient-zero";
constexpr int64_t kValue = 987654321;

const std::string kConfig = R"(tenant = "demo"
device = "gw-1"
state = "state"

[broker]
host = "broker.example"

[journal]
quota = "4MiB"

[[input.prometheus]]
url = "http://scrape:sk_live_4f9a81c2d7@127.0.0.1:9100/metrics?token=sk_live_4f9a81c2d7"
interval = "10s"

[[input.prometheus.metric]]
name = "sk_live_4f9a81c2d7"
meter = "web.requests"

[[meter]]
name = "web.requests"
unit = "1"
kind = "delta"
)";

class FixedClock final : public Clock {
 public:
  Timestamp now() override { return Timestamp(1'800'000'000'000); }
  Monotonic monotonic() override { return {1'000}; }
};

/// A device in a folder of its own, with its configuration as text.
class Device {
 public:
  explicit Device(std::string text = kConfig) : text_(std::move(text)) {
    char folder[] = "/tmp/ledgerline-diag-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    folder_ = folder;
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() { fs::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  [[nodiscard]] Result<AgentConfig> config() const {
    return parse_config(text_, path("agent.toml"), kInputs);
  }

  /// Enrolled, with a journal that holds one reading of a subject and a line of its idempotency
  /// key.
  void meter_something() {
    const AgentConfig own = *config();
    DeviceKeys keys = *load_or_make_keys(own);
    const Enrolled enrolled = *install_answer(
        FakeCollector().answer(*make_request(own, keys, clock.now(), "")), own, keys, {});
    auto journal = *Journal::open(journal_options(own, StreamClass::billing), clock);
    REQUIRE(journal->install_grant(enrolled.grant, enrolled.grant_body).has_value());
    const auto meters = journal->begin_boot({.boot_id = {},
                                             .software = "test",
                                             .configuration_hash = own.hash,
                                             .meters = own.meters,
                                             .clocks = {.wall = clock.now()}});
    REQUIRE(meters.has_value());
    RecordRequest request;
    request.items.push_back({.reading = {.meter = meters->front().number,
                                         .subject = kSubject,
                                         .time_ms = 1'800'000'000'000,
                                         .value = kValue},
                             .key = kToken});
    request.bookmark =
        Bookmark{.name = "file:/var/log/app.log", .value = {'p', 'l', 'a', 'c', 'e'}};
    const auto recorded = journal->record(std::span(&request, 1));
    REQUIRE((recorded && recorded->front()));
    REQUIRE(*journal->seal(SealWhen::now, *keys.signer) == 1);
  }

  /// The whole archive's bytes.
  std::string archive() {
    CommandLine options;
    options.out = path("support.tar");
    const auto code = diag(config(), options, clock, said);
    REQUIRE(code.has_value());
    REQUIRE(*code == 0);
    return *io::read_file(options.out);
  }

  FixedClock clock;
  std::ostringstream said;

 private:
  std::string text_;
  std::string folder_;
};

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// Names of the files in a tar archive, in its order.
std::vector<std::string> names_in(const std::string& archive) {
  std::vector<std::string> out;
  for (size_t at = 0; at + 512 <= archive.size() && archive[at] != '\0';) {
    out.emplace_back(archive.c_str() + at);
    const size_t size = std::stoul(archive.substr(at + 124, 11), nullptr, 8);
    at += 512 + (size + 511) / 512 * 512;
  }
  return out;
}

TEST_CASE("the archive holds its parts in one order, with mode 0600") {
  Device device;
  device.meter_something();

  const std::string archive = device.archive();

  const std::vector<std::string> missing_where_nothing_runs = {"metrics.txt", "memory.txt"};
  std::vector<std::string> expected = {"contents.txt", "about.txt",   "config.txt",   "check.txt",
                                       "status.json",  "journal.txt", "identity.txt", "clock.txt",
                                       "disk.txt",     "system.txt",  "log.txt"};
  for (std::string& name : expected) name = "ledgerline-agent-diag/" + name;
  CHECK(names_in(archive) == expected);
  for (const std::string& name : missing_where_nothing_runs)
    CHECK(holds(archive, name));  // and why, in contents.txt
  CHECK(holds(archive, "MISSING: "));
  struct stat info {};
  REQUIRE(::stat(device.path("support.tar").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("the archive says what support needs") {
  Device device;
  device.meter_something();

  const std::string archive = device.archive();

  for (const char* part :
       {"commit_interval = 0 ms", "host = broker.example", "[input.prometheus]", "interval = 10s",
        "left out here: metric, url", "\"head_batch\":1", "\"enrolled\":true", "batch: 1 entries",
        "fresh keys: 1 entries", "bookmark: 1 entries", "device key id ", "collector key id ",
        "wall 2027-01-15T08:00:00.000Z", "keys/signing.pem", "journalctl -u ledgerline-agent",
        "configuration is in order"}) {
    INFO(part);
    CHECK(holds(archive, part));
  }
}

TEST_CASE("no secret and nothing that was metered is in the archive") {
  Device device;
  device.meter_something();
  const AgentConfig config = *device.config();
  std::vector<std::string> secrets = {kToken, kSubject, std::to_string(kValue), "987654.321"};
  for (const char* file : {"/keys/signing.pem", "/keys/tls.pem"}) {
    std::istringstream pem(*io::read_file(config.state + file));
    for (std::string row; std::getline(pem, row);) {
      if (!row.starts_with("-----")) secrets.push_back(row);
    }
    secrets.push_back("PRIVATE KEY");
  }
  REQUIRE(secrets.size() >= 8);

  const std::string archive = device.archive();

  for (const std::string& secret : secrets) {
    INFO(secret);
    CHECK_FALSE(holds(archive, secret));
  }
  CHECK_FALSE(holds(device.said.str(), kToken));
}

TEST_CASE("a configuration that cannot be read is named by its place, without what it quotes") {
  Device device(
      "tenant = \"demo\"\ndevice = \"gw-1\"\nstate = \"s\"\nsk = \"sk_live_4f9a81c2d7\"\n"
      "[broker]\nhost = \"h\"\n[batch]\nsections = \"sk_live_4f9a81c2d7\"\n");

  const std::string archive = device.archive();

  CHECK(holds(archive, "agent.toml:8:1"));
  CHECK_FALSE(holds(archive, kToken));
  CHECK(names_in(archive).size() == 5);  // contents, about, clock, system, log
}

TEST_CASE("a device that is not enrolled, or whose journal is damaged, still gets its archive") {
  Device fresh;
  CHECK(holds(fresh.archive(), "there are no keys yet"));

  Device damaged;
  damaged.meter_something();
  {
    std::fstream file(damaged.config()->journal_folder() + "/data.mdb",
                      std::ios::in | std::ios::out | std::ios::binary);
    file.write(std::string(16'384, 'x').data(), 16'384);
  }
  const std::string archive = damaged.archive();
  CHECK(holds(archive, "status.json: "));
  CHECK(holds(archive, "the database cannot be opened"));
  CHECK(holds(archive, "device key id "));
}

TEST_CASE("a journal that was cut short does not end the archive") {
  Device device;
  device.meter_something();
  fs::resize_file(device.config()->journal_folder() + "/data.mdb", 8192);

  const std::string archive = device.archive();

  CHECK(holds(archive, "status.json: "));
  CHECK(holds(archive, "MISSING: reading it ended the process that tried"));
  CHECK(holds(archive, "device key id "));
}

TEST_CASE("of a status only listed members leave, wherever they stand") {
  const Json status = *parse_json(
      R"({"next_seq":5,"totals":[{"meter":"m","total":"9"}],"token":"t","uplink":{"failure":"f","x":"t"},
          "inputs":{"file":[{"path":"/a","newest_bad":[{"line":"secret"}]}],
                    "prometheus":[{"url":"http://u:p@h/","state":"ok"}],"http":{"a":1}}})");

  CHECK(
      allowed_status(status).dump() ==
      R"({"next_seq":5,"uplink":{"failure":"f"},"inputs":{"file":[{"path":"/a"}],"prometheus":[{"state":"ok"}]}})");
}

TEST_CASE(
    "a status tells why nothing is sent: whether the clock is believed, and the last errors") {
  const std::string clock =
      R"({"clock":{"believed":false,"why":"impossible","seconds":7,"waiting":42,"not_before":"2027-01-15T08:00:00.000Z"}})";
  CHECK(allowed_status(*parse_json(clock)).dump() == clock);

  Device device;
  device.meter_something();
  CHECK(holds(device.archive(), R"("clock":{"believed":true)"));

  const Json status = *parse_json(
      R"({"uplink":{"failure":"no \"sk\" here","alarm":"'sk'"},
          "diagnostic":{"uplink":{"failure":"to \"sk\"","alarm":"\"sk"}},
          "inputs":{"file":[{"path":"/a","problem":"line \"sk\" of\u001b[2J"}]}})");
  CHECK(
      allowed_status(status).dump() ==
      R"({"uplink":{"failure":"no \"...\" here","alarm":"'...'"},"diagnostic":{"uplink":{"failure":"to \"...\"","alarm":"\"..."}},"inputs":{"file":[{"path":"/a","problem":"line \"...\" of\\u001b[2J"}]}})");
}

TEST_CASE("of metrics only our own without labels leave") {
  CHECK(allowed_metrics("# TYPE ledgerline_agent_a counter\nledgerline_agent_a 1\n"
                        "ledgerline_agent_b{file=\"/x\"} 2\nother 3\nledgerline_agent_c 4") ==
        "ledgerline_agent_a 1\nledgerline_agent_c 4");
  CHECK(allowed_metrics("").empty());
}

TEST_CASE("a message loses what it quotes") {
  CHECK(unquoted("a.toml:3:1: kind is \"x\", not \"sk\" (file=b)") ==
        "a.toml:3:1: kind is \"...\", not \"...\" (file=b)");
  CHECK(unquoted("open 'secret") == "open '...");
  CHECK(unquoted("this device's key, 'sk'") == "this device's key, '...'");
  CHECK(unquoted("line 'it's sk' of a") == "line '...' of a");
}

TEST_CASE("a part that is too long is cut, and contents.txt says so") {
  const auto files = diag_files({{"a.txt", "what", std::string(20, 'a')}}, 8);
  REQUIRE(files.size() == 2);
  CHECK(files[1].content == "aaaaaaaa");
  CHECK(holds(files[0].content, "cut at 8 bytes"));
}

TEST_CASE("a certificate tells its names and dates") {
  const auto facts = certificate_facts(R"(-----BEGIN CERTIFICATE-----
MIIBYTCCAQegAwIBAgICRxEwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEZ3ctMTAe
Fw0yNjExMjEyMjEzMjJaFw0zNjExMTgyMjEzMjJaMA8xDTALBgNVBAMMBGd3LTEw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS2S4hQcdvtizbczZ7RMqmdmy74uixa
l+HUSrzkLax6L+fPRbIV5B7I08IoRj1kmkuJaIp3so72GdyNQrkwPhZVo1MwUTAd
BgNVHQ4EFgQUV/0p5mq+wKspU3j1H7WI+2bcz2gwHwYDVR0jBBgwFoAUV/0p5mq+
wKspU3j1H7WI+2bcz2gwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBF
AiB17AZNgPJRYAxM/ORDXyVd5bGmW8OG2JEfhOGPjaPIJgIhAMohqXNiBvfO1xc+
zt0zEvsrvAfXxjX0c6QOY5D72pH5
-----END CERTIFICATE-----
)");
  REQUIRE(facts.has_value());
  CHECK(facts->subject == "CN = gw-1");
  CHECK(facts->issuer == "CN = gw-1");
  CHECK(facts->serial == "4711");
  CHECK(facts->not_before == "Nov 21 22:13:22 2026 GMT");
  CHECK(facts->not_after == "Nov 18 22:13:22 2036 GMT");
  CHECK(facts->fingerprint == "20914c92f20e747765b6be199e62d02838ff1c105ca19595c27d99d8bb9aceca");
  CHECK(certificate_facts("none").error().code() == Errc::reject);
}

}  // namespace
}  // namespace ledgerline::agent
