#include "common/io/system.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "common/io/log.h"
#include "common/io/system_error.h"

namespace ledgerline::io {

namespace {

/// A time that time_t cannot hold (4 bytes, from 2038 on) is an error of the C library's; it counts
/// as 1970, which nobody takes for the time.
int64_t clock_ms(clockid_t id) {
  timespec now{};
  if (clock_gettime(id, &now) != 0) return 0;
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

tl::unexpected<Error> system_failure(const std::string& what, const std::string& path) {
  return fail(system_error(what, errno).with("file", path));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

bool write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    content.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

Timestamp SystemClock::now() { return Timestamp(clock_ms(CLOCK_REALTIME)); }
Monotonic SystemClock::monotonic() { return {clock_ms(CLOCK_BOOTTIME)}; }

Result<std::string> read_file(const std::string& path, size_t size_max) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const char* cannot_open = "a file cannot be opened";
  if (!file.ok() && errno == ENOENT)
    return fail(Error(Errc::not_found, std::string(cannot_open) + ": " + std::strerror(errno))
                    .with("file", path));
  if (!file.ok()) return system_failure(cannot_open, path);
  std::string out;
  char buffer[16384];
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure("a file cannot be read", path);
    if (got == 0) return out;
    if (out.size() + static_cast<size_t>(got) > size_max) {
      return fail(
          Error(Errc::config, "a file is larger than " + std::to_string(size_max) + " bytes")
              .with("file", path));
    }
    out.append(buffer, static_cast<size_t>(got));
  }
}

Status write_file_durably(const std::string& path, std::string_view content, unsigned mode) {
  const std::string temporary = path + ".new";
  {
    const FileDescriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!file.ok()) return system_failure("a file cannot be made", temporary);
    // A left-over of a crash may have had another mode.
    if (::fchmod(file.get(), mode) != 0 || !write_all(file.get(), content) ||
        ::fdatasync(file.get()) != 0)
      return system_failure("a file cannot be written", temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return system_failure("a file cannot be renamed", path);
  const auto parent = std::filesystem::path(path).parent_path();
  const FileDescriptor folder(
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.ok() || ::fsync(folder.get()) != 0)
    return system_failure("a folder cannot be synced", path);
  return {};
}

Status make_folders(const std::string& path, unsigned mode) {
  std::error_code error;
  const bool made = std::filesystem::create_directories(path, error);
  if (error) return fail(no_folder("a folder cannot be made", error.value()).with("folder", path));
  if (made && ::chmod(path.c_str(), mode) != 0)
    return system_failure("a folder's mode cannot be set", path);
  return {};
}

Result<uint64_t> free_disk_bytes(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return system_failure("free space cannot be read", path);
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

bool clock_is_synchronised() {
  timex state{};
  const int result = ::adjtimex(&state);
  if (result < 0) {
    // Asked with every reading of the clocks: said once.
    static const bool said = [reason = errno] {
      log_warn("clock_cannot_be_asked", {kv("reason", std::strerror(reason))});
      return true;
    }();
    static_cast<void>(said);
  }
  return result >= 0 && result != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

void keep_heap_small() {
  constexpr int kReturned = 128 * 1024;
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_MMAP_THRESHOLD, kReturned);
  ::mallopt(M_TRIM_THRESHOLD, kReturned);
}

void guard_memory() {
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace ledgerline::io
