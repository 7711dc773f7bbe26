#pragma once
// Bytes and the few encodings of them that keys, identifiers and files need. Pure.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace ledgerline {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

inline ByteView bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::string string_of(ByteView bytes) { return std::string(text_of(bytes)); }
inline Bytes copy_of(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

/// Lower case, two digits per byte.
std::string to_hex(ByteView bytes);
/// Errc::reject for an odd length or another character.
Result<Bytes> from_hex(std::string_view hex);

void append_big_endian16(Bytes& out, uint16_t value);
void append_big_endian32(Bytes& out, uint32_t value);
void append_big_endian64(Bytes& out, uint64_t value);
/// The first 4 or 8 bytes; the caller has checked the length.
uint32_t big_endian32(ByteView bytes);
uint64_t big_endian64(ByteView bytes);

/// True for well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF).
bool is_utf8(std::string_view text);

}  // namespace ledgerline
