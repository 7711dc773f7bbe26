#pragma once
// Bytes of a file become one request's worth of readings, and the place behind them. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/file_place.h"
#include "agent/core/line_mapping.h"

namespace ledgerline::agent {

struct BadLine {
  static constexpr size_t kShownMax = 200;
  uint64_t offset = 0;  // of its first byte in its file
  std::string text;     // its beginning, control characters and broken UTF-8 as \xhh
  std::string reason;
  friend bool operator==(const BadLine&, const BadLine&) = default;
};

/// As a bad line shows it.
std::string shown_text(std::string_view line);

struct LineChunk {
  static constexpr size_t kLineMax = 64 * 1024;
  /// Each line adds at most LineRules::kReadingsMax readings of at most kReadingTextMax.
  static constexpr size_t kItemsMax = RecordLimits::kRequestReadingsMax - LineRules::kReadingsMax;
  static constexpr size_t kTextMax =
      RecordLimits::kRequestTextMax - LineRules::kReadingsMax * RecordLimits::kReadingTextMax;

  std::vector<RecordItem> items;
  std::vector<uint64_t> item_lines;  // of each item: the offset of its line
  std::string bytes;                 // the lines themselves
  uint64_t begin = 0;                // their offset
  std::vector<BadLine> bad;          // the newest, at most kBadMax
  std::optional<Timestamp> newest;   // time told by a line
  FilePlace after;                   // the place behind the lines

  static constexpr size_t kBadMax = 16;
};

enum class AtEnd {
  waits,  // a last line without an end of line is not written yet
  final,  // nothing more is written to the file: such a line was cut off
};

/// Takes as many whole lines as one request holds from `bytes`, which begin at place.offset.
/// chunk.after.offset == place.offset where there is no whole line.
LineChunk take_lines(const FilePlace& place, std::string_view bytes, AtEnd at_end,
                     LineMapper& mapper, Monotonic now);

/// Takes out all readings of the line of item `index`, which the recorder refused; the line is bad.
BadLine drop_line(LineChunk& chunk, size_t index, const std::string& reason);

}  // namespace ledgerline::agent
