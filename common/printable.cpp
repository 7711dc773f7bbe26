#include "common/printable.h"

#include <cstdint>

#include "common/bytes.h"

namespace ledgerline {

namespace {

bool steers(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/// Of the well-formed UTF-8 sequence at the beginning; 0 where there is none.
size_t sequence_length(std::string_view text) {
  for (size_t length = 1; length <= 4 && length <= text.size(); ++length) {
    if (is_utf8(text.substr(0, length))) return length;
  }
  return 0;
}

/// Of a well-formed sequence.
char32_t code_point(std::string_view sequence) {
  const auto lead = static_cast<uint8_t>(sequence.front());
  if (sequence.size() == 1) return lead;
  char32_t out = lead & (0x7fU >> sequence.size());
  for (const char c : sequence.substr(1)) out = out << 6 | (static_cast<uint8_t>(c) & 0x3fU);
  return out;
}

std::string hex(char32_t value, int digits) {
  std::string out;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out.push_back("0123456789abcdef"[value >> shift & 0xf]);
  return out;
}

std::string escape(char32_t c) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return "\\u" + hex(c, 4);
  }
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t length = sequence_length(text.substr(i));
    const std::string_view sequence = text.substr(i, length == 0 ? 1 : length);
    if (length == 0) {
      out += "\\x" + hex(static_cast<uint8_t>(sequence.front()), 2);
    } else if (const char32_t c = code_point(sequence); steers(c)) {
      out += escape(c);
    } else {
      out += sequence;
    }
    i += sequence.size();
  }
  return out;
}

std::string printable_lines(std::string_view text) {
  std::string out;
  for (;;) {
    const size_t end = text.find('\n');
    out += printable(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    out.push_back('\n');
    text.remove_prefix(end + 1);
  }
}

}  // namespace ledgerline
