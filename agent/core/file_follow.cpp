#include "agent/core/file_follow.h"

#include <algorithm>
#include <array>

namespace ledgerline::agent {

FollowStep FileFollow::next(const FollowView& view) {
  if (!view.held) {
    quiet_polls_ = 0;
    return view.at_path ? FollowStep::open : FollowStep::wait;
  }
  if (view.held->size < view.offset || !view.same_content) {
    quiet_polls_ = 0;
    return FollowStep::again;
  }
  if (view.held->size > view.offset && view.held->size != view.seen_size) {
    quiet_polls_ = 0;
    return FollowStep::read;
  }
  // As long as the new file is empty nothing is missed by staying, and its writer may still be
  // writing to the old one.
  const bool rotated = view.at_path && view.at_path->id != view.held->id && view.at_path->size > 0;
  if (!rotated) {
    quiet_polls_ = 0;
    return FollowStep::wait;
  }
  if (view.polled) ++quiet_polls_;
  if (quiet_polls_ < kQuietPolls) return FollowStep::wait;
  quiet_polls_ = 0;
  return FollowStep::next_file;
}

RotatedName rotated_name(std::string_view base, std::string_view name) {
  constexpr std::array<std::string_view, 6> kCompressed = {".gz",  ".xz",  ".bz2",
                                                           ".zst", ".lz4", ".Z"};
  if (!name.starts_with(base)) return RotatedName::no;
  name.remove_prefix(base.size());
  RotatedName out = RotatedName::plain;
  for (const std::string_view ending : kCompressed) {
    if (!name.ends_with(ending)) continue;
    name.remove_suffix(ending.size());
    out = RotatedName::compressed;
    break;
  }
  const bool begins = name.starts_with('.') || name.starts_with('-') || name.starts_with('_');
  const bool dated = name.find_first_not_of("0123456789.-_T") == std::string_view::npos &&
                     name.find_first_of("0123456789") != std::string_view::npos;
  return begins && dated ? out : RotatedName::no;
}

NextRotated next_rotated(std::string_view base, std::vector<RotatedFile> files,
                         const RotatedFile& read) {
  if (read.facts.modified_ns == 0) return {};
  std::sort(files.begin(), files.end(), [](const RotatedFile& a, const RotatedFile& b) {
    return a.facts.modified_ns < b.facts.modified_ns;
  });
  NextRotated out;
  for (RotatedFile& file : files) {
    const RotatedName kind = rotated_name(base, file.name);
    if (kind == RotatedName::no || file.facts.modified_ns <= read.facts.modified_ns ||
        file.facts.size == 0 || (read.facts.id != FileId{} && file.facts.id == read.facts.id)) {
      continue;
    }
    if (file.facts.size == read.facts.size && file.head == read.head) continue;
    if (kind == RotatedName::compressed) {
      ++out.compressed;
      continue;
    }
    out.file = std::move(file);
    return out;
  }
  return out;
}

}  // namespace ledgerline::agent
