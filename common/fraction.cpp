#include "common/fraction.h"

#include "common/check.h"

namespace ledgerline {

BigInt power_of_ten(int exponent) {
  return boost::multiprecision::pow(BigInt(10), static_cast<unsigned>(exponent));
}

BigInt to_big(const Int128& value) { return BigInt(value); }

std::string to_text(const BigInt& value) { return value.str(); }

Result<BigInt> big_from_text(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  const bool is_number = !digits.empty() && digits.size() <= 1000 &&
                         digits.find_first_not_of("0123456789") == std::string_view::npos;
  if (!is_number) return fail(Errc::corrupt, "not a whole number");
  BigInt out = 0;
  for (const char digit : digits) out = out * 10 + (digit - '0');
  return text.size() == digits.size() ? out : BigInt(-out);
}

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
  const BigInt size = boost::multiprecision::abs(rounded);
  if (size != 0 && boost::multiprecision::msb(size) >= 126)
    return fail(Errc::reject, "the value needs more than 126 bits");
  return Decimal(Int128(rounded), scale);
}

}  // namespace ledgerline
