#include "agent/ops/command_line.h"

#include <CLI/CLI.hpp>
#include <sstream>

#include "common/exit_code.h"

namespace ledgerline::agent {

namespace {

using Verb = CommandLine::Verb;

CLI::App* add_verb(CLI::App& app, CommandLine& out, Verb verb, const char* name, const char* what,
                   const char* example) {
  CLI::App* sub = app.add_subcommand(name, what);
  sub->add_option("--config", out.config, "the agent's configuration")
      ->capture_default_str()
      ->type_name("FILE");
  sub->add_option("--log-level", out.log_level, "debug, info, warn or error")
      ->capture_default_str();
  sub->footer(std::string("Example:\n  ") + example);
  sub->callback([&out, verb] { out.verb = verb; });
  return sub;
}

void describe(CLI::App& app, CommandLine& out) {
  app.require_subcommand(1);
  app.set_version_flag("--version", "ledgerline-agent " LEDGERLINE_VERSION);
  app.footer(
      "Each command has --help with an example. Exit codes are those of sysexits.h: 64 usage, 65 "
      "wrong data,\n"
      "66 a file is missing, 69 no agent answers, 70 a fault of ours, 74 the journal failed, 75 "
      "try again later,\n"
      "77 permission, 78 configuration.");
  add_verb(app, out, Verb::run, "run", "meter, until SIGTERM",
           "ledgerline-agent run --config /etc/ledgerline/agent.toml");
  CLI::App* check = add_verb(app, out, Verb::check, "check",
                             "read the configuration, keys, enrolment and journal; change nothing",
                             "ledgerline-agent check --config agent.toml");
  CLI::App* status =
      add_verb(app, out, Verb::status, "status", "what is recorded, sealed and receipted",
               "ledgerline-agent status --json");
  CLI::App* enroll =
      add_verb(app, out, Verb::enroll, "enroll",
               "make keys and a request, or install the collector's answer",
               "ledgerline-agent enroll --out request.pem\n"
               "  (on the collector) ledgerline-collector enroll request.pem --out enrolment.pem\n"
               "  ledgerline-agent enroll --answer enrolment.pem");
  CLI::App* record = add_verb(
      app, out, Verb::record, "record", "record one reading through the running agent",
      "ledgerline-agent record api.requests 250 --subject aqua --dimension route=/v2/maps");
  CLI::App* diag = add_verb(app, out, Verb::diag, "diag",
                            "write one archive for support, without secrets: a tar file, mode 0600",
                            "ledgerline-agent diag -o agent.tar; tar -xOf agent.tar");
  diag->add_option("-o,--out", out.out, "the archive (default: ledgerline-agent-diag.tar)")
      ->type_name("FILE");
  for (CLI::App* sub : {check, status, enroll, record, diag})
    sub->add_flag("--json", out.json, "answer in JSON");
  auto* answer =
      enroll->add_option("--answer", out.answer, "the collector's answer, to be installed")
          ->type_name("FILE");
  enroll
      ->add_option(
          "--out", out.out,
          "where the request is written (default: enrolment-request.pem in the state folder)")
      ->type_name("FILE")
      ->excludes(answer);
  enroll->add_option("--reason", out.reason, "why an enrolled device asks again")->excludes(answer);
  enroll
      ->add_flag("--replace", out.replace, "accept another collector's key, and begin a new stream")
      ->needs(answer);
  record->add_option("meter", out.meter, "a [[meter]] of the configuration")->required();
  record->add_option("value", out.value, "such as 250 or 0.5")->required();
  record->add_option("--subject", out.subject, "whom the reading is about (default: the device)");
  record->add_option("--time", out.time, "event time, RFC 3339 (default: now)");
  record->add_option("--id", out.id, "the same id again is recorded once (default: a random one)");
  record->add_option("--dimension", out.dimensions, "name=value; may be repeated")
      ->allow_extra_args(false);
}

}  // namespace

tl::expected<CommandLine, EarlyExit> parse_command_line(int argc, const char* const* argv) {
  CommandLine out;
  CLI::App app(
      "Meters readings and usage events into a local journal that survives power cuts, and "
      "forwards them signed.",
      "ledgerline-agent");
  describe(app, out);
  try {
    app.parse(argc, argv);
    return out;
  } catch (const CLI::ParseError& error) {
    std::ostringstream text;
    const int code = app.exit(error, text, text);
    return tl::unexpected<EarlyExit>({.code = code == 0 ? 0 : kExitUsage, .text = text.str()});
  }
}

}  // namespace ledgerline::agent
