#include "common/sections.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string_view>

#include "common/check.h"

namespace ledgerline {

namespace {

/// One section while it is filled.
struct Part {
  explicit Part(const Columns& from) : builder(from.first_seq), source(from) {}

  ColumnsBuilder builder;
  ColumnsBuilder::Source source;
  std::vector<Seq> seqs;

  Columns take() {
    Columns out = builder.take();
    const bool consecutive = seqs.empty() || seqs.back() - out.first_seq + 1 == seqs.size();
    if (!consecutive) out.seqs = std::move(seqs);
    return out;
  }
};

}  // namespace

size_t readings_within(const Columns& columns, size_t subjects_max) {
  std::set<std::string_view> subjects;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns.subject_indexes[i] == 0) continue;
    subjects.insert(columns.subject(i));
    if (subjects.size() > subjects_max) return i;
  }
  return columns.size();
}

std::vector<Columns> split_by_subject(const Columns& columns) {
  CHECK_INVARIANT(columns.seqs.empty());
  std::vector<Part> parts;
  parts.emplace_back(columns);
  std::map<std::string_view, size_t> places{{std::string_view(), 0}};
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto [place, added] = places.try_emplace(columns.subject(i), parts.size());
    if (added) parts.emplace_back(columns);
    CHECK_INVARIANT(parts.size() <= kSectionsMax);
    Part& part = parts[place->second];
    part.builder.add(part.source, i);
    part.seqs.push_back(columns.seq(i));
  }

  std::vector<Columns> out;
  for (Part& part : parts) out.push_back(part.take());
  out.front().records = columns.records;
  return out;
}

Result<Columns> join_sections(std::span<const Columns> sections, Seq first_seq, Seq last_seq) {
  constexpr size_t kNone = std::numeric_limits<size_t>::max();
  struct Place {
    size_t section = kNone;
    size_t index = 0;
  };
  // The manifest names at most Columns::kReadingsMax seqs, the sections none beyond them.
  CHECK_INVARIANT(last_seq - (first_seq - 1) <= Columns::kReadingsMax);
  const auto index_of = [first_seq](Seq seq) { return static_cast<size_t>(seq - first_seq); };
  std::vector<Place> places(index_of(last_seq + 1));
  for (size_t s = 0; s < sections.size(); ++s) {
    for (size_t i = 0; i < sections[s].size(); ++i) {
      Place& place = places.at(index_of(sections[s].seq(i)));
      if (place.section != kNone)
        return fail(Errc::corrupt, "a batch's sections hold the same reading twice");
      place = {.section = s, .index = i};
    }
  }

  ColumnsBuilder builder(first_seq);
  std::vector<ColumnsBuilder::Source> sources(sections.begin(), sections.end());
  std::vector<Seq> seqs;
  for (size_t at = 0; at < places.size(); ++at) {
    const auto [section, index] = places[at];
    if (section == kNone) continue;
    builder.add(sources[section], index);
    seqs.push_back(first_seq + at);
  }
  Columns out = builder.take();
  if (seqs.size() != places.size()) out.seqs = std::move(seqs);
  if (!sections.empty()) out.records = sections.front().records;
  return out;
}

}  // namespace ledgerline
