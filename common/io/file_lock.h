#pragma once
// Lets one process at a time through a section that several commands may reach together. The kernel
// drops the lock with the process, however it ends.

#include <string>

#include "common/result.h"

namespace ledgerline::io {

class FileLock {
 public:
  /// Waits for whoever holds it: hold it for one read-modify-write and no longer. The file is made
  /// where absent and stays. Errc::config where it cannot be made or locked.
  static Result<FileLock> acquire(const std::string& file);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace ledgerline::io
