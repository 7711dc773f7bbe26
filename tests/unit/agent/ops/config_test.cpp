#include "agent/ops/config.h"

#include <array>
#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

constexpr std::array<std::string_view, 2> kInputs = {"http", "host"};

const std::string kGood = R"(tenant = "demo"
device = "app-1"
state = "state"

[broker]
host = "127.0.0.1"
port = 8884

[journal]
quota = "64MiB"
commit_interval = "2ms"
idempotency_window = "2d"

[batch]
readings_max = 500
age_max = "1s"
sections = "by_subject"

[heartbeat]
interval = "1s"
lateness = "3s"

[input.http]
socket = "agent.sock"
listen = "127.0.0.1:8787"

[input.host]
interval = "10s"

[[meter]]
name = "api.requests"
unit = "1"
kind = "delta"

[[meter]]
name = "water.volume"
unit = "m3"
kind = "register"
scale = 3
class = "billing"
id = "forward"
version = 4
)";

Result<AgentConfig> parse(const std::string& text) {
  return parse_config(text, "/etc/ledgerline/agent.toml", kInputs);
}

TEST_CASE("a diagnostic meter has a journal with a quota of its own") {
  std::string text = kGood;
  const std::string_view billing = "class = \"billing\"";
  text.replace(text.find(billing), billing.size(), "class = \"diagnostic\"");
  auto config = parse(text);
  REQUIRE(config);
  CHECK(config->diagnostic_meters == std::set<std::string, std::less<>>{"water.volume"});
  CHECK(config->diagnostic_retention.quota_bytes == 16 << 20);
  CHECK(config->diagnostic_retention.reserve_bytes == 2 << 20);
  CHECK(config->diagnostic_retention.idempotency_window == std::chrono::hours(48));
  CHECK(config->journal_folder(StreamClass::diagnostic) ==
        "/etc/ledgerline/state/journal-diagnostic");

  config = parse(text + "[journal.diagnostic]\nquota = \"1MiB\"\n");
  REQUIRE(config);
  CHECK(config->diagnostic_retention.quota_bytes == 1 << 20);
  CHECK(config->retention.quota_bytes == 64 << 20);
  CHECK_FALSE(parse(text + "[journal.diagnostic]\nquota = \"1KiB\"\n"));
  CHECK_FALSE(parse(text + "[journal.diagnostic]\nqouta = \"1MiB\"\n"));
}

TEST_CASE("journals that a 32-bit machine cannot map are refused with their line") {
  const std::string quota = "quota = \"64MiB\"";
  const auto on_32_bits = [&](const std::string& wanted) {
    std::string text = kGood;
    text.replace(text.find(quota), quota.size(), "quota = \"" + wanted + "\"");
    return parse_config(text, "/etc/ledgerline/agent.toml", kInputs, {.pointer_bytes = 4});
  };

  CHECK(on_32_bits("64MiB"));
  // 16 MiB of diagnostics, both reserves and room for forgetting: 28 MiB beside the quota.
  CHECK(on_32_bits("2019MiB"));
  for (const char* too_much : {"2020MiB", "2GiB", "4GiB", "1024GiB"}) {
    const auto refused = on_32_bits(too_much);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::config);
    CHECK(refused.error().text().find("agent.toml:10:1: ") != std::string::npos);
    CHECK(refused.error().text().find("at most 2047MiB") != std::string::npos);
  }
}

TEST_CASE("a configuration is read as written") {
  const auto config = parse(kGood);

  REQUIRE(config);
  CHECK(config->tenant == "demo");
  CHECK(config->state == "/etc/ledgerline/state");
  CHECK(config->journal_folder() == "/etc/ledgerline/state/journal");
  CHECK(config->broker_port == 8884);
  CHECK(config->broker_ca == "/etc/ledgerline/state/ca.pem");
  CHECK(config->retention.quota_bytes == 64 << 20);
  CHECK(config->commit_interval == Duration(2));
  CHECK(config->retention.idempotency_window == std::chrono::hours(48));
  CHECK(config->batch.readings_max == 500);
  CHECK(config->batch.age_max == Duration(1000));
  CHECK(config->batch.sections == Sections::by_subject);
  CHECK(config->heartbeat_interval == Duration(1000));
  CHECK(config->lateness == Duration(3000));
  CHECK(config->local_address == "/etc/ledgerline/agent.sock");
  REQUIRE(config->inputs.size() == 2);
  CHECK(config->inputs[0].first == "http");
  REQUIRE(config->meters.size() == 2);
  CHECK(config->meters[0].kind == MeterKind::delta);
  CHECK(config->meters[0].definition_version == 1);
  CHECK_FALSE(config->meters[0].forward_ids);
  CHECK(config->meters[1].scale == 3);
  CHECK(config->meters[1].forward_ids);
  CHECK(config->meters[1].definition_version == 4);
}

