#pragma once
// [[input.file]] of the configuration.

#include "agent/core/line_mapping.h"
#include "agent/inputs/inputs.h"

namespace ledgerline::agent {

struct FileOptions {
  std::string path;
  LineRules rules;
  Duration poll{250};
  std::string boot_id;                              // of the machine; empty where it is not known
  StreamClass stream_class = StreamClass::billing;  // of all its meters
};

/// Errc::config names the place in the configuration.
Result<FileOptions> read_file_options(TomlTable& table, const std::string& folder,
                                      const std::vector<MeterRow>& meters,
                                      const std::set<std::string, std::less<>>& diagnostic = {});

}  // namespace ledgerline::agent
