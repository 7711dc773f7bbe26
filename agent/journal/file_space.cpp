#include "agent/journal/file_space.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/io/system_error.h"

namespace ledgerline::agent {

static_assert(sizeof(off_t) == 8, "a journal's file may be larger than 2 GiB");

Result<FileSpace> FileSpace::open(const std::string& file, Allocate allocate) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd >= 0) return FileSpace(fd, std::move(allocate));
  return fail(io::system_error("the journal's file cannot be opened", errno).with("file", file));
}

FileSpace::FileSpace(FileSpace&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      allocate_(std::move(other.allocate_)),
      held_upto_(other.held_upto_) {}

FileSpace::~FileSpace() {
  if (fd_ >= 0) ::close(fd_);
}

Result<uint64_t> FileSpace::size() const {
  struct stat info {};
  if (::fstat(fd_, &info) == 0) return static_cast<uint64_t>(info.st_size);
  return fail(Errc::internal,
              std::string("the journal's file has no size: ") + std::strerror(errno));
}

bool FileSpace::allocate(int fd, uint64_t offset, uint64_t length) {
  const int result =
      ::fallocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(length));
  return result == 0 || errno == EOPNOTSUPP || errno == ENOSYS;
}

uint64_t FileSpace::hold(uint64_t size, uint64_t wanted) {
  if (size + wanted <= held_upto_) return wanted;
  // A quarter more than wanted, so that not every commit has to ask.
  for (const uint64_t length : {wanted + wanted / 4, wanted, wanted / 2, wanted / 4}) {
    if (size + length <= held_upto_) break;
    if (!allocate_(fd_, size, length)) continue;
    held_upto_ = size + length;
    break;
  }
  return held_upto_ > size ? std::min(held_upto_ - size, wanted) : 0;
}

}  // namespace ledgerline::agent
