#pragma once
// A fault that passes, as a test can make it: EMFILE.

#include <sys/resource.h>

namespace ledgerline::test {

/// While it lives, this process opens no further file. What is tried has to be done once before:
/// the sanitizer of undefined behaviour opens a pipe for each type of object that it meets first.
class NoMoreFiles {
 public:
  NoMoreFiles() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  NoMoreFiles(const NoMoreFiles&) = delete;
  NoMoreFiles& operator=(const NoMoreFiles&) = delete;
  ~NoMoreFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace ledgerline::test
