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
    documents,
    approve,
    refuse,
    requeue,
    usage,
    exceptions,
    accounts,
    try_maintenance
  };
  Verb verb = Verb::run;
  std::string config = "/etc/ledgerline/collector.toml";
  std::string log_level = "info";
  bool json = false;
  bool all = false;      // exceptions: resolved ones too
  std::string file;      // enroll: the request
  std::string out;       // enroll: where the answer is written
  bool replace = false;  // enroll: another key may take the device over
  std::string tenant;    // revoke, usage; enroll: what the request must name, empty: anything
  std::string device;    // likewise
  std::string reason;    // revoke, enroll --replace
  std::string document;  // documents, approve, refuse, requeue
  std::string by;        // approve, refuse: who; usage: "quarter", "hour" or "day"
  std::optional<int64_t> serviced_after_hours;  // maintenance try
  std::string meter;                            // usage
  std::string subject;                          // usage
  std::string from;                             // usage
  std::string until;                            // usage
};

/// The program is to print `text` and end: help (code 0) or a usage error (code 64).
struct EarlyExit {
  int code = 0;
  std::string text;
};

tl::expected<CommandLine, EarlyExit> parse_command_line(int argc, const char* const* argv);

}  // namespace ledgerline::collector
