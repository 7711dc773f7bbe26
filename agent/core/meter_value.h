#pragma once
// A value as text becomes the whole number that a reading carries: exact at the meter's scale, or
// refused. Pure.

#include <cstdint>
#include <string_view>

#include "common/result.h"

namespace ledgerline::agent {

/// Errc::reject with what is wrong in words: no number, more places than the meter has, too large.
Result<int64_t> scaled_value(std::string_view text, int scale);
/// text / rate, where a sender tells only a share of its events: above 0, at most 1. Errc::reject
/// also where the quotient has more places than the meter.
Result<int64_t> scaled_quotient(std::string_view text, std::string_view rate, int scale);

}  // namespace ledgerline::agent
