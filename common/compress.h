#pragma once
// The seam to zstd.

#include "common/bytes.h"
#include "common/result.h"

namespace ledgerline {

/// One zstd frame with its content size in the header. Level 1 is the measured choice for columns.
Bytes compress(ByteView plain, int level = 1);

/// The plain bytes of one frame that must be exactly plain_size long. Refuses before it allocates
/// where the header names another size, and needs no window larger than plain_size. Errc::corrupt.
Result<Bytes> decompress(ByteView frame, size_t plain_size);

}  // namespace ledgerline
