#include "collector/api/command_line.h"

#include <CLI/CLI.hpp>
#include <sstream>

#include "common/exit_code.h"

namespace ledgerline::collector {

namespace {

using Verb = CommandLine::Verb;

CLI::App* add_verb(CLI::App& app, CommandLine& out, Verb verb, const char* name, const char* what,
                   const char* example) {
  CLI::App* sub = app.add_subcommand(name, what);
  sub->add_option("--config", out.config, "the collector's configuration")
      ->capture_default_str()
      ->type_name("FILE");
  sub->footer(std::string("Example:\n  ") + example);
  sub->callback([&out, verb] { out.verb = verb; });
  return sub;
}

void describe_devices(CLI::App& app, CommandLine& out) {
  CLI::App* enroll = add_verb(app, out, Verb::enroll, "enroll",
                              "answer a device's request with its certificate and stream grants",
                              "ledgerline-collector enroll request.pem --out enrolment.pem");
  enroll->add_option("request", out.file, "the file that ledgerline-agent enroll wrote")
      ->required()
      ->type_name("FILE");
  enroll->add_option("--out", out.out, "where the answer is written (default: FILE.answer)")
      ->type_name("FILE");
  enroll->add_option("--tenant", out.tenant, "refuse a request that names another tenant");
  enroll->add_option("--device", out.device, "refuse a request that names another device");
  auto* replace = enroll->add_flag("--replace", out.replace,
                                   "let another key take over a device that is enrolled already");
  auto* reason = enroll->add_option("--reason", out.reason, "why it is replaced; kept in the grant")
                     ->needs(replace);
  replace->needs(reason);
  CLI::App* revoke = add_verb(app, out, Verb::revoke, "revoke",
                              "take no batch from a device any more, from the next one on",
                              "ledgerline-collector revoke demo host-1 --reason stolen");
  revoke->add_option("tenant", out.tenant)->required();
  revoke->add_option("device", out.device)->required();
  revoke->add_option("--reason", out.reason, "kept with the key")->required();
  CLI::App* recover =
      add_verb(app, out, Verb::recover, "recover",
               "let devices in that this store does not know and that show a grant of this "
               "collector's: after the store was lost or put back from an older copy. Without an "
               "option: how it stands, and who was let in",
               "ledgerline-collector recover --reason 'disk lost on 3 May, no backup'");
  auto* reason = recover->add_option("--reason", out.reason, "begin; kept in the store");
  recover->add_flag("--end", out.end, "nobody is let in any more")->excludes(reason);
  recover->add_flag("--json", out.json, "answer in JSON");
}

void describe_documents(CLI::App& app, CommandLine& out) {
  CLI::App* documents =
      add_verb(app, out, Verb::documents, "documents", "list the documents, or show one whole",
               "ledgerline-collector documents --json");
  documents->add_option("id", out.document, "show this one");
  documents->add_flag("--json", out.json, "answer in JSON");
  const auto decision = [&](Verb verb, const char* name, const char* what, const char* example) {
    CLI::App* sub = add_verb(app, out, verb, name, what, example);
    sub->add_option("id", out.document, "of the document")->required();
    sub->add_option("--by", out.by, "who decides")->required();
  };
  decision(Verb::approve, "approve", "let a waiting document go to its external system",
           "ledgerline-collector approve bs-0f3c... --by 'A. Finance'");
  decision(Verb::refuse, "refuse", "keep a waiting document from leaving",
           "ledgerline-collector refuse bs-0f3c... --by 'A. Finance'");
  CLI::App* requeue = add_verb(
      app, out, Verb::requeue, "requeue",
      "try a rejected, held or conflicting delivery again: it is looked up before it is sent",
      "ledgerline-collector requeue bs-0f3c...");
  requeue->add_option("id", out.document, "of the document")->required();
}

void describe_exception_list(CLI::App& list, CommandLine& out) {
  list.add_option("--owner", out.owner, "of this role: operator, finance, product ...")
      ->type_name("ROLE");
  list.add_option("--kind", out.kind, "of this kind, e.g. unmapped_subject");
  list.add_option("--assignee", out.assignee, "of this person")->type_name("PERSON");
  list.add_option("--state", out.state, "open, resolved or all")
      ->check(CLI::IsMember({"open", "resolved", "all"}))
      ->capture_default_str();
  list.add_flag("--overdue", out.overdue, "only open ones past their deadline");
  list.add_flag("--json", out.json, "answer in JSON");
}

void describe_exceptions(CLI::App& app, CommandLine& out) {
  CLI::App* exceptions = add_verb(app, out, Verb::list_exceptions, "exceptions",
                                  "work that waits for a person: whose, how long, what to do",
                                  "ledgerline-collector exceptions list --overdue");
  exceptions->require_subcommand(0, 1);
  exceptions->callback([&out, exceptions] {  // called after a subcommand's own
    if (exceptions->get_subcommands().empty()) out.verb = Verb::list_exceptions;
  });
  describe_exception_list(*exceptions, out);
  const auto one = [&](Verb verb, const char* name, const char* what, const char* example) {
    CLI::App* sub = add_verb(*exceptions, out, verb, name, what, example);
    sub->add_option("id", out.exception, "of the exception, or the beginning of it")->required();
    return sub;
  };
  const auto action = [&](Verb verb, const char* name, const char* what, const char* example) {
    CLI::App* sub = one(verb, name, what, example);
    sub->add_option("--by", out.by, "who does it")->required()->type_name("PERSON");
    sub->add_option("--reason", out.reason, "why; kept with the exception")->required();
    return sub;
  };
  describe_exception_list(
      *add_verb(*exceptions, out, Verb::list_exceptions, "list", "by deadline, the nearest first",
                "ledgerline-collector exceptions list --owner finance --overdue"),
      out);
  one(Verb::show_exception, "show", "one whole: evidence, what can be done, what was done",
      "ledgerline-collector exceptions show ex-1a2b3c4d")
      ->add_flag("--json", out.json, "answer in JSON");
  CLI::App* assign = one(Verb::assign_exception, "assign", "say who is to do it",
                         "ledgerline-collector exceptions assign ex-1a2b3c4d --to Bob --by Ann");
  assign->add_option("--to", out.to, "who is to do it")->required()->type_name("PERSON");
  assign->add_option("--by", out.by, "who says so")->required()->type_name("PERSON");
  assign->add_option("--reason", out.reason, "why; kept with the exception");
  CLI::App* map = action(Verb::map_exception, "map", "link an unmapped subject to a subscription",
                         "ledgerline-collector exceptions map ex-1a2b3c4d --subscription aqua-api "
                         "--by Ann --reason 'order 4711'");
  map->add_option("--subscription", out.subscription, "who pays for it")->required();
  map->add_option("--asset", out.asset, "what it is used by");
  map->add_option("--from", out.from, "RFC 3339 (default: its first usage that is not mapped)")
      ->type_name("TIME");
  action(Verb::requeue_exception, "requeue",
         "try a delivery again: it is looked up before it is sent",
         "ledgerline-collector exceptions requeue ex-1a2b3c4d --by Ann --reason 'party made'");
  action(Verb::ignore_exception, "ignore", "resolve it; it opens again where its figures change",
         "ledgerline-collector exceptions ignore ex-1a2b3c4d --by Ann --reason 'test device'");
}

void describe_maintenance(CLI::App& app, CommandLine& out) {
  CLI::App* maintenance = app.add_subcommand("maintenance", "maintenance rules and their orders");
  maintenance->require_subcommand(1);
  CLI::App* tried = add_verb(*maintenance, out, Verb::try_maintenance, "try",
                             "what the catalog's rules would have ordered so far; writes nothing",
                             "ledgerline-collector maintenance try --serviced-after-hours 24");
  tried
      ->add_option("--serviced-after-hours", out.serviced_after_hours,
                   "as if each order were done this long after it opened (default: it stays open)")
      ->check(CLI::Range(int64_t{0}, int64_t{24 * 400}))
      ->type_name("HOURS");
  tried->add_flag("--json", out.json, "answer in JSON");
}

void describe_accounts(CLI::App& app, CommandLine& out) {
  CLI::App* accounts = add_verb(app, out, Verb::accounts, "accounts",
                                "consumption, signals and health of each contract, as told last",
                                "ledgerline-collector accounts --json");
  accounts->add_flag("--json", out.json, "answer in JSON: the documents' bodies");
}

void describe_usage(CLI::App& app, CommandLine& out) {
  CLI::App* usage = add_verb(app, out, Verb::usage, "usage",
                             "what was metered, by subject and UTC quarter hour, hour or day",
                             "ledgerline-collector usage --by day --meter api.requests");
  usage->add_option("--by", out.by, "quarter, hour or day")
      ->required()
      ->check(CLI::IsMember({"quarter", "hour", "day"}));
  usage->add_option("--meter", out.meter, "this one only");
  usage->add_option("--subject", out.subject, "this one only");
  usage->add_option("--tenant", out.tenant, "this one only");
  usage->add_option("--device", out.device, "this one only");
  usage->add_option("--from", out.from, "a day or a quarter hour's beginning (default: the first)");
  usage->add_option("--until", out.until, "the same; what begins there is not shown any more");
  usage->add_flag("--json", out.json, "answer in JSON");
}

void describe(CLI::App& app, CommandLine& out) {
  app.require_subcommand(1);
  app.set_version_flag("--version", "ledgerline-collector " LEDGERLINE_VERSION);
  app.footer(
      "Each command has --help with an example. Exit codes are those of sysexits.h: 64 usage, 65 "
      "wrong data,\n66 a file or a row is missing, 70 a fault of ours, 74 the store failed, 75 try "
      "again later, 78 configuration.");
  CLI::App* run =
      add_verb(app, out, Verb::run, "run", "collect, until SIGTERM; SIGHUP reads the catalog again",
               "ledgerline-collector run --config /etc/ledgerline/collector.toml");
  run->add_option("--log-level", out.log_level, "debug, info, warn or error")
      ->capture_default_str();
  CLI::App* check = add_verb(app, out, Verb::check, "check",
                             "read the configuration, catalog and profiles; change nothing",
                             "ledgerline-collector check --config collector.toml");
  CLI::App* status = add_verb(app, out, Verb::status, "status",
                              "devices, streams, evidence log, documents, exceptions",
                              "ledgerline-collector status --json");
  for (CLI::App* sub : {check, status}) sub->add_flag("--json", out.json, "answer in JSON");
  describe_devices(app, out);
  describe_documents(app, out);
  describe_exceptions(app, out);
  describe_maintenance(app, out);
  describe_accounts(app, out);
  describe_usage(app, out);
}

}  // namespace

tl::expected<CommandLine, EarlyExit> parse_command_line(int argc, const char* const* argv) {
  CommandLine out;
  CLI::App app(
      "Takes custody of what agents send, adds it up, rates it against contracts and writes draft "
      "documents into external systems.",
      "ledgerline-collector");
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

}  // namespace ledgerline::collector
