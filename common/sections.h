#pragma once
// A batch's readings as sections by subject, and back (PROTOCOL.md "Sections by subject"). The
// first section holds every record and the readings of the device itself, each further one the
// readings of one subject, in the order of their first readings. Pure.

#include <span>
#include <vector>

#include "common/columns.h"
#include "common/result.h"

namespace ledgerline {

enum class Sections { one, by_subject };

inline constexpr size_t kSectionsMax = 64;
inline constexpr size_t kBatchSubjectsMax = kSectionsMax - 1;  // beside the device itself

/// How many readings from the front have at most `subjects_max` subjects beside the device itself.
size_t readings_within(const Columns& columns, size_t subjects_max);

/// Invariant: the readings leave no seq out and have at most kBatchSubjectsMax subjects.
std::vector<Columns> split_by_subject(const Columns& columns);

/// The readings of all sections by seq; `seqs` says which where they leave some out. Records come
/// from the first section. Errc::corrupt where two sections hold one seq. Invariant: each section's
/// seqs lie in [first_seq, last_seq].
Result<Columns> join_sections(std::span<const Columns> sections, Seq first_seq, Seq last_seq);

}  // namespace ledgerline
