#pragma once
// A value as text becomes the whole number that a reading carries: exact at the meter's scale, or
// refused. Pure.

#include <cstdint>
#include <string_view>

#include "common/result.h"

namespace ledgerline::agent {

/// Errc::reject with what is wrong in words: no number, more places than the meter has, too large.
Result<int64_t> scaled_value(std::string_view text, int scale);

}  // namespace ledgerline::agent
