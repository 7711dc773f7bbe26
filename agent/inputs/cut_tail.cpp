#include "agent/inputs/cut_tail.h"

#include <algorithm>

namespace ledgerline::agent {

namespace {

constexpr uint64_t kLastLineMax = 512 * 1024;

/// A line of the header alone is in every file of its kind.
bool tells_the_file(std::string_view head, const StoredPlace& read) {
  return !head.empty() && read.head.starts_with(head) && head.size() > read.place.header.size() + 1;
}

struct Passed {
  std::optional<uint64_t> intact;  // the newest checkpoint that the file still has
  bool any = false;                // the file is long enough for one
  bool damaged = false;            // it lost a newer one without being too short for it
};

Result<Passed> checkpoints_in(const FileHandle& file, uint64_t size, const StoredPlace& read) {
  Passed out;
  const auto& all = read.place.checkpoints;
  for (auto at = all.rbegin(); at != all.rend(); ++at) {
    if (at->offset > size) continue;
    out.any = true;
    TRY(const FileEnds ends, file.ends(at->offset));
    if (ends.fingerprint() == at->fingerprint) {
      out.intact = at->offset;
      break;
    }
    out.damaged = true;
  }
  return out;
}

Result<std::optional<uint64_t>> last_line_end(const FileHandle& file, uint64_t from,
                                              uint64_t size) {
  const uint64_t begin = size - std::min(size - from, kLastLineMax);
  TRY(const std::string text,
      file.read(begin, static_cast<size_t>(size - begin)));  // kLastLineMax at most
  const size_t end = text.rfind('\n');
  if (end != std::string::npos) return std::optional<uint64_t>(begin + end + 1);
  return from > 0 ? std::optional<uint64_t>(from) : std::nullopt;
}

}  // namespace

Result<std::optional<uint64_t>> end_of_what_is_left(const FileHandle& file,
                                                    const StoredPlace& read) {
  TRY(const FileFacts facts, file.facts());
  TRY(const std::string head, file.read(0, read.head.size()));
  if (!read.head.starts_with(head)) return std::optional<uint64_t>();
  TRY(const Passed passed, checkpoints_in(file, facts.size, read));
  const bool known = passed.any ? passed.intact.has_value() : tells_the_file(head, read);
  if (!known) return std::optional<uint64_t>();
  if (facts.size >= read.place.offset || passed.damaged) return passed.intact;
  return last_line_end(file, passed.intact.value_or(0), facts.size);
}

}  // namespace ledgerline::agent
