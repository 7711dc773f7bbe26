#pragma once
// A lock on a file, held by one process at a time. The kernel drops it with the process, however it
// ends.

#include <string>

#include "common/result.h"

namespace ledgerline::io {

class FileLock {
 public:
  /// Waits for whoever holds it: hold it for one read-modify-write and no longer. The file is made
  /// where absent and stays. Where it cannot be made or locked, as of code_of_errno().
  static Result<FileLock> acquire(const std::string& file);
  /// Errc::conflict where another process holds it; errors as of acquire().
  static Result<FileLock> try_acquire(const std::string& file);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  static Result<FileLock> lock(const std::string& file, int operation);
  int fd_;
};

}  // namespace ledgerline::io
