#pragma once
// Disk space held for the journal's file beyond its end, so that a commit does not find the disk
// full. The blocks belong to the file, which keeps its size; LMDB grows into them.

#include <string>

#include "common/result.h"

namespace ledgerline::agent {

class FileSpace {
 public:
  /// Errc::config where the file cannot be opened.
  static Result<FileSpace> open(const std::string& file);
  FileSpace(FileSpace&& other) noexcept;
  FileSpace& operator=(FileSpace&&) = delete;
  ~FileSpace();

  [[nodiscard]] Result<uint64_t> size() const;
  /// Bytes held beyond a file of `size` bytes: `wanted`, or 0 where the disk cannot give them. Asks
  /// the disk only where the file has grown. A file system that cannot hold space counts as having
  /// it: the floor of free disk space stands in.
  uint64_t hold(uint64_t size, uint64_t wanted);

 private:
  explicit FileSpace(int fd) : fd_(fd) {}
  int fd_;
  uint64_t held_upto_ = 0;
};

}  // namespace ledgerline::agent
