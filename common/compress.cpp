#include "common/compress.h"

#include <zstd.h>

#include <memory>

#include "common/check.h"

namespace ledgerline {

namespace {
struct FreeContext {
  void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
  void operator()(ZSTD_DCtx* c) const { ZSTD_freeDCtx(c); }
};
}  // namespace

Bytes compress(ByteView plain, int level) {
  // A context costs more to make than a batch to compress.
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
  CHECK_INVARIANT(context != nullptr);
  Bytes out(ZSTD_compressBound(plain.size()));
  const size_t size =
      ZSTD_compressCCtx(context.get(), out.data(), out.size(), plain.data(), plain.size(), level);
  CHECK_INVARIANT(ZSTD_isError(size) == 0);
  out.resize(size);
  return out;
}

Result<Bytes> decompress(ByteView frame, size_t plain_size) {
  if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != plain_size) {
    return fail(Errc::corrupt, "a zstd frame does not hold the size that the manifest names");
  }
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size()) {
    return fail(Errc::corrupt, "a zstd frame is cut short or has bytes behind it");
  }
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  CHECK_INVARIANT(context != nullptr);
  Bytes out(plain_size);
  const size_t size =
      ZSTD_decompressDCtx(context.get(), out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) != 0 || size != plain_size)
    return fail(Errc::corrupt, "a zstd frame does not decompress");
  return out;
}

}  // namespace ledgerline
