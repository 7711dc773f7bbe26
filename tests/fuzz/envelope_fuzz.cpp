// F2: a batch from the network or a bundle. Whatever arrives, opening ends with a value or an
// Error; and what withholding leaves opens to no reading that was not there before.

#include <cstdlib>

#include "common/envelope.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ledgerline;
  const ByteView bytes(data, size);
  (void)peek_envelope(bytes);
  if (const auto batch = open_envelope(bytes)) (void)open_columns(*batch, {});

  const auto shown = open_envelope(bytes, Withheld::allowed);
  if (!shown) return 0;
  const auto before = open_disclosed(*shown, {});
  const auto less = withhold_others(bytes, {});
  if (!less) std::abort();
  const auto left = open_envelope(*less, Withheld::allowed);
  if (!left) std::abort();
  const auto after = open_disclosed(*left, {});
  if (before && (!after || after->columns.size() > before->columns.size())) std::abort();
  return 0;
}
