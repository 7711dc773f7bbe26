#pragma once
// What of the agent's knowledge may leave the device in an archive for support. Lists of what may,
// never of what may not: a key that nobody thought of stays here. Not among them: keys, passwords,
// tokens, whatever was metered (subjects, dimensions, values, totals, lines of logs), and addresses
// that may carry a password. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "agent/ops/config.h"
#include "common/json.h"
#include "common/tar.h"

namespace ledgerline::agent {

/// The configuration in force. Of an input's table the allowed keys; the others by name alone.
std::string allowed_config(const AgentConfig& config);
/// Of status --json.
Json allowed_status(const Json& status);
/// Our own metrics without labels, which may be names of files or of what is metered.
std::string allowed_metrics(std::string_view text);
/// A message that may quote what it complains about: what stands in quotes becomes "...".
std::string unquoted(std::string_view message);

/// One file of the archive, or why there is none.
struct DiagPart {
  std::string name;
  std::string what;  // for contents.txt
  Result<std::string> content;
};

/// Below one folder: contents.txt first, then the parts in their order, each cut at `size_max`
/// bytes. A part that failed is named with its reason in contents.txt only.
std::vector<TarFile> diag_files(const std::vector<DiagPart>& parts, size_t size_max = 1 << 20);

}  // namespace ledgerline::agent
