#pragma once
// Base64 of RFC 4648 section 4: with padding, without line breaks. Pure.

#include <string>
#include <string_view>

#include "common/bytes.h"

namespace ledgerline {

inline constexpr size_t base64_size(size_t bytes) { return (bytes + 2) / 3 * 4; }

/// Writes base64_size(bytes.size()) characters.
void encode_base64(ByteView bytes, char* out);
std::string to_base64(ByteView bytes);

/// Errc::reject for another character, a wrong length, or padding that hides bits.
Result<Bytes> from_base64(std::string_view text);

}  // namespace ledgerline
