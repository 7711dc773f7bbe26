#include "common/decimal.h"

#include <algorithm>
#include <stdexcept>

#include "common/check.h"

namespace ledgerline {

namespace {

constexpr int kDigitsMax = 38;

Int128 power_of_ten(int exponent) {
  Int128 out = 1;
  for (int i = 0; i < exponent; ++i) out *= 10;
  return out;
}

/// Runs exact integer arithmetic; the overflow that checked_int128_t throws becomes an Error.
template <class Compute>
auto exactly(Compute compute) -> Result<decltype(compute())> {
  try {
    return compute();
  } catch (const std::overflow_error&) {
    return fail(Errc::reject, "a number needs more than 128 bits");
  } catch (const std::range_error&) {
    return fail(Errc::reject, "a number needs more than 128 bits");
  }
}

}  // namespace

Decimal::Decimal(Int128 coefficient, int scale)
    : coefficient_(std::move(coefficient)), scale_(scale) {
  CHECK_INVARIANT(scale >= 0 && scale <= kScaleMax);
}

Result<Decimal> Decimal::parse(std::string_view text) {
  const std::string shown(text.substr(0, 60));
  const auto refuse = [&](const char* why) {
    return fail(Error(Errc::reject, why).with("value", shown));
  };
  size_t at = 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) ++at;
  Int128 coefficient = 0;
  int digits = 0;
  int scale = -1;  // -1: no point seen
  int digits_since_point = 0;
  bool digit_seen = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '.' && scale < 0 && digit_seen) {
      scale = 0;
      continue;
    }
    if (c == 'e' || c == 'E')
      return refuse("a number in exponent notation; write it out in plain digits");
    if (c < '0' || c > '9') return refuse("not a decimal number");
    digit_seen = true;
    if (digits > 0 || c != '0') ++digits;
    if (digits > kDigitsMax) return refuse("a number with more than 38 digits");
    if (scale >= 0) ++digits_since_point;
    if (digits_since_point > kScaleMax) return refuse("a number with more than 18 decimal places");
    coefficient = coefficient * 10 + (c - '0');
  }
  if (!digit_seen || (scale == 0 && digits_since_point == 0)) return refuse("not a decimal number");
  return Decimal(negative ? Int128(-coefficient) : coefficient, digits_since_point);
}

Decimal Decimal::negated() const { return {Int128(-coefficient_), scale_}; }

std::string Decimal::text() const {
  std::string digits = Int128(boost::multiprecision::abs(coefficient_)).str();
  if (scale_ > 0) {
    const auto places = static_cast<size_t>(scale_);
    if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
    digits.insert(digits.size() - places, ".");
  }
  return coefficient_ < 0 ? "-" + digits : digits;
}

Decimal Decimal::trimmed() const {
  Decimal out = *this;
  while (out.scale_ > 0 && out.coefficient_ % 10 == 0) {
    out.coefficient_ /= 10;
    --out.scale_;
  }
  return out;
}

Result<Decimal> Decimal::rounded(int scale, Rounding mode) const {
  CHECK_INVARIANT(scale >= 0 && scale <= kScaleMax);
  if (scale >= scale_) {
    TRY(Int128 raised,
        exactly([&] { return Int128(coefficient_ * power_of_ten(scale - scale_)); }));
    return Decimal(raised, scale);
  }
  const Int128 unit = power_of_ten(scale_ - scale);
  Int128 quotient = coefficient_ / unit;
  const Int128 remainder = boost::multiprecision::abs(Int128(coefficient_ % unit));
  const Int128 half = unit / 2;
  const bool away = mode == Rounding::half_up ? remainder >= half
                    : mode == Rounding::half_even
                        ? remainder > half || (remainder == half && quotient % 2 != 0)
                        : false;
  if (away) quotient += coefficient_ < 0 ? -1 : 1;
  return Decimal(quotient, scale);
}

Result<Decimal> add(const Decimal& a, const Decimal& b) {
  const int scale = std::max(a.scale_, b.scale_);
  TRY(Int128 sum, exactly([&] {
        return Int128(a.coefficient_ * power_of_ten(scale - a.scale_) +
                      b.coefficient_ * power_of_ten(scale - b.scale_));
      }));
  return Decimal(sum, scale);
}

