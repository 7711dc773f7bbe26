#include "agent/core/file_place.h"

#include <algorithm>

#include "common/check.h"
#include "common/crypto.h"

namespace ledgerline::agent {

namespace {

constexpr uint8_t kVersion = 2;
constexpr uint8_t kVersionWithoutBoot = 1;
constexpr uint8_t kFlagInLongLine = 1;
constexpr size_t kFixedSize = 1 + 8 + 8 + Digest::kSize + 8 + 5 * 8 + 1;
constexpr size_t kCheckpointSize = 8 + Digest::kSize;

void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

/// Takes what the bookmark says from its front. Behind the end everything is 0 and empty.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  uint64_t number() {
    const ByteView bytes = take(8);
    return bytes.size() == 8 ? big_endian64(bytes) : 0;
  }
  uint8_t byte() {
    const ByteView bytes = take(1);
    return bytes.empty() ? uint8_t{0} : bytes[0];
  }
  std::string text(size_t size) { return string_of(take(size)); }
  Result<Digest> digest() { return Digest::from(take(Digest::kSize)); }
  ByteView take(size_t size) {
    if (size > rest_.size()) failed_ = true;
    const ByteView out = failed_ ? ByteView() : rest_.first(size);
    rest_ = rest_.subspan(out.size());
    return out;
  }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] size_t left() const { return rest_.size(); }

 private:
  ByteView rest_;
  bool failed_ = false;
};

void append_since_version_2(Bytes& out, const FilePlace& place) {
  append_big_endian64(out, place.counters.cut_tails);
  out.push_back(static_cast<uint8_t>(place.boot.size()));
  append(out, bytes_of(place.boot));
  out.push_back(static_cast<uint8_t>(place.ends.head.size() >> 8));
  out.push_back(static_cast<uint8_t>(place.ends.head.size() & 0xff));
  append(out, bytes_of(place.ends.head));
  out.push_back(static_cast<uint8_t>(place.checkpoints.size()));
  for (const Checkpoint& each : place.checkpoints) {
    append_big_endian64(out, each.offset);
    append(out, each.fingerprint.view());
  }
}

Status read_since_version_2(Reader& from, StoredPlace& out) {
  out.place.counters.cut_tails = from.number();
  out.place.boot = from.text(from.byte());
  const size_t head_high = from.byte();
  out.head = from.text(head_high << 8 | from.byte());
  const size_t checkpoints = from.byte();
  if (checkpoints > FilePlace::kCheckpointsMax || out.head.size() > FileEnds::kEndMax ||
      out.place.boot.size() > FilePlace::kBootMax || from.left() < checkpoints * kCheckpointSize) {
    return fail(Errc::corrupt, "a file's bookmark is longer or shorter than it says");
  }
  for (size_t i = 0; i < checkpoints; ++i) {
    Checkpoint& each = out.place.checkpoints.emplace_back();
    each.offset = from.number();
    TRY(each.fingerprint, from.digest());
  }
  return {};
}

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
  in_long_line = false;
  header.clear();
  ends = {};
  checkpoints.clear();
}

/// Of three in a row the middle one goes where its neighbours' distances from the place are about
/// the same: near the place, where most of what is lost begins, they stay dense.
void FilePlace::passed() {
  const uint64_t last = checkpoints.empty() ? 0 : checkpoints.back().offset;
  if (in_long_line || offset < last + kCheckpointBytes) return;
  checkpoints.push_back({.offset = offset, .fingerprint = ends.fingerprint()});
  for (size_t i = checkpoints.size() - 1; i-- > 1;) {
    const uint64_t older = offset - checkpoints[i - 1].offset;
    const uint64_t newer = offset - checkpoints[i + 1].offset;
    if (older <= 2 * newer) checkpoints.erase(checkpoints.begin() + static_cast<ptrdiff_t>(i));
  }
  if (checkpoints.size() > kCheckpointsMax) checkpoints.erase(checkpoints.begin());
}

void FilePlace::go_back(uint64_t to, FileEnds ends_there) {
  CHECK_INVARIANT(to <= offset);
  offset = to;
  in_long_line = false;
  ends = std::move(ends_there);
  std::erase_if(checkpoints, [&](const Checkpoint& each) { return each.offset > to; });
}

Bytes encode(const FilePlace& place) {
  CHECK_INVARIANT(place.header.size() <= FilePlace::kHeaderMax &&
                  place.boot.size() <= FilePlace::kBootMax &&
                  place.checkpoints.size() <= FilePlace::kCheckpointsMax);
  Bytes out;
  out.push_back(kVersion);
  append_big_endian64(out, place.inode);
  append_big_endian64(out, place.offset);
  append(out, place.ends.fingerprint().view());
  append_big_endian64(out, static_cast<uint64_t>(place.modified_ns));
  const FileCounters& counters = place.counters;
  for (const uint64_t counter : {counters.lines, counters.bad_lines, counters.readings,
                                 counters.truncations, counters.lost_files}) {
    append_big_endian64(out, counter);
  }
  out.push_back(place.in_long_line ? kFlagInLongLine : 0);
  append_since_version_2(out, place);
  out.insert(out.end(), place.header.begin(), place.header.end());
  return out;
}

Result<StoredPlace> decode_place(ByteView bytes) {
  Reader from(bytes);
  const uint8_t version = from.byte();
  if (bytes.size() < kFixedSize || (version != kVersion && version != kVersionWithoutBoot))
    return fail(Errc::corrupt, "a file's bookmark is none that this version reads");
  StoredPlace out;
  out.place.inode = from.number();
  out.place.offset = from.number();
  TRY(out.fingerprint, from.digest());
  out.place.modified_ns = static_cast<int64_t>(from.number());
  FileCounters& counters = out.place.counters;
  for (uint64_t* counter : {&counters.lines, &counters.bad_lines, &counters.readings,
                            &counters.truncations, &counters.lost_files}) {
    *counter = from.number();
  }
  out.place.in_long_line = (from.byte() & kFlagInLongLine) != 0;
  if (version != kVersionWithoutBoot) TRY_VOID(read_since_version_2(from, out));
  if (from.failed() || from.left() > FilePlace::kHeaderMax)
    return fail(Errc::corrupt, "a file's bookmark is longer or shorter than it says");
  out.place.header = from.text(from.left());
  return out;
}

}  // namespace ledgerline::agent
