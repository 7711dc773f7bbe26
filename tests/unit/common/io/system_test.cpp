#include "common/io/system.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace ledgerline::io {
namespace {

/// From here on this process may not ask the kernel how its clock is doing. False where no filter
/// can be set, as under qemu-user.
bool forbid_asking_the_clock() {
#ifdef SYS_clock_adjtime64
  constexpr uint32_t kClockAdjtime64 = SYS_clock_adjtime64;
#else
  constexpr uint32_t kClockAdjtime64 = SYS_clock_adjtime;
#endif
  std::array<sock_filter, 6> lines = {
      {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_adjtimex, 2, 0),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_adjtime, 1, 0),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kClockAdjtime64, 0, 1),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog program{.len = lines.size(), .filter = lines.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

std::string read_to_the_end(int fd) {
  std::string out;
  char buffer[1024];
  for (ssize_t got = 0; (got = ::read(fd, buffer, sizeof buffer)) > 0;)
    out.append(buffer, static_cast<size_t>(got));
  return out;
}

TEST_CASE("a sandbox that does not let the clock be asked is said once, and reads as no") {
  constexpr int kNoFilter = 2;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);

  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[1]);
    if (!forbid_asking_the_clock()) ::_exit(kNoFilter);
    const bool synchronised = clock_is_synchronised() || clock_is_synchronised();
    ::_exit(synchronised ? 1 : 0);
  }
  REQUIRE(child > 0);
  ::close(ends[1]);
  const std::string said = read_to_the_end(ends[0]);
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNoFilter) {
    WARN("no filter of system calls can be set here");
    return;
  }

  CHECK(WEXITSTATUS(status) == 0);
  INFO(said);
  const std::string event = R"(clock_cannot_be_asked reason="Operation not permitted")";
  const size_t first = said.find(event);
  REQUIRE(first != std::string::npos);
  CHECK(said.find(event, first + 1) == std::string::npos);
}

}  // namespace
}  // namespace ledgerline::io
