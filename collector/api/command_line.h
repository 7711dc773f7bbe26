#pragma once
// The words a person types. The seam to CLI11.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace ledgerline::collector {

struct CommandLine {
  enum class Verb {
    run,
    check,
    status,
    enroll,
    revoke,
    add_operator,
    list_operators,
    revoke_operator,
    export_keys,
    recover,
    documents,
    approve,
    refuse,
    requeue,
    usage,
    ledger,
    replay,
    accounts,
    list_exceptions,
    show_exception,
    assign_exception,
    map_exception,
    requeue_exception,
    ignore_exception,
    try_maintenance,
    add_usage,
    void_usage,
    withdraw_correction,
    list_corrections,
    list_gaps,
    accept_gap,
    close_period,
    prove,
    checkpoint,
    cosign_checkpoint,
    load_catalog,
    show_catalog
  };
  Verb verb = Verb::run;
  std::string config = "/etc/ledgerline/collector.toml";
  std::string log_level = "info";
  bool json = false;
  std::string file;  // enroll: the request; catalog load, diff: the folder; checkpoint cosign: the
                     // witness's note
  std::string
      out;  // where enroll and checkpoint write the answer, operator add the key, keys the keys
  std::string name;        // operator add, revoke
  std::string contract;    // close
  std::string public_key;  // operator add: the file of a key made elsewhere
  std::string key;         // the file of the operator's private key who acts
  bool replace = false;    // enroll: another key may take the device over
  std::string tenant;      // revoke, usage; enroll: what the request must name, empty: anything
  std::string device;      // likewise
  std::string reason;      // of whatever a person decides
  std::string document;    // documents, approve, refuse, requeue, prove
  uint32_t line = 0;       // prove; 0: every line
  std::string by;          // usage: "quarter", "hour" or "day"
  bool end = false;        // recover: the mode ends
  bool resume = false;     // recover: rating goes on
  std::string into;        // replay: the new store's folder; empty: one that goes afterwards
  std::optional<int64_t> serviced_after_hours;  // maintenance try
  std::string meter;                            // usage
  std::string subject;                          // usage
  std::string from;                             // usage, exceptions map
  std::string until;                            // usage
  std::string exception;                        // its id or the beginning of it
  std::string owner;                            // exceptions list: of this role, like the next ones
  std::string kind;
  std::string assignee;
  std::string state = "open";           // exceptions list: "open", "resolved" or "all"
  bool overdue = false;                 // exceptions list
  std::string to;                       // exceptions assign: who is to do it
  std::string subscription;             // exceptions map
  std::string asset;                    // exceptions map
  std::string unit;                     // correct add, void: empty: the catalog's
  std::string value;                    // correct add
  std::string correction;               // correct withdraw: its id or the beginning of it
  std::vector<std::string> references;  // correct
  bool dry_run = false;                 // correct
  std::string witness_key;              // checkpoint cosign: the file with the witness's public key
  bool adjust_closed = false;           // catalog load: links may bring usage to closed periods
};

/// The program is to print `text` and end: help (code 0) or a usage error (code 64).
struct EarlyExit {
  int code = 0;
  std::string text;
};

tl::expected<CommandLine, EarlyExit> parse_command_line(int argc, const char* const* argv);

}  // namespace ledgerline::collector
