#include "common/io/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/io/system_error.h"

namespace ledgerline::io {

Result<FileLock> FileLock::lock(const std::string& file, int operation) {
  FileLock lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  int result = lock.fd_;
  if (lock.fd_ >= 0) {
    do {
      result = ::flock(lock.fd_, operation);
    } while (result != 0 && errno == EINTR);
  }
  if (result >= 0) return lock;
  if (errno == EWOULDBLOCK)
    return fail(Error(Errc::conflict, "another process holds the lock").with("file", file));
  return fail(system_error("a file cannot be locked", errno).with("file", file));
}

Result<FileLock> FileLock::acquire(const std::string& file) { return lock(file, LOCK_EX); }

Result<FileLock> FileLock::try_acquire(const std::string& file) {
  return lock(file, LOCK_EX | LOCK_NB);
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace ledgerline::io
