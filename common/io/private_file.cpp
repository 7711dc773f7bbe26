#include "common/io/private_file.h"

#include <sys/stat.h>

#include <cstdio>

#include "common/io/system.h"

namespace ledgerline::io {

Status check_private_file(const std::string& path) {
  struct stat info {};
  // A file that cannot be looked at cannot be read either, and then the reader says why.
  if (::stat(path.c_str(), &info) != 0 || (info.st_mode & 077) == 0) return {};
  char mode[8];
  std::snprintf(mode, sizeof mode, "%04o", info.st_mode & 07777U);
  return fail(Error(Errc::config, "others have rights to this secret file; do: chmod 600 " + path)
                  .with("file", path)
                  .with("mode", mode));
}

Result<std::string> read_private_file(const std::string& path, size_t size_max) {
  TRY_VOID(check_private_file(path));
  return read_file(path, size_max);
}

}  // namespace ledgerline::io
