#pragma once
// Files as the input `file` sees them: opened, asked, read and found. Every call blocks, for as
// long as a local disk needs.

#include <optional>
#include <string>
#include <vector>

#include "agent/core/file_follow.h"

namespace ledgerline::agent {

class FileHandle {
 public:
  /// Errc::not_found where there is nothing of that name, Errc::config where it is no regular file;
  /// where it cannot be opened, as of io::code_of_errno().
  static Result<FileHandle> open(const std::string& path);
  FileHandle(FileHandle&& other) noexcept;
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle();

  [[nodiscard]] Result<FileFacts> facts() const;
  /// Fewer bytes than `size` at the end of the file. Errc::retry where the disk fails.
  [[nodiscard]] Result<std::string> read(uint64_t offset, size_t size) const;
  /// What FileEnds would be had the file been read up to `offset`; shorter where it ends before.
  [[nodiscard]] Result<FileEnds> ends(uint64_t offset) const;

 private:
  explicit FileHandle(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

/// The file that was seen under that name; Errc::retry where it is another one or none by now.
/// Where none was seen, whatever is there.
Result<std::optional<FileHandle>> open_seen(const std::string& path,
                                            const std::optional<FileFacts>& seen);

/// Nothing where there is no file of that name.
Result<std::optional<FileFacts>> facts_at(const std::string& path);

/// The regular files in the folder of `path`, without it; at most kFolderEntriesMax are looked at.
/// Heads are read of those only that rotation may have made.
inline constexpr size_t kFolderEntriesMax = 10'000;
std::vector<RotatedFile> files_beside(const std::string& path);

}  // namespace ledgerline::agent
