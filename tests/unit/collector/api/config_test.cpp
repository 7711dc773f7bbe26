#include "collector/api/config.h"

#include <catch2/catch.hpp>

#include "collector/api/command_line.h"

namespace ledgerline::collector {
namespace {

const std::string kExample = R"(state = "state"
catalog = "catalog.d"
listen = "127.0.0.1:9464"
[broker]
host = "127.0.0.1"
ca = "/pki/ca.pem"
certificate = "pki/collector.pem"
private_key = "pki/collector.key"
[authority]
certificate = "pki/ca.pem"
private_key = "pki/ca.key"
[[connector]]
name = "tryton"
profile = "tryton.lua"
url = "http://127.0.0.1:8000/"
user = "collector"
password_file = "secret"
timeout = "5s"
[connector.settings]
company = "1"
)";

/// The example with one text replaced.
Result<CollectorConfig> with(const std::string& from, const std::string& to) {
  std::string text = kExample;
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
  return parse_config(text, "/etc/l/collector.toml");
}

tl::expected<CommandLine, EarlyExit> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "ledgerline-collector");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

TEST_CASE("paths are relative to the file, defaults are filled in") {
  const auto config = parse_config(kExample, "/etc/l/collector.toml");
  INFO((config ? std::string() : config.error().text()));
  REQUIRE(config);
  CHECK(config->state == "/etc/l/state");
  CHECK(config->store_folder() == "/etc/l/state/store");
  CHECK(config->broker_ca == "/pki/ca.pem");
  CHECK(config->broker_port == 8883);
  CHECK(config->acl_file.empty());
  CHECK(config->connector_names() == std::vector<std::string>{"tryton"});
  CHECK(config->connectors.front().timeout == Duration(5000));
  CHECK(config->connectors.front().settings.front() ==
        std::pair<std::string, std::string>("company", "1"));
}

TEST_CASE("what is wrong is named where it stands") {
  struct Case {
    const char* from;
    const char* to;
    const char* complaint;
  };
  const Case cases[] = {
      {"listen =", "lisen =", "/etc/l/collector.toml:3:1: "},
      {"listen =", "lisen =", "did you mean \"listen\""},
      {"catalog = \"catalog.d\"\n", "", "catalog"},
      {"state = \"state\"", "state = 7", "/etc/l/collector.toml:1:"},
      {"state = \"state\"", "state = \"\"", "is a path"},
      {"host = \"127.0.0.1\"", "port = 70000", "/etc/l/collector.toml:4:"},
      {"timeout = \"5s\"", "timeout = \"5\"", "/etc/l/collector.toml:18:"},
      {"timeout = \"5s\"", "timeout = \"1h\"", "between 100ms and 2m"},
      {"[connector.settings]\ncompany = \"1\"",
       "[[connector]]\nname = \"tryton\"\nprofile = \"x\"\nurl = \"y\"", "\"tryton\" already"},
      {"state = \"state\"", "state = ", "/etc/l/collector.toml:1:"},
  };
  for (const Case& row : cases) {
    const auto refused = with(row.from, row.to);
    INFO(row.to);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::config);
    CHECK_THAT(refused.error().text(), Catch::Contains(row.complaint));
  }
}

TEST_CASE("the words a person types") {
  CHECK(parse({"run"})->config == "/etc/ledgerline/collector.toml");
  const auto enroll = parse({"enroll", "r.pem", "--config", "c.toml"});
  REQUIRE(enroll);
  CHECK((enroll->verb == CommandLine::Verb::enroll && enroll->file == "r.pem" &&
         enroll->config == "c.toml"));
  const auto revoke = parse({"revoke", "demo", "host-1", "--reason", "stolen"});
  CHECK((revoke->tenant == "demo" && revoke->device == "host-1" && revoke->reason == "stolen"));
  CHECK(parse({"documents", "--json"})->json);
  CHECK(parse({"documents", "bs-1"})->document == "bs-1");
  CHECK(parse({"approve", "bs-1", "--key", "ann.key"})->key == "ann.key");
  REQUIRE(::setenv("LEDGERLINE_OPERATOR_KEY", "env.key", 1) == 0);
  CHECK(parse({"approve", "bs-1"})->key == "env.key");
  CHECK(parse({"approve", "bs-1", "--key", "ann.key"})->key == "ann.key");
  REQUIRE(::unsetenv("LEDGERLINE_OPERATOR_KEY") == 0);
  const auto add = parse({"operator", "add", "ann", "--out", "ann.key"});
  REQUIRE(add);
  CHECK((add->verb == CommandLine::Verb::add_operator && add->name == "ann" &&
         add->out == "ann.key"));
  CHECK(parse({"operator", "add", "ann", "--public-key", "a.pem"})->public_key == "a.pem");
  CHECK_FALSE(parse({"operator", "add", "ann"}));
  CHECK_FALSE(parse({"operator", "add", "ann", "--out", "a", "--public-key", "b"}));
  CHECK_FALSE(parse({"operator", "revoke", "ann"}));
  CHECK(parse({"keys", "-o", "keys"})->out == "keys");
  CHECK(parse({"requeue", "bs-1", "--reason", "mended"})->verb == CommandLine::Verb::requeue);
  CHECK(parse({"exceptions", "--state", "all"})->state == "all");
}

TEST_CASE("help is no error, and everything else that is not understood is 64") {
  for (const char* verb : {"run", "check", "status", "enroll", "revoke", "documents", "approve",
                           "refuse", "requeue", "exceptions"}) {
    const auto help = parse({verb, "--help"});
    REQUIRE_FALSE(help);
    CHECK(help.error().code == 0);
    CHECK_THAT(help.error().text, Catch::Contains("Example:\n  ledgerline-collector "));
  }
  for (const std::vector<const char*>& words :
       std::vector<std::vector<const char*>>{{},
                                             {"rum"},
                                             {"enroll"},
                                             {"approve"},
                                             {"approve", "bs-1", "--by", "Ann"},
                                             {"requeue", "bs-1"},
                                             {"revoke", "demo", "host-1"},
                                             {"run", "--nope"}}) {
    const auto refused = parse(words);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == 64);
    CHECK_FALSE(refused.error().text.empty());
  }
}

}  // namespace
}  // namespace ledgerline::collector
