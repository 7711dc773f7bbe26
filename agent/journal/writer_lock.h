#pragma once
// One process writes to a journal: two agents on one stream would fork it. A lock on a file, which
// the kernel drops with the process, however it ends.

#include <string>

#include "common/result.h"

namespace ledgerline::agent {

class WriterLock {
 public:
  /// Errc::conflict where another process holds it, Errc::config where the file cannot be made.
  static Result<WriterLock> take(const std::string& file);
  WriterLock(WriterLock&& other) noexcept;
  WriterLock& operator=(WriterLock&&) = delete;
  ~WriterLock();

 private:
  explicit WriterLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace ledgerline::agent
