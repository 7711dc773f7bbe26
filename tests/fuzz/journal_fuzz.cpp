// F2: a row of the journal, on a card that wears out. The first byte says of what kind. What
// decodes must encode to something that decodes to the same; of a damaged list of keys no entry is
// salvaged that cannot have been given.

#include <cstdlib>

#include "agent/journal/key_blocks.h"
#include "agent/journal/values.h"

namespace {

using namespace ledgerline;
using namespace ledgerline::agent;

/// `decode` for what decoding gives, which `encode` takes.
template <class Decode>
void round_trip(ByteView bytes, Decode decode) {
  const auto value = decode(bytes);
  if (!value) return;
  const Bytes stored = values::encode(*value);
  const auto again = decode(stored);
  if (!again || values::encode(*again) != stored) std::abort();
}

void salvage(ByteView bytes) {
  constexpr Seq kNextSeq = 1'000'000;
  if (bytes.size() < KeyHash::kSize) return;
  const KeyHash last = *KeyHash::from(bytes.first(KeyHash::kSize));
  const auto left = salvage_entries(bytes.subspan(KeyHash::kSize), last, kNextSeq);
  const Bytes block = encode_entries(left);
  if (decode_entries(block) != left) std::abort();
  for (const KeyEntry& each : left) {
    if (each.hash > last || !is_given(each.range, kNextSeq)) std::abort();
    if (find_in_block(block, each.hash).empty()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const ByteView bytes(data + 1, size - 1);
  switch (data[0] % 10) {
    case 0:
      round_trip(bytes, values::decode_state);
      break;
    case 1:
      round_trip(bytes, values::decode_meters);
      break;
    case 2:
      round_trip(bytes, values::decode_run);
      break;
    case 3:
      round_trip(bytes, values::decode_skeleton);
      break;
    case 4:
      round_trip(bytes, values::decode_fresh_keys);
      break;
    case 5:
      round_trip(bytes, values::decode_key_packs);
      break;
    case 6:
      round_trip(bytes, values::decode_dropped);
      break;
    case 7:
      round_trip(bytes, values::decode_log_sightings);
      break;
    case 8:
      round_trip(bytes, values::decode_boots);
      break;
    case 9:
      salvage(bytes);
      break;
  }
  return 0;
}
