#include "agent/journal/writer_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ledgerline::agent {

Result<WriterLock> WriterLock::take(const std::string& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return fail(Error(Errc::config,
                      std::string("the journal's lock cannot be made: ") + std::strerror(errno))
                    .with("file", file));
  }
  WriterLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  const bool held = errno == EWOULDBLOCK;
  return fail(Error(held ? Errc::conflict : Errc::config,
                    held ? std::string("another agent runs on this journal")
                         : std::string("the journal cannot be locked: ") + std::strerror(errno))
                  .with("file", file));
}

WriterLock::WriterLock(WriterLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

WriterLock::~WriterLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace ledgerline::agent
