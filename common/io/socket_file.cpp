#include "common/io/socket_file.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "common/io/system.h"

namespace ledgerline::io {

namespace {

/// 0, or the errno of an attempt to connect.
int try_connect(const std::string& path, int type) {
  const int probe = ::socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (probe < 0) return errno;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int done = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int why = done == 0 ? 0 : errno;
  ::close(probe);
  return why;
}

}  // namespace

Status free_socket_path(const std::string& path, int type) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail(Error(Errc::config, "a Unix socket's path has at most 107 characters")
                    .with("address", path));
  }
  const auto parent = std::filesystem::path(path).parent_path().string();
  if (!parent.empty()) TRY_VOID(make_folders(parent));
  const int why = try_connect(path, type);
  if (why == EPROTOTYPE)
    return fail(Error(Errc::config, "a socket of another kind is there; give each its own path")
                    .with("address", path));
  if (why == 0)
    return fail(
        Error(Errc::retry, "another process listens on this socket; end it, or set another address")
            .with("address", path));
  struct stat info {};
  if (why == ECONNREFUSED && ::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode))
    ::unlink(path.c_str());
  return {};
}

}  // namespace ledgerline::io