TEST_CASE("everything but names, state and broker has a default") {
  const auto config =
      parse("tenant = \"t\"\ndevice = \"d\"\nstate = \"/var/lib/x\"\n[broker]\nhost = \"h\"\n");

  REQUIRE(config);
  CHECK(config->state == "/var/lib/x");
  CHECK(config->broker_port == 8883);
  CHECK(config->retention.quota_bytes == 256 << 20);
  CHECK(config->batch.readings_max == 1000);
  CHECK(config->batch.sections == Sections::one);
  CHECK(config->inputs.empty());
  CHECK(config->local_address.empty());
}

TEST_CASE("without a socket our own commands use the port") {
  std::string text = kGood;
  text.erase(text.find("socket = \"agent.sock\"\n"), 22);

  CHECK(parse(text)->local_address == "127.0.0.1:8787");
}

TEST_CASE("another text has another hash") {
  CHECK(parse(kGood)->hash != parse(kGood + "# comment\n")->hash);
}

TEST_CASE("each mistake is told with its place and what is expected") {
  struct Case {
    std::string from;
    std::string to;
    std::string place;
    std::string words;
  };
  const Case cases[] = {
      {"device = \"app-1\"", "dvice = \"app-1\"", ":1:", "device"},
      {"tenant = \"demo\"", "tenant = \"demo\"\ntennant = \"x\"", ":2:1", "tenant"},
      {"tenant = \"demo\"", "tenant = \"De mo\"", ":1:1", ""},
      {"device = \"app-1\"", "device = 5", ":2:1", ""},
      {"state = \"state\"", "state = \"\"", ":3:1", "folder"},
      {"port = 8884", "port = 70000", ":7:1", "65535"},
      {"port = 8884", "prot = 8884", ":7:1", "port"},
      {"host = \"127.0.0.1\"", "host = \"\"", ":6:1", "host"},
      {"quota = \"64MiB\"", "quota = \"64 megabytes\"", ":10:1", ""},
      {"quota = \"64MiB\"", "quota = \"1KiB\"", ":10:1", "between 1MiB"},
      {"commit_interval = \"2ms\"", "commit_interval = \"2m\"", ":11:1", "between 0ms and 1m"},
      {"commit_interval = \"2ms\"", "commit_interval = \"3s\"", ":11:1", "Raise lateness"},
      {"idempotency_window = \"2d\"", "idempotency_window = \"1m\"", ":12:1", "between 1h and 90d"},
      {"readings_max = 500", "readings_max = 5000", ":15:1", "4096"},
      {"readings_max = 500", "readings_max = 0", ":15:1", "1"},
      {"age_max = \"1s\"", "age_max = 1", ":16:1", ""},
      {"age_max = \"1s\"", "age_max = \"1ms\"", ":16:1", "between 100ms and 1h"},
      {"sections = \"by_subject\"", "sections = \"two\"", ":17:1", "by_subject"},
      {"sections = \"by_subject\"", "section = \"one\"", ":17:1", "sections"},
      {"interval = \"1s\"", "interval = \"0ms\"", ":20:1", "between 100ms"},
      {"lateness = \"3s\"", "lateness = \"2d\"", ":21:1", "1d"},
      {"[input.http]", "[input.htpp]", ":23:", "http"},
      {"unit = \"1\"", "unit = \"\"", ":32:1", "1 to 32 bytes"},
      {"kind = \"delta\"", "kind = \"counter\"", ":33:1", "register, delta, gauge, event"},
      {"scale = 3", "scale = 19", ":39:1", "18"},
      {"class = \"billing\"", "class = \"debug\"", ":40:1", "diagnostic"},
      {"id = \"forward\"", "id = \"always\"", ":41:1", "\"window\""},
      {"version = 4", "version = 0", ":42:1", "1"},
      {"name = \"water.volume\"", "name = \"api.requests\"", ":36:1", "already"},
      {"name = \"water.volume\"", "nmae = \"water.volume\"", ":3", "name"},
      {"[broker]", "[broker", ":5:", ""},
  };
  for (const Case& c : cases) {
    INFO(c.from << " -> " << c.to);
    std::string text = kGood;
    const size_t at = text.find(c.from);
    REQUIRE(at != std::string::npos);
    text.replace(at, c.from.size(), c.to);
    const auto config = parse(text);
    REQUIRE_FALSE(config);
    INFO(config.error().text());
    CHECK(config.error().code() == Errc::config);
    CHECK(config.error().text().find("agent.toml" + c.place) != std::string::npos);
    CHECK(config.error().text().find(c.words) != std::string::npos);
  }
}

TEST_CASE("a missing file is not a wrong file") {
  CHECK(read_config("/nonexistent/agent.toml", kInputs).error().code() == Errc::not_found);
}

TEST_CASE("relative paths start at the file's folder") {
  CHECK(resolve_path("/etc/l", "a/b") == "/etc/l/a/b");
  CHECK(resolve_path("/etc/l", "../b") == "/etc/b");
  CHECK(resolve_path("/etc/l", "/b") == "/b");
  CHECK(resolve_path("/etc/l", "").empty());
}

}  // namespace
}  // namespace ledgerline::agent
