#include "agent/core/file_place.h"

#include <algorithm>

#include "common/check.h"
#include "common/crypto.h"

namespace ledgerline::agent {

namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kFlagInLongLine = 1;
constexpr size_t kFixedSize = 1 + 8 + 8 + Digest::kSize + 8 + 5 * 8 + 1;

}  // namespace

void FileEnds::take(std::string_view bytes) {
  head.append(bytes.substr(0, kEndMax - head.size()));
  tail.append(bytes.substr(bytes.size() - std::min(bytes.size(), kEndMax)));
  if (tail.size() > kEndMax) tail.erase(0, tail.size() - kEndMax);
}

Digest FileEnds::fingerprint() const { return sha256({bytes_of(head), bytes_of(tail)}); }

void FilePlace::begin(uint64_t new_inode) {
  inode = new_inode;
  offset = 0;
  modified_ns = 0;
  in_long_line = false;
  header.clear();
  ends = {};
}

Bytes encode(const FilePlace& place) {
  CHECK_INVARIANT(place.header.size() <= FilePlace::kHeaderMax);
  Bytes out;
  out.push_back(kVersion);
  append_big_endian64(out, place.inode);
  append_big_endian64(out, place.offset);
  const Digest fingerprint = place.ends.fingerprint();
  out.insert(out.end(), fingerprint.view().begin(), fingerprint.view().end());
  append_big_endian64(out, static_cast<uint64_t>(place.modified_ns));
  const FileCounters& counters = place.counters;
  for (const uint64_t counter : {counters.lines, counters.bad_lines, counters.readings,
                                 counters.truncations, counters.lost_files}) {
    append_big_endian64(out, counter);
  }
  out.push_back(place.in_long_line ? kFlagInLongLine : 0);
  out.insert(out.end(), place.header.begin(), place.header.end());
  return out;
}

Result<StoredPlace> decode_place(ByteView bytes) {
  if (bytes.size() < kFixedSize || bytes.size() > kFixedSize + FilePlace::kHeaderMax ||
      bytes[0] != kVersion) {
    return fail(Errc::corrupt, "a file's bookmark is none that this version wrote");
  }
  size_t at = 1;
  const auto number = [&] {
    at += 8;
    return big_endian64(bytes.subspan(at - 8, 8));
  };
  StoredPlace out;
  out.place.inode = number();
  out.place.offset = number();
  TRY(out.fingerprint, Digest::from(bytes.subspan(at, Digest::kSize)));
  at += Digest::kSize;
  out.place.modified_ns = static_cast<int64_t>(number());
  FileCounters& counters = out.place.counters;
  for (uint64_t* counter : {&counters.lines, &counters.bad_lines, &counters.readings,
                            &counters.truncations, &counters.lost_files}) {
    *counter = number();
  }
  out.place.in_long_line = (bytes[at] & kFlagInLongLine) != 0;
  out.place.header = string_of(bytes.subspan(at + 1));
  return out;
}

}  // namespace ledgerline::agent
