#pragma once
// Exact decimal numbers: coefficient x 10^-scale. Quantities, prices and money are this and never
// floating point. Every operation is exact or an Error; the only rounding is the named call.

#include <boost/multiprecision/cpp_int.hpp>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace ledgerline {

/// Signed 128-bit integer that throws on overflow; inside this project the throw never leaves
/// common/decimal.cpp.
using Int128 = boost::multiprecision::checked_int128_t;

enum class Rounding { half_even, half_up, down };

class Decimal {
 public:
  static constexpr int kScaleMax = 18;

  Decimal() = default;
  /// Invariant: 0 <= scale <= kScaleMax.
  Decimal(Int128 coefficient, int scale);
  static Decimal integer(int64_t value) { return {Int128(value), 0}; }

  /// "123", "-0.005", "1.50" (plain notation, at most 38 digits, kScaleMax places). Errc::reject
  /// says what is wrong: empty, not a number, exponent, too many digits, too many places.
  static Result<Decimal> parse(std::string_view text);

  [[nodiscard]] const Int128& coefficient() const { return coefficient_; }
  [[nodiscard]] int scale() const { return scale_; }
  [[nodiscard]] bool is_zero() const { return coefficient_ == 0; }
  [[nodiscard]] bool is_negative() const { return coefficient_ < 0; }
  [[nodiscard]] Decimal negated() const;

  /// Plain notation with exactly scale() places.
  [[nodiscard]] std::string text() const;
  /// Trailing zeros after the point removed: 1.50 -> 1.5, 2.00 -> 2.
  [[nodiscard]] Decimal trimmed() const;
  /// The value at another scale, rounded where places are lost. Errc::reject on overflow.
  [[nodiscard]] Result<Decimal> rounded(int scale, Rounding mode) const;

  friend Result<Decimal> add(const Decimal& a, const Decimal& b);
  friend Result<Decimal> subtract(const Decimal& a, const Decimal& b);
  /// Exact; Errc::reject where the product needs more than 128 bits or kScaleMax places (trailing
  /// zeros do not count).
  friend Result<Decimal> multiply(const Decimal& a, const Decimal& b);

  /// By value: 1.5 == 1.50.
  friend bool operator==(const Decimal& a, const Decimal& b);
  friend std::strong_ordering operator<=>(const Decimal& a, const Decimal& b);

 private:
  Int128 coefficient_ = 0;
  int scale_ = 0;
};

Result<Decimal> add(const Decimal& a, const Decimal& b);
Result<Decimal> subtract(const Decimal& a, const Decimal& b);
Result<Decimal> multiply(const Decimal& a, const Decimal& b);
/// The exact product, rounded once to `scale` places: no intermediate limit but the result's 128
/// bits.
Result<Decimal> multiply_rounded(const Decimal& a, const Decimal& b, int scale, Rounding mode);

/// Two's complement, big-endian, shortest length that keeps the sign (1 to 16 bytes): how totals
/// are signed and stored.
std::string int128_to_bytes(const Int128& value);
/// Errc::corrupt for an empty, longer than 16 bytes or not shortest form.
Result<Int128> int128_from_bytes(std::string_view bytes);
/// Errc::reject on overflow.
Result<Int128> checked_add(const Int128& a, const Int128& b);

}  // namespace ledgerline
