#include "agent/core/meter_value.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "common/decimal.h"
#include "common/fraction.h"

namespace ledgerline::agent {

namespace {

/// The common case without 128-bit arithmetic: at most 18 digits, no more places than the meter
/// has.
std::optional<int64_t> plain_value(std::string_view text, int scale) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.size() > 18) return std::nullopt;
  int64_t coefficient = 0;
  int places = -1;
  size_t digits_before_point = 0;
  for (const char c : text) {
    if (c == '.') {
      if (places >= 0 || digits_before_point == 0) return std::nullopt;
      places = 0;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    coefficient = coefficient * 10 + (c - '0');
    if (places < 0)
      ++digits_before_point;
    else
      ++places;
  }
  if (places == 0 || std::max(places, 0) > scale) return std::nullopt;
  for (int i = std::max(places, 0); i < scale; ++i) {
    if (__builtin_mul_overflow(coefficient, int64_t{10}, &coefficient)) return std::nullopt;
  }
  return negative ? -coefficient : coefficient;
}

}  // namespace

Result<int64_t> scaled_value(std::string_view text, int scale) {
  if (const auto value = plain_value(text, scale)) return *value;
  TRY(const Decimal decimal, Decimal::parse(text));
  const auto scaled = decimal.rounded(scale, Rounding::down);
  if (scaled && !(*scaled == decimal)) {
    return fail(Errc::reject,
                "it has more than the meter's " + std::to_string(scale) + " decimal places");
  }
  constexpr auto kMax = std::numeric_limits<int64_t>::max();
  if (!scaled || scaled->coefficient() > kMax || scaled->coefficient() < -kMax) {
    return fail(Errc::reject, "it is too large for the meter's " + std::to_string(scale) +
                                  " decimal places and 64 bits");
  }
  return static_cast<int64_t>(scaled->coefficient());
}

Result<int64_t> scaled_quotient(std::string_view text, std::string_view rate, int scale) {
  TRY(const Decimal value, Decimal::parse(text));
  TRY(const Decimal share, Decimal::parse(rate));
  if (share.is_zero() || share.is_negative() || share > Decimal::integer(1))
    return fail(Errc::reject, "its sample rate is not above 0 and at most 1");
  const BigInt numerator = to_big(value.coefficient()) * power_of_ten(share.scale() + scale);
  const BigInt denominator = to_big(share.coefficient()) * power_of_ten(value.scale());
  const BigInt quotient = numerator / denominator;
  if (quotient * denominator != numerator)
    return fail(Errc::reject, "divided by its sample rate it has more than the meter's " +
                                  std::to_string(scale) + " decimal places");
  constexpr auto kMax = std::numeric_limits<int64_t>::max();
  if (quotient > kMax || quotient < -kMax)
    return fail(Errc::reject, "divided by its sample rate it is too large for the meter");
  return static_cast<int64_t>(quotient);
}

}  // namespace ledgerline::agent
