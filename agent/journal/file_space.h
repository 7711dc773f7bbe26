#pragma once
// Disk space held for the journal's file beyond its end, so that a commit does not find the disk
// full. The blocks belong to the file, which keeps its size; LMDB grows into them.

#include <functional>
#include <string>

#include "common/result.h"

namespace ledgerline::agent {

class FileSpace {
 public:
  /// Gives the file the blocks of [offset, offset + length) and leaves its size; false where the
  /// disk has not that many.
  using Allocate = std::function<bool(int fd, uint64_t offset, uint64_t length)>;
  static bool allocate(int fd, uint64_t offset, uint64_t length);
  /// Where the file cannot be opened, as of io::code_of_errno().
  static Result<FileSpace> open(const std::string& file, Allocate allocate = FileSpace::allocate);
  FileSpace(FileSpace&& other) noexcept;
  FileSpace& operator=(FileSpace&&) = delete;
  ~FileSpace();

  [[nodiscard]] Result<uint64_t> size() const;
  /// Bytes held beyond a file of `size` bytes: `wanted`, or as many as the disk could give so far.
  /// Asks the disk only where less is held. A file system that cannot hold space counts as having
  /// it: the floor of free disk space stands in.
  uint64_t hold(uint64_t size, uint64_t wanted);

 private:
  FileSpace(int fd, Allocate allocate) : fd_(fd), allocate_(std::move(allocate)) {}
  int fd_;
  Allocate allocate_;
  uint64_t held_upto_ = 0;
};

}  // namespace ledgerline::agent
