#pragma once
// The operating system as the shells see it: clocks, files written durably, the machine's boot.

#include <string>
#include <string_view>

#include "common/bytes.h"
#include "common/result.h"
#include "common/time.h"

namespace ledgerline::io {

/// CLOCK_REALTIME and CLOCK_BOOTTIME.
class SystemClock final : public Clock {
 public:
  Timestamp now() override;
  Monotonic monotonic() override;
};

/// Errc::not_found where there is no such file, Errc::config where it is larger than size_max;
/// where it cannot be read, as of code_of_errno() (common/io/system_error.h), as all below.
Result<std::string> read_file(const std::string& path, size_t size_max = 16 << 20);

/// Temporary file, fdatasync, rename, fsync of the folder: the old or the new content, never a
/// mixture.
Status write_file_durably(const std::string& path, std::string_view content, unsigned mode = 0644);

/// Makes the folder and its parents.
Status make_folders(const std::string& path, unsigned mode = 0755);

/// Bytes that an unprivileged process may still write on the file system of `path`.
Result<uint64_t> free_disk_bytes(const std::string& path);

/// True where the kernel says that its clock is synchronised (adjtimex). False where a sandbox does
/// not let us ask, which is logged once.
bool clock_is_synchronised();

/// For a process of a gateway: its few threads share one heap instead of keeping one each, and what
/// a burst took goes back to the system. Before the first thread starts.
void keep_heap_small();

/// For a process that holds keys: no core file, no look into its memory by other processes of its
/// user. A connection that the other side closed is an error of the call, not a signal.
void guard_memory();

}  // namespace ledgerline::io
