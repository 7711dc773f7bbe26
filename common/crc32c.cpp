#include "common/crc32c.h"

#include <array>

namespace ledgerline {

namespace {

/// Slicing-by-8 tables of the reflected polynomial 0x82f63b78 (RFC 3720 appendix B.4 gives check
/// values).
constexpr std::array<std::array<uint32_t, 256>, 8> make_tables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    tables[0][i] = crc;
  }
  for (size_t t = 1; t < 8; ++t) {
    for (size_t i = 0; i < 256; ++i) {
      const uint32_t before = tables[t - 1][i];
      tables[t][i] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr auto kTables = make_tables();

}  // namespace

uint32_t crc32c(ByteView bytes, uint32_t seed) {
  uint32_t crc = ~seed;
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    const uint8_t* b = bytes.data() + i;
    crc = kTables[7][(crc ^ b[0]) & 0xff] ^ kTables[6][((crc >> 8) ^ b[1]) & 0xff] ^
          kTables[5][((crc >> 16) ^ b[2]) & 0xff] ^ kTables[4][((crc >> 24) ^ b[3]) & 0xff] ^
          kTables[3][b[4]] ^ kTables[2][b[5]] ^ kTables[1][b[6]] ^ kTables[0][b[7]];
  }
  for (; i < bytes.size(); ++i) crc = (crc >> 8) ^ kTables[0][(crc ^ bytes[i]) & 0xff];
  return ~crc;
}

Bytes with_checksum(ByteView key, ByteView value) {
  Bytes out;
  out.reserve(value.size() + 4);
  out.insert(out.end(), value.begin(), value.end());
  append_big_endian32(out, crc32c(value, crc32c(key)));
  return out;
}

Result<ByteView> checked(ByteView key, ByteView stored) {
  if (stored.size() < 4) return fail(Errc::corrupt, "a stored value is shorter than its checksum");
  const ByteView value = stored.first(stored.size() - 4);
  if (big_endian32(stored.last(4)) != crc32c(value, crc32c(key))) {
    return fail(Error(Errc::corrupt, "a stored value does not match its checksum")
                    .with("key", to_hex(key)));
  }
  return value;
}

}  // namespace ledgerline
