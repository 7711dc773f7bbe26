#pragma once
// Writes a plain tar archive (POSIX ustar) of text files: what opens everywhere, and needs no
// library. Pure.

#include <span>
#include <string>

#include "common/result.h"
#include "common/time.h"

namespace ledgerline {

struct TarFile {
  std::string name;  // 1 to 99 bytes, with its folders
  std::string content;
};

/// In the files' order, each with mode 0600 and the time `at`, owned by root. Errc::reject for a
/// name that does not fit.
Result<std::string> tar_archive(std::span<const TarFile> files, Timestamp at);

}  // namespace ledgerline
