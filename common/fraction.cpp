#include "common/fraction.h"

#include "common/check.h"

namespace ledgerline {

BigInt power_of_ten(int exponent) {
  return boost::multiprecision::pow(BigInt(10), static_cast<unsigned>(exponent));
}

BigInt to_big(const Int128& value) { return BigInt(value); }

BigInt divide_half_even(const BigInt& numerator, const BigInt& denominator) {
  CHECK_INVARIANT(denominator > 0);
  BigInt quotient;
  BigInt remainder;
  boost::multiprecision::divide_qr(numerator, denominator, quotient, remainder);
  const BigInt twice = 2 * boost::multiprecision::abs(remainder);
  const BigInt size = boost::multiprecision::abs(quotient);
  const bool odd = boost::multiprecision::bit_test(size, 0);
  if (twice > denominator || (twice == denominator && odd)) quotient += numerator < 0 ? -1 : 1;
  return quotient;
}

int compare(const Fraction& value, const Decimal& limit) {
  const BigInt left = value.numerator * power_of_ten(limit.scale());
  const BigInt right = to_big(limit.coefficient()) * value.denominator;
  return left.compare(right);
}

Result<Decimal> to_decimal(const Fraction& value, int scale) {
  const BigInt rounded = divide_half_even(value.numerator * power_of_ten(scale), value.denominator);
  if (boost::multiprecision::abs(rounded) >> 126 != 0)
    return fail(Errc::reject, "the value needs more than 126 bits");
  return Decimal(Int128(rounded), scale);
}

}  // namespace ledgerline
