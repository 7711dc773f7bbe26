#include "common/base64.h"

namespace ledgerline {

namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

void encode_base64(ByteView bytes, char* out) {
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = bytes.size() - i;
    const uint32_t word = (uint32_t{bytes[i]} << 16U) |
                          (left > 1 ? uint32_t{bytes[i + 1]} << 8U : 0U) |
                          (left > 2 ? uint32_t{bytes[i + 2]} : 0U);
    *out++ = kDigits[word >> 18U];
    *out++ = kDigits[(word >> 12U) & 63U];
    *out++ = left > 1 ? kDigits[(word >> 6U) & 63U] : '=';
    *out++ = left > 2 ? kDigits[word & 63U] : '=';
  }
}

std::string to_base64(ByteView bytes) {
  std::string out(base64_size(bytes.size()), '=');
  encode_base64(bytes, out.data());
  return out;
}

Result<Bytes> from_base64(std::string_view text) {
  const auto wrong = [] { return fail(Errc::reject, "not base64 (RFC 4648, with padding)"); };
  if (text.size() % 4 != 0) return wrong();
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  Bytes out;
  out.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  unsigned count = 0;
  for (const char character : text.substr(0, text.size() - padding)) {
    const size_t digit = kDigits.find(character);
    if (digit == std::string_view::npos) return wrong();
    bits = (bits << 6U) | static_cast<uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<uint8_t>(bits >> count));
    bits &= (1U << count) - 1;
  }
  if (bits != 0) return wrong();
  return out;
}

}  // namespace ledgerline
