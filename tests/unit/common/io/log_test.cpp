#include "common/io/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "common/io/system.h"

namespace ledgerline::io {
namespace {

/// What standard error gets while this lives.
class CapturedErrors {
 public:
  CapturedErrors() : kept_(::dup(STDERR_FILENO)) {
    const int fd = ::mkstemp(name_);
    REQUIRE(fd >= 0);
    ::dup2(fd, STDERR_FILENO);
    ::close(fd);
  }
  ~CapturedErrors() {
    ::dup2(kept_, STDERR_FILENO);
    ::close(kept_);
    ::unlink(name_);
  }
  std::string text() const { return read_file(name_).value(); }

 private:
  int kept_;
  char name_[32] = "/tmp/ledgerline-log-XXXXXX";
};

TEST_CASE("what a device says stays on its line and steers no terminal") {
  std::string text;
  {
    CapturedErrors captured;
    log_warn("refused", {kv("a", "x\x1b[2Jy\n2026 forged"), kv("b", "x\u202Ey"),
                         kv("c", "x\u009By"), kv("d", "plain"), kv("e", "back\\slash")});
    text = captured.text();
  }
  CHECK_THAT(text, Catch::EndsWith(R"(refused a="x\u001b[2Jy\n2026 forged" b="x\u202ey" )"
                                   R"(c="x\u009by" d=plain e="back\\slash")"
                                   "\n"));
}

}  // namespace
}  // namespace ledgerline::io
