#include "collector/api/command_line.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <sstream>

#include "collector/api/operator_key.h"
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

/// Who acts is whose private key this is.
void add_key(CLI::App& sub, CommandLine& out) {
  sub.add_option(
         "--key", out.key,
         std::string("your private key (default: the file in ") + kOperatorKeyVariable + ")")
      ->type_name("FILE");
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
}

void describe_recovery(CLI::App& app, CommandLine& out) {
  CLI::App* recover =
      add_verb(app, out, Verb::recover, "recover",
               "let devices in that this store does not know and that show a grant of this "
               "collector's: after the store was lost or put back from an older copy. Without an "
               "option: how it stands, and who was let in",
               "ledgerline-collector recover --reason 'disk lost on 3 May, no backup'");
  auto* begin = recover->add_option(
      "--reason", out.reason,
      "begin, with a new epoch of the evidence log; kept there. With --resume: why");
  recover->add_flag("--end", out.end, "nobody is let in any more")->excludes(begin);
  recover
      ->add_flag("--resume", out.resume,
                 "rate again: what people decided since the copy is made again, and documents are "
                 "compared with the ERP. The reason is kept")
      ->needs(begin);
  recover->add_flag("--json", out.json, "answer in JSON");
}

void describe_operators(CLI::App& app, CommandLine& out) {
  CLI::App* operators = app.add_subcommand("operator", "people whose signature counts");
  operators->require_subcommand(1);
  CLI::App* add = add_verb(*operators, out, Verb::add_operator, "add",
                           "register a person's key, made here or elsewhere",
                           "ledgerline-collector operator add ann --out ann.key");
  add->add_option("name", out.name, "of the person")->required();
  auto* key = add->add_option_group("key", "the key:");
  key->add_option("--out", out.out, "make one and write it here, readable by its owner only")
      ->type_name("FILE");
  key->add_option("--public-key", out.public_key,
                  "one made elsewhere (Ed25519 or P-256; openssl pkey -pubout)")
      ->type_name("FILE");
  key->require_option(1);
  add->add_option("--reason", out.reason, "why; kept in the log");
  add_verb(*operators, out, Verb::list_operators, "list", "registered operators, revoked ones too",
           "ledgerline-collector operator list --json")
      ->add_flag("--json", out.json, "answer in JSON");
  CLI::App* revoke = add_verb(*operators, out, Verb::revoke_operator, "revoke",
                              "take nothing that this person signs from now on",
                              "ledgerline-collector operator revoke ann --reason 'left us'");
  revoke->add_option("name", out.name, "of the person")->required();
  revoke->add_option("--reason", out.reason, "why; kept in the log")->required();
  CLI::App* keys = add_verb(app, out, Verb::export_keys, "keys",
                            "write every public key: collector, operators, devices",
                            "ledgerline-collector keys -o keys");
  keys->add_option("-o,--out", out.out, "the folder")->required()->type_name("DIR");
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
    sub->add_option("--reason", out.reason, "why; kept in the log");
    add_key(*sub, out);
  };
  decision(Verb::approve, "approve", "let a waiting document go to its external system",
           "ledgerline-collector approve bs-0f3c... --key ann.key");
  decision(Verb::refuse, "refuse", "keep a waiting document from leaving",
           "ledgerline-collector refuse bs-0f3c... --key ann.key");
  CLI::App* requeue = add_verb(
      app, out, Verb::requeue, "requeue",
      "try a rejected, held or conflicting delivery again: it is looked up before it is sent",
      "ledgerline-collector requeue bs-0f3c... --key ann.key --reason 'party made'");
  requeue->add_option("id", out.document, "of the document")->required();
  requeue->add_option("--reason", out.reason, "why; kept with the exception")->required();
  add_key(*requeue, out);
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
    sub->add_option("--reason", out.reason, "why; kept with the exception")->required();
    add_key(*sub, out);
    return sub;
  };
  describe_exception_list(
      *add_verb(*exceptions, out, Verb::list_exceptions, "list", "by deadline, the nearest first",
                "ledgerline-collector exceptions list --owner finance --overdue"),
      out);
  one(Verb::show_exception, "show", "one whole: evidence, what can be done, what was done",
      "ledgerline-collector exceptions show ex-1a2b3c4d")
      ->add_flag("--json", out.json, "answer in JSON");
  CLI::App* assign =
      one(Verb::assign_exception, "assign", "say who is to do it",
          "ledgerline-collector exceptions assign ex-1a2b3c4d --to Bob --key ann.key");
  assign->add_option("--to", out.to, "who is to do it")->required()->type_name("PERSON");
  assign->add_option("--reason", out.reason, "why; kept with the exception");
  add_key(*assign, out);
  CLI::App* map = action(Verb::map_exception, "map", "link an unmapped subject to a subscription",
                         "ledgerline-collector exceptions map ex-1a2b3c4d --subscription aqua-api "
                         "--key ann.key --reason 'order 4711'");
  map->add_option("--subscription", out.subscription, "who pays for it")->required();
  map->add_option("--asset", out.asset, "what it is used by");
  map->add_option("--from", out.from, "RFC 3339 (default: its first usage that is not mapped)")
      ->type_name("TIME");
  action(Verb::requeue_exception, "requeue",
         "try a delivery again: it is looked up before it is sent",
         "ledgerline-collector exceptions requeue ex-1a2b3c4d --key ann.key --reason 'party made'");
  action(Verb::ignore_exception, "ignore", "resolve it; it opens again where its figures change",
         "ledgerline-collector exceptions ignore ex-1a2b3c4d --key ann.key --reason 'test device'");
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

