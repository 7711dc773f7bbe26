#pragma once
// Decides what to do next with a file that is followed by its name, while others rotate, cut and
// remove it. Pure: what the file system says comes in.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/file_place.h"

namespace ledgerline::agent {

struct FileFacts {
  FileId id;
  uint64_t size = 0;
  int64_t modified_ns = 0;
};

struct FollowView {
  std::optional<FileFacts> at_path;  // what the name means now
  std::optional<FileFacts> held;     // the open file
  bool same_content = true;          // the held file still has the bytes that were read of it
  uint64_t offset = 0;               // up to where it was read
  uint64_t seen_size = 0;            // its size when no whole line was left in it
  bool polled = true;                // a while after the time before, not at once
};

enum class FollowStep {
  wait,       // nothing new
  open,       // what stands at the path
  read,       // there are new bytes
  again,      // the held file was cut: from its beginning
  next_file,  // the held file has been rotated and read to its end
};

class FileFollow {
 public:
  /// Polls without growth before a rotated file counts as finished: several processes of a writer
  /// do not change to the new file in the same instant.
  static constexpr int kQuietPolls = 4;

  FollowStep next(const FollowView& view);

 private:
  int quiet_polls_ = 0;
};

enum class RotatedName { no, plain, compressed };
/// Whether `name` is what rotation makes of `base`: base and a number or date, such as
/// "access.log.1" or "access.log-20261120". Copies and other files that begin with the name are
/// none.
RotatedName rotated_name(std::string_view base, std::string_view name);

struct RotatedFile {
  std::string name;
  FileFacts facts;
  std::string head;  // its first bytes, up to FileEnds::kEndMax
};
struct NextRotated {
  std::optional<RotatedFile> file;
  uint64_t compressed = 0;  // files between that nobody can read any more
};
/// The file that was rotated next after `read`; none where nobody knows when that changed. One that
/// is as long and begins as `read` does is its copy and not another file.
NextRotated next_rotated(std::string_view base, std::vector<RotatedFile> files,
                         const RotatedFile& read);

}  // namespace ledgerline::agent
