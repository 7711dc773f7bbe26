#pragma once
// Files that hold a private key or a password: used only where nobody else may read them.

#include <string>
#include <string_view>

#include "common/result.h"

namespace ledgerline::io {

/// As read_file; Errc::config, with the mode and the command that mends it, where group or others
/// have any right to the file.
Result<std::string> read_private_file(const std::string& path, size_t size_max = 64 << 10);

/// The same question about a file that a library reads by itself.
Status check_private_file(const std::string& path);

/// Durably, mode 0600. Errc::conflict where there is something of that name: a key is never
/// written over.
Status write_new_private_file(const std::string& path, std::string_view content);

}  // namespace ledgerline::io
