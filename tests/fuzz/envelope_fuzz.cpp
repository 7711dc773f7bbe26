// F2: a batch from the network. Whatever arrives, opening ends with a value or an Error.

#include "common/envelope.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ledgerline::ByteView bytes(data, size);
  (void)ledgerline::peek_envelope(bytes);
  const auto batch = ledgerline::open_envelope(bytes);
  if (batch) (void)ledgerline::open_columns(*batch, {});
  return 0;
}
