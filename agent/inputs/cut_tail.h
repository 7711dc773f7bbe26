#pragma once
// A file that lost the end of what was read of it when the machine's power went.

#include <optional>

#include "agent/inputs/file_handle.h"

namespace ledgerline::agent {

/// Where to go on in `file`, behind what is left of what was read of it; never 0. Nothing where it
/// is another file or a rewritten one, as far as what is left can tell.
Result<std::optional<uint64_t>> end_of_what_is_left(const FileHandle& file,
                                                    const StoredPlace& read);

}  // namespace ledgerline::agent
