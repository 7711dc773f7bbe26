#include "agent/inputs/file_handle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "common/io/log.h"
#include "common/io/system_error.h"

namespace ledgerline::agent {

namespace {

static_assert(sizeof(off_t) == 8, "files beyond 2 GiB");

FileFacts facts_of(const struct stat& from) {
  return {.id = {.device = from.st_dev, .inode = from.st_ino},
          .size = static_cast<uint64_t>(from.st_size),
          .modified_ns = int64_t{from.st_mtim.tv_sec} * 1'000'000'000 + from.st_mtim.tv_nsec};
}

tl::unexpected<Error> failed(Errc code, const char* what) {
  return fail(code, std::string(what) + ": " + std::strerror(errno));
}

}  // namespace

Result<FileHandle> FileHandle::open(const std::string& path) {
  // Without O_NONBLOCK a pipe of that name would stop the agent.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return failed(errno == ENOENT ? Errc::not_found : io::code_of_errno(errno),
                  "it cannot be opened");
  FileHandle out(descriptor);
  struct stat found {};
  if (::fstat(descriptor, &found) != 0) return failed(Errc::retry, "it cannot be looked at");
  if (!S_ISREG(found.st_mode)) return fail(Errc::config, "it is no regular file");
  return out;
}

FileHandle::FileHandle(FileHandle&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileHandle::~FileHandle() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<FileFacts> FileHandle::facts() const {
  struct stat found {};
  if (::fstat(descriptor_, &found) != 0) return failed(Errc::retry, "it cannot be looked at");
  return facts_of(found);
}

Result<std::string> FileHandle::read(uint64_t offset, size_t size) const {
  std::string out(size, '\0');
  size_t filled = 0;
  while (filled < size) {
    const ssize_t count = ::pread(descriptor_, out.data() + filled, size - filled,
                                  static_cast<off_t>(offset + filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed(Errc::retry, "it cannot be read");
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  out.resize(filled);
  return out;
}

Result<FileEnds> FileHandle::ends(uint64_t offset) const {
  const auto size = static_cast<size_t>(std::min<uint64_t>(offset, FileEnds::kEndMax));
  FileEnds out;
  TRY(out.head, read(0, size));
  TRY(out.tail, read(offset - size, size));
  return out;
}

Result<std::optional<FileHandle>> open_seen(const std::string& path,
                                            const std::optional<FileFacts>& seen) {
  auto opened = FileHandle::open(path);
  const bool gone = !opened && opened.error().code() == Errc::not_found;
  if (gone && !seen) return std::optional<FileHandle>();
  if (!opened && !gone) return fail(Error(opened.error()).with("file", path));
  bool same = false;
  if (!gone) {
    TRY(const FileFacts facts, opened->facts());
    same = !seen || facts.id == seen->id;
  }
  if (!same) return fail(Errc::retry, "files were rotated while they were looked at");
  return std::optional<FileHandle>(std::move(*opened));
}

Result<std::optional<FileFacts>> facts_at(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0) return facts_of(found);
  if (errno == ENOENT) return std::nullopt;
  return failed(io::code_of_errno(errno), "it cannot be looked at");
}

std::vector<RotatedFile> files_beside(const std::string& path) {
  namespace fs = std::filesystem;
  const fs::path own(path);
  const std::string base = own.filename().string();
  std::vector<RotatedFile> out;
  std::error_code error;
  const fs::path folder = own.has_parent_path() ? own.parent_path() : fs::path(".");
  size_t seen = 0;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (++seen > kFolderEntriesMax) {
      io::log_warn("input_file_folder_too_large",
                   {io::kv("folder", folder.string()), io::kv("looked_at", kFolderEntriesMax)});
      break;
    }
    std::string name = at->path().filename().string();
    std::error_code ignored;
    if (name == base || !at->is_regular_file(ignored)) continue;
    const auto facts = facts_at(at->path().string());
    if (!facts || !*facts) continue;
    RotatedFile file{.name = std::move(name), .facts = **facts, .head = ""};
    if (rotated_name(base, file.name) == RotatedName::plain) {
      if (const auto handle = FileHandle::open(at->path().string()))
        file.head = handle->read(0, FileEnds::kEndMax).value_or("");
    }
    out.push_back(std::move(file));
  }
  return out;
}

}  // namespace ledgerline::agent
