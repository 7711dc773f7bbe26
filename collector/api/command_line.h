#pragma once
// The words a person types. The seam to CLI11.

#include <cstdint>
#include <optional>
#include <string>

#include "common/result.h"

namespace ledgerline::collector {

struct CommandLine {
  enum class Verb {
    run,
    check,
    status,
    enroll,
    revoke,
    recover,
    documents,
    approve,
    refuse,
    requeue,
    usage,
    accounts,
    list_exceptions,
    show_exception,
    assign_exception,
    map_exception,
    requeue_exception,
    ignore_exception,
    try_maintenance
  };
  Verb verb = Verb::run;
  std::string config = "/etc/ledgerline/collector.toml";
  std::string log_level = "info";
  bool json = false;
  std::string file;      // enroll: the request
  std::string out;       // enroll: where the answer is written
  bool replace = false;  // enroll: another key may take the device over
  std::string tenant;    // revoke, usage; enroll: what the request must name, empty: anything
  std::string device;    // likewise
  std::string reason;    // revoke, enroll --replace, recover, exceptions
  bool end = false;      // recover: the mode ends
  std::string document;  // documents, approve, refuse, requeue
  std::string by;        // approve, refuse, exceptions: who; usage: "quarter", "hour" or "day"
  std::optional<int64_t> serviced_after_hours;  // maintenance try
  std::string meter;                            // usage
  std::string subject;                          // usage
  std::string from;                             // usage, exceptions map
  std::string until;                            // usage
  std::string exception;                        // its id or the beginning of it
  std::string owner;                            // exceptions list: of this role, like the next ones
  std::string kind;
  std::string assignee;
  std::string state = "open";  // exceptions list: "open", "resolved" or "all"
  bool overdue = false;        // exceptions list
  std::string to;              // exceptions assign: who is to do it
  std::string subscription;    // exceptions map
  std::string asset;           // exceptions map
};

/// The program is to print `text` and end: help (code 0) or a usage error (code 64).
struct EarlyExit {
  int code = 0;
  std::string text;
};

tl::expected<CommandLine, EarlyExit> parse_command_line(int argc, const char* const* argv);

}  // namespace ledgerline::collector