Result<Decimal> subtract(const Decimal& a, const Decimal& b) { return add(a, b.negated()); }

Result<Decimal> multiply(const Decimal& a, const Decimal& b) {
  const Decimal left = a.trimmed();
  const Decimal right = b.trimmed();
  TRY(Int128 product, exactly([&] { return Int128(left.coefficient_ * right.coefficient_); }));
  int scale = left.scale_ + right.scale_;
  while (scale > Decimal::kScaleMax && product % 10 == 0) {
    product /= 10;
    --scale;
  }
  if (scale > Decimal::kScaleMax)
    return fail(Errc::reject, "a product needs more than 18 decimal places");
  return Decimal(product, scale);
}

Result<Decimal> multiply_rounded(const Decimal& a, const Decimal& b, int scale, Rounding mode) {
  CHECK_INVARIANT(scale >= 0 && scale <= Decimal::kScaleMax);
  using Wide = boost::multiprecision::checked_int512_t;  // 128 + 128 bits, and 60 for the scale
  Wide product = Wide(a.coefficient()) * Wide(b.coefficient());
  const int places = a.scale() + b.scale();
  for (int i = places; i < scale; ++i) product *= 10;
  if (places > scale) {
    Wide unit = 1;
    for (int i = scale; i < places; ++i) unit *= 10;
    const Wide remainder = boost::multiprecision::abs(Wide(product % unit));
    const bool negative = product < 0;
    product /= unit;
    const Wide twice = remainder * 2;
    const bool away = mode == Rounding::half_up ? twice >= unit
                      : mode == Rounding::half_even
                          ? twice > unit || (twice == unit && product % 2 != 0)
                          : false;
    if (away) product += negative ? -1 : 1;
  }
  TRY(Int128 coefficient, exactly([&] { return Int128(product); }));
  return Decimal(coefficient, scale);
}

std::strong_ordering operator<=>(const Decimal& a, const Decimal& b) {
  // A wider integer: bringing both to one scale may need 128 + 60 bits.
  using Wide = boost::multiprecision::checked_int256_t;
  const int scale = std::max(a.scale_, b.scale_);
  const Wide left = Wide(a.coefficient_) * Wide(power_of_ten(scale - a.scale_));
  const Wide right = Wide(b.coefficient_) * Wide(power_of_ten(scale - b.scale_));
  return left < right   ? std::strong_ordering::less
         : left > right ? std::strong_ordering::greater
                        : std::strong_ordering::equal;
}

bool operator==(const Decimal& a, const Decimal& b) {
  return (a <=> b) == std::strong_ordering::equal;
}

Result<Int128> checked_add(const Int128& a, const Int128& b) {
  return exactly([&] { return Int128(a + b); });
}

std::string int128_to_bytes(const Int128& value) {
  // Two's complement of a negative v is the complement of (-v - 1); arithmetic shifts on v are
  // avoided.
  const bool negative = value < 0;
  Int128 rest = negative ? Int128(-(value + 1)) : value;
  std::string reversed;
  do {
    const auto low = static_cast<uint8_t>(static_cast<unsigned>(rest % 256));
    reversed.push_back(static_cast<char>(negative ? static_cast<uint8_t>(~low) : low));
    rest /= 256;
  } while (rest != 0);
  const bool sign_bit = (static_cast<uint8_t>(reversed.back()) & 0x80) != 0;
  if (sign_bit != negative) reversed.push_back(negative ? '\xff' : '\0');
  return {reversed.rbegin(), reversed.rend()};
}

Result<Int128> int128_from_bytes(std::string_view bytes) {
  if (bytes.empty() || bytes.size() > 16)
    return fail(Errc::corrupt, "an integer is not 1 to 16 bytes long");
  const bool negative = (static_cast<uint8_t>(bytes[0]) & 0x80) != 0;
  Int128 value = 0;
  auto parsed = exactly([&] {
    for (const char c : bytes) {
      const auto byte = static_cast<uint8_t>(c);
      value = value * 256 + (negative ? static_cast<uint8_t>(~byte) : byte);
    }
    return negative ? Int128(-value - 1) : value;
  });
  if (!parsed || int128_to_bytes(*parsed) != bytes)
    return fail(Errc::corrupt, "an integer is not in its shortest form");
  return parsed;
}

}  // namespace ledgerline
