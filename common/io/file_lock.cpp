#include "common/io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ledgerline::io {

Result<FileLock> FileLock::acquire(const std::string& file) {
  FileLock lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  int result = lock.fd_;
  if (lock.fd_ >= 0) {
    do {
      result = ::flock(lock.fd_, LOCK_EX);
    } while (result != 0 && errno == EINTR);
  }
  if (result >= 0) return lock;
  return fail(Error(Errc::config, std::string("a file cannot be locked: ") + std::strerror(errno))
                  .with("file", file));
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace ledgerline::io
