#pragma once
// Exact fractions of unbounded integers, for means and straight lines through readings: what
// Decimal cannot hold. Pure.

#include <boost/multiprecision/cpp_int.hpp>

#include "common/decimal.h"

namespace ledgerline {

using BigInt = boost::multiprecision::cpp_int;

struct Fraction {
  BigInt numerator = 0;
  BigInt denominator = 1;  // above 0
};

BigInt power_of_ten(int exponent);
BigInt to_big(const Int128& value);
std::string to_text(const BigInt& value);
/// Errc::corrupt where it is no whole number of at most 1000 digits.
Result<BigInt> big_from_text(std::string_view text);
/// numerator / denominator, rounded half to even. Invariant: denominator > 0.
BigInt divide_half_even(const BigInt& numerator, const BigInt& denominator);

/// Below, at or above the limit: negative, 0, positive.
int compare(const Fraction& value, const Decimal& limit);
/// Rounded half to even. Errc::reject where it needs more than 126 bits.
Result<Decimal> to_decimal(const Fraction& value, int scale);

}  // namespace ledgerline
