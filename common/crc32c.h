#pragma once
// CRC-32C (Castagnoli), the checksum of stored values: LMDB has none of its own.

#include <cstdint>

#include "common/bytes.h"
#include "common/result.h"

namespace ledgerline {

uint32_t crc32c(ByteView bytes, uint32_t seed = 0);

/// value || crc32c(key || value), big-endian. The key is covered so that a value at a wrong place
/// is noticed.
Bytes with_checksum(ByteView key, ByteView value);
/// The value without its checksum, viewing into `stored`. Errc::corrupt.
Result<ByteView> checked(ByteView key, ByteView stored);

}  // namespace ledgerline
