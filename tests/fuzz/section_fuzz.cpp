// F2: the plain bytes of a section. What decodes must encode to something that decodes to the same.

#include <cstdlib>

#include "common/sections.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ledgerline;
  MeterRows meters;
  meters[1] = {.number = 1, .name = "d", .kind = MeterKind::delta};
  meters[2] = {.number = 2, .name = "r", .kind = MeterKind::register_};
  meters[3] = {.number = 3, .name = "e", .kind = MeterKind::event, .forward_ids = true};
  const ByteView plain(data, size);
  const auto whole = decode_section(plain, 1, meters);
  if (whole) {
    const auto again = decode_section(encode_section(*whole, meters), 1, meters);
    if (!again || !(*again == *whole)) std::abort();
  }
  constexpr Seq kLast = Columns::kReadingsMax;
  const auto part = decode_subject_section(plain, 1, kLast, meters);
  if (part) {
    const auto again = decode_subject_section(encode_section(*part, meters), 1, kLast, meters);
    if (!again || !(*again == *part)) std::abort();
    if (!join_sections(std::span(&*part, 1), 1, kLast)) std::abort();
  }
  return 0;
}
