#include "agent/core/line_chunk.h"

#include <algorithm>

#include "common/check.h"

namespace ledgerline::agent {

namespace {

class ChunkMaker {
 public:
  ChunkMaker(const FilePlace& place, LineMapper& mapper, Monotonic now)
      : mapper_(mapper), now_(now) {
    chunk_.begin = place.offset;
    chunk_.after = place;
  }

  void take(std::string_view bytes, AtEnd at_end) {
    std::string_view rest = bytes;
    while (!rest.empty() && !is_full()) {
      const size_t end = rest.find('\n');
      if (end == std::string_view::npos) {
        rest.remove_prefix(take_tail(rest, at_end));
        break;
      }
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end + 1);
      take_line(line);
      chunk_.after.offset += end + 1;
    }
    const std::string_view taken = bytes.substr(0, bytes.size() - rest.size());
    chunk_.bytes = taken;
    chunk_.after.ends.take(taken);
    chunk_.after.passed();
    chunk_.after.counters.readings += chunk_.items.size();
  }

  LineChunk finish() { return std::move(chunk_); }

 private:
  [[nodiscard]] bool is_full() const {
    return chunk_.items.size() >= LineChunk::kItemsMax || text_ >= LineChunk::kTextMax;
  }

  /// Returns how many bytes of a line without an end are taken.
  size_t take_tail(std::string_view tail, AtEnd at_end) {
    const bool too_long = tail.size() > LineChunk::kLineMax;
    if (at_end == AtEnd::waits && !too_long && !chunk_.after.in_long_line) return 0;
    if (!chunk_.after.in_long_line) {
      ++chunk_.after.counters.lines;
      bad(tail, too_long ? kTooLong : "the file ends within this line");
    }
    chunk_.after.in_long_line = at_end == AtEnd::waits;
    chunk_.after.offset += tail.size();
    return tail.size();
  }

  void take_line(std::string_view line) {
    if (chunk_.after.in_long_line) {  // its end; it was counted at its beginning
      chunk_.after.in_long_line = false;
      return;
    }
    ++chunk_.after.counters.lines;
    if (line.size() > LineChunk::kLineMax) return bad(line, kTooLong);
    std::string_view text = line;
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (mapper_.parser().needs_header()) return take_header(text);
    const size_t before = chunk_.items.size();
    const auto mapped = mapper_.map(text, now_, chunk_.items, chunk_.newest);
    if (!mapped) return bad(line, mapped.error().message());
    for (size_t i = before; i < chunk_.items.size(); ++i) {
      chunk_.item_lines.push_back(chunk_.after.offset);
      text_ += text_bytes(chunk_.items[i]);
    }
  }

  void take_header(std::string_view line) {
    if (line.size() > FilePlace::kHeaderMax) {
      static_cast<void>(mapper_.parser().read_header(""));  // the next line is none
      return bad(line, "the first line has more than 32 KiB");
    }
    chunk_.after.header = line;
    if (const auto read = mapper_.parser().read_header(line); !read)
      bad(line, read.error().message());
  }

  void bad(std::string_view line, std::string reason) {
    ++chunk_.after.counters.bad_lines;
    if (chunk_.bad.size() == LineChunk::kBadMax) chunk_.bad.erase(chunk_.bad.begin());
    chunk_.bad.push_back(
        {.offset = chunk_.after.offset, .text = shown_text(line), .reason = std::move(reason)});
  }

  static constexpr const char* kTooLong = "it is longer than 64 KiB";

  LineMapper& mapper_;
  Monotonic now_;
  LineChunk chunk_;
  size_t text_ = 0;
};

void escape(char c, std::string& out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  out.append("\\x").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
}

size_t utf8_size(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
}

}  // namespace

std::string shown_text(std::string_view line) {
  const bool cut = line.size() > BadLine::kShownMax;
  line = line.substr(0, BadLine::kShownMax);
  std::string out;
  while (!line.empty()) {
    const size_t size = std::min(utf8_size(line[0]), line.size());
    const std::string_view one = line.substr(0, size);
    const bool control = static_cast<unsigned char>(one[0]) < 0x20 || one[0] == 0x7f;
    if (control || !is_utf8(one)) {
      escape(one[0], out);
      line.remove_prefix(1);
    } else {
      out += one;
      line.remove_prefix(size);
    }
  }
  return cut ? out + "..." : out;
}

LineChunk take_lines(const FilePlace& place, std::string_view bytes, AtEnd at_end,
                     LineMapper& mapper, Monotonic now) {
  if (place.offset == 0) mapper.parser().forget_header();
  ChunkMaker maker(place, mapper, now);
  maker.take(bytes, at_end);
  return maker.finish();
}

BadLine drop_line(LineChunk& chunk, size_t index, const std::string& reason) {
  CHECK_INVARIANT(index < chunk.items.size() && chunk.items.size() == chunk.item_lines.size());
  const uint64_t offset = chunk.item_lines[index];
  size_t kept = 0;
  for (size_t i = 0; i < chunk.items.size(); ++i) {
    if (chunk.item_lines[i] == offset) continue;
    if (kept != i) {
      chunk.items[kept] = std::move(chunk.items[i]);
      chunk.item_lines[kept] = chunk.item_lines[i];
    }
    ++kept;
  }
  const auto begin = static_cast<size_t>(offset - chunk.begin);  // one of its lines
  const std::string_view rest = std::string_view(chunk.bytes).substr(begin);
  chunk.after.counters.readings -= chunk.items.size() - kept;
  ++chunk.after.counters.bad_lines;
  chunk.items.resize(kept);
  chunk.item_lines.resize(kept);
  return {.offset = offset, .text = shown_text(rest.substr(0, rest.find('\n'))), .reason = reason};
}

}  // namespace ledgerline::agent
