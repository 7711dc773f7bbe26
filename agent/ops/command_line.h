#pragma once
// ledgerline-agent's command line. The seam to CLI11.

#include <string>
#include <utility>
#include <vector>

#include "common/result.h"

namespace ledgerline::agent {

struct CommandLine {
  enum class Verb { run, check, status, enroll, record, diag };
  Verb verb = Verb::run;
  std::string config = "/etc/ledgerline/agent.toml";
  std::string log_level = "info";
  bool json = false;
  /// Of the request (empty: state/enrolment-request.pem), or of the archive.
  std::string out;
  // enroll
  std::string answer;  // file; empty: write a request
  std::string reason;
  bool replace = false;
  // record
  std::string meter;
  std::string value;
  std::string subject;
  std::string time;
  std::string id;
  std::vector<std::string> dimensions;  // name=value
};

/// Help, version or a mistake: what to print, where, and the exit code.
struct EarlyExit {
  int code = 0;
  std::string text;
};

tl::expected<CommandLine, EarlyExit> parse_command_line(int argc, const char* const* argv);

}  // namespace ledgerline::agent
