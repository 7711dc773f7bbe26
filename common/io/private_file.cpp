#include "common/io/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "common/io/system.h"
#include "common/io/system_error.h"

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

Status write_new_private_file(const std::string& path, std::string_view content) {
  // The name is taken first; what is written then replaces our own empty file.
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST)
    return fail(Error(Errc::conflict, "there is a file already, and a key is never written over")
                    .with("file", path));
  if (fd < 0) return fail(system_error("a file cannot be made", errno).with("file", path));
  ::close(fd);
  Status written = write_file_durably(path, content, 0600);
  if (!written) ::unlink(path.c_str());
  return written;
}

}  // namespace ledgerline::io
