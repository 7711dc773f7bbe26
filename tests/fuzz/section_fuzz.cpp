// F2: the plain bytes of a section. What decodes must encode to something that decodes to the same.

#include <cstdlib>

#include "common/columns.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ledgerline;
  MeterRows meters;
  meters[1] = {.number = 1, .name = "d", .kind = MeterKind::delta};
  meters[2] = {.number = 2, .name = "r", .kind = MeterKind::register_};
  meters[3] = {.number = 3, .name = "e", .kind = MeterKind::event, .forward_ids = true};
  const auto columns = decode_section(ByteView(data, size), 1, meters);
  if (!columns) return 0;
  const auto again = decode_section(encode_section(*columns, meters), 1, meters);
  if (!again || !(*again == *columns)) std::abort();
  return 0;
}
