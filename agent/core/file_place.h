#pragma once
// Where an input goes on in a file that is followed, and how it knows the file again. Pure.
//
// The bookmark's value: version[1]=2 inode[8] offset[8] fingerprint[32] modified_ns[8]
//   lines[8] bad_lines[8] readings[8] truncations[8] lost_files[8] flags[1] cut_tails[8]
//   boot_size[1] boot head_size[2] head checkpoints[1] (offset[8] fingerprint[32])* header,
//   all numbers big-endian; flags: 1 in_long_line. The header has what is left, up to kHeaderMax
//   bytes. Version 1, which is read too, has nothing between flags and header.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"

namespace ledgerline::agent {

struct FileId {
  uint64_t device = 0;
  uint64_t inode = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};

/// Since the input was made, restarts included.
struct FileCounters {
  uint64_t lines = 0;      // read, the bad ones among them
  uint64_t bad_lines = 0;  // that gave no reading because something was wrong with them
  uint64_t readings = 0;
  uint64_t truncations = 0;  // the file began again under its own name and inode
  uint64_t lost_files = 0;   // gone or compressed before they were read to their end
  uint64_t cut_tails = 0;    // a power cut took the end of what was read
  friend bool operator==(const FileCounters&, const FileCounters&) = default;
};

/// The ends of what was read of a file: the same bytes at the same places mean the same file, also
/// where an inode is used again or the file was cut and grew beyond the place.
struct FileEnds {
  static constexpr size_t kEndMax = 256;
  std::string head;  // the first bytes of the file
  std::string tail;  // the last ones before the place
  void take(std::string_view bytes);
  [[nodiscard]] Digest fingerprint() const;
  friend bool operator==(const FileEnds&, const FileEnds&) = default;
};

/// A line end that was passed, and the fingerprint of FileEnds there.
struct Checkpoint {
  uint64_t offset = 0;
  Digest fingerprint;
};

struct FilePlace {
  static constexpr size_t kHeaderMax = 32 * 1024;
  static constexpr size_t kBootMax = 64;
  static constexpr size_t kCheckpointsMax = 32;
  static constexpr uint64_t kCheckpointBytes = 4096;  // between two, at least

  uint64_t inode = 0;
  uint64_t offset = 0;        // behind the last line that was read
  int64_t modified_ns = 0;    // of the file when it was read last, or of the one before it
  bool in_long_line = false;  // the bytes up to the next end of line belong to a bad line
  std::string header;         // the first line, where it names the columns
  FileCounters counters;
  FileEnds ends;
  std::string boot;                     // the machine's boot id, empty where it is not known
  std::vector<Checkpoint> checkpoints;  // oldest first; the further back, the fewer

  /// The place is behind a chunk of lines: it becomes a checkpoint where the last one is far.
  void passed();
  /// Back to a line end before the place, with the ends of the file there.
  void go_back(uint64_t to, FileEnds ends_there);
  /// The beginning of another file.
  void begin(uint64_t new_inode);
};

Bytes encode(const FilePlace& place);

struct StoredPlace {
  FilePlace place;  // without its ends
  Digest fingerprint;
  std::string head;  // of its ends
};
/// Errc::corrupt where it is none.
Result<StoredPlace> decode_place(ByteView bytes);

}  // namespace ledgerline::agent