void describe_checkpoint(CLI::App& app, CommandLine& out) {
  CLI::App* checkpoint =
      add_verb(app, out, Verb::checkpoint, "checkpoint",
               "sign the evidence log as it is now (a C2SP checkpoint), for auditors and witnesses",
               "ledgerline-collector checkpoint --out checkpoint.txt");
  checkpoint->add_option("--out", out.out, "where it is written (default: printed)")
      ->type_name("FILE");
  checkpoint->require_subcommand(0, 1);
  CLI::App* cosign =
      add_verb(*checkpoint, out, Verb::cosign_checkpoint, "cosign",
               "add a witness's cosignature to the newest checkpoint",
               "ledgerline-collector checkpoint cosign cosigned.txt --witness-key witness.key");
  cosign->add_option("note", out.file, "the checkpoint as the witness gave it back")
      ->required()
      ->type_name("FILE");
  cosign->add_option("--witness-key", out.witness_key, "NAME+HINT+KEY, as its operator gives it")
      ->required()
      ->type_name("FILE");
  // CLI11 calls the outer callback after the inner one.
  checkpoint->callback(
      [&out, cosign] { out.verb = cosign->parsed() ? Verb::cosign_checkpoint : Verb::checkpoint; });
}

void describe_catalog(CLI::App& app, CommandLine& out) {
  CLI::App* catalog =
      app.add_subcommand("catalog", "prices, contracts and links: what is in force");
  catalog->require_subcommand(1);
  const auto compare = [&](const char* name, const char* what, const char* example) {
    CLI::App* sub = add_verb(*catalog, out, Verb::load_catalog, name, what, example);
    sub->add_option("folder", out.file, "of the *.toml files (default: the configuration's)")
        ->type_name("FOLDER");
    sub->add_flag("--adjust-closed", out.adjust_closed,
                  "let changed links bring usage to closed periods or take it: adjustments follow");
    return sub;
  };
  CLI::App* load =
      compare("load", "sign the files into the evidence log: from then on in force",
              "ledgerline-collector catalog load --key ann.key --reason 'prices 2027'");
  add_key(*load, out);
  load->add_option("--reason", out.reason, "why; kept in the log");
  load->add_flag("--dry-run", out.dry_run, "only show what would change");
  compare("diff", "what catalog load would change; writes nothing",
          "ledgerline-collector catalog diff")
      ->callback([&out] {
        out.verb = Verb::load_catalog;
        out.dry_run = true;
      });
  add_verb(*catalog, out, Verb::show_catalog, "show",
           "the logged versions, who signed them and why",
           "ledgerline-collector catalog show --json")
      ->add_flag("--json", out.json, "answer in JSON");
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

void describe_ledger(CLI::App& app, CommandLine& out) {
  CLI::App* ledger = add_verb(app, out, Verb::ledger, "ledger",
                              "what closed periods have booked: hash and number of rows",
                              "ledgerline-collector ledger --json");
  ledger->add_flag("--json", out.json, "answer in JSON, with the rows as they are hashed");
}

void describe_replay(CLI::App& app, CommandLine& out) {
  CLI::App* replay =
      add_verb(app, out, Verb::replay, "replay",
               "build the ledger again from the evidence log and compare; exit code 1: not equal",
               "ledgerline-collector replay");
  replay
      ->add_option("--into", out.into,
                   "a new or empty folder for the store that is built (default: one in TMPDIR, "
                   "removed afterwards)")
      ->type_name("FOLDER");
  replay->add_flag("--json", out.json, "answer in JSON");
}

void describe_prove(CLI::App& app, CommandLine& out) {
  CLI::App* prove = add_verb(app, out, Verb::prove, "prove",
                             "write the evidence for a billing line, for ledgerline-verify",
                             "ledgerline-collector prove bs-0f3c... 2 -o line.bundle");
  prove->add_option("document", out.document, "its id, ours or the external system's")->required();
  prove->add_option("line", out.line, "number of the line (default: every line)");
  prove->add_option("-o,--out", out.out, "where it is written")->required()->type_name("FILE");
}

void describe_correction(CLI::App& sub, CommandLine& out) {
  sub.add_option("--reason", out.reason, "why; signed and kept")->required();
  sub.add_option("--reference", out.references, "a ticket, a letter; may be given several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_key(sub, out);
  sub.add_flag("--dry-run", out.dry_run, "show what would change; sign and write nothing");
}

void describe_corrections(CLI::App& app, CommandLine& out) {
  CLI::App* correct =
      app.add_subcommand("correct", "correct usage: signed, beside the readings, never in them");
  correct->require_subcommand(1);
  const auto of_device = [&](Verb verb, const char* name, const char* what, const char* example) {
    CLI::App* sub = add_verb(*correct, out, verb, name, what, example);
    sub->add_option("--device", out.device, "whose usage it is")->required();
    sub->add_option("--subject", out.subject, "of the device (default: the device itself)");
    sub->add_option("--meter", out.meter, "as the catalog names it")->required();
    sub->add_option("--unit", out.unit, "must be the catalog's (default)");
    describe_correction(*sub, out);
    return sub;
  };
  CLI::App* add = of_device(Verb::add_usage, "add", "add a reading of your own",
                            "ledgerline-collector correct add --device gw-1 --subject pump --meter "
                            "water --value 12.5 --at 2026-11-20T08:00:00Z --reason 'read by hand' "
                            "--key ann.key");
  add->add_option("--value", out.value, "a decimal, below 0 too: --value=-3")->required();
  add->add_option("--at", out.from, "RFC 3339")->required()->type_name("TIME");
  CLI::App* voided =
      of_device(Verb::void_usage, "void", "let no reading of a span count, whenever it arrives",
                "ledgerline-collector correct void --device gw-1 --meter water "
                "--from 2026-11-20T08:00:00Z --until 2026-11-20T09:00:00Z --reason "
                "'calibration run' --key ann.key --dry-run");
  voided->add_option("--from", out.from, "RFC 3339")->required()->type_name("TIME");
  voided->add_option("--until", out.until, "RFC 3339; the first instant that counts again")
      ->required()
      ->type_name("TIME");
  CLI::App* withdraw = add_verb(*correct, out, Verb::withdraw_correction, "withdraw",
                                "end a correction, as if it had never been made",
                                "ledgerline-collector correct withdraw 1f3a --reason 'wrong pump' "
                                "--key ann.key");
  withdraw->add_option("id", out.correction, "of the correction, or the beginning of it")
      ->required();
  describe_correction(*withdraw, out);
  add_verb(*correct, out, Verb::list_corrections, "list", "every correction, oldest first",
           "ledgerline-collector correct list --json")
      ->add_flag("--json", out.json, "answer in JSON");
}

void describe_gaps(CLI::App& app, CommandLine& out) {
  CLI::App* gaps = add_verb(app, out, Verb::list_gaps, "gaps",
                            "which devices keep periods from closing", "ledgerline-collector gaps");
  gaps->require_subcommand(0, 1);
  gaps->callback([&out, gaps] {  // called after a subcommand's own
    if (gaps->get_subcommands().empty()) out.verb = Verb::list_gaps;
  });
  gaps->add_flag("--json", out.json, "answer in JSON");
  CLI::App* accept = add_verb(*gaps, out, Verb::accept_gap, "accept",
                              "let periods close without what a device owes in a span",
                              "ledgerline-collector gaps accept gw-1 --from 2026-11-20T08:00:00Z "
                              "--until 2026-11-21T00:00:00Z --reason burnt --key ann.key");
  accept->add_option("device", out.device, "as gaps lists it")->required();
  accept->add_option("--from", out.from, "RFC 3339")->required()->type_name("TIME");
  accept->add_option("--until", out.until, "RFC 3339")->required()->type_name("TIME");
  accept->add_option("--reason", out.reason, "why; signed and kept")->required();
  add_key(*accept, out);
  CLI::App* close =
      add_verb(app, out, Verb::close_period, "close",
               "let a contract's oldest open period close without what devices owe it",
               "ledgerline-collector close aqua-2026 --key ann.key --reason 'burnt'");
  close->add_option("contract", out.contract, "its name in the catalog")->required();
  close->add_option("--reason", out.reason, "why; signed and kept with each gap")->required();
  add_key(*close, out);
}

void describe(CLI::App& app, CommandLine& out) {
  app.require_subcommand(1);
  app.set_version_flag("--version", "ledgerline-collector " LEDGERLINE_VERSION);
  app.footer(
      "Each command has --help with an example. Exit codes are those of sysexits.h: 64 usage, 65 "
      "wrong data,\n66 a file or a row is missing, 70 a fault of ours, 74 the store failed, 75 try "
      "again later, 78 configuration.");
  CLI::App* run = add_verb(app, out, Verb::run, "run",
                           "collect, until SIGTERM; a catalog that is loaded is taken",
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
  describe_recovery(app, out);
  describe_operators(app, out);
  describe_documents(app, out);
  describe_exceptions(app, out);
  describe_catalog(app, out);
  describe_maintenance(app, out);
  describe_accounts(app, out);
  describe_checkpoint(app, out);
  describe_usage(app, out);
  describe_ledger(app, out);
  describe_replay(app, out);
  describe_prove(app, out);
  describe_corrections(app, out);
  describe_gaps(app, out);
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
    // Not CLI11's envname: it would set the key of every command, given or not.
    const char* key = std::getenv(kOperatorKeyVariable);
    if (out.key.empty() && key != nullptr) out.key = key;
    return out;
  } catch (const CLI::ParseError& error) {
    std::ostringstream text;
    const int code = app.exit(error, text, text);
    return tl::unexpected<EarlyExit>({.code = code == 0 ? 0 : kExitUsage, .text = text.str()});
  }
}

}  // namespace ledgerline::collector
