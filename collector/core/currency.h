#pragma once
// ISO 4217: how many decimal places an amount of a currency has. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ledgerline::collector {

/// Nothing for a code that is not in use (or that has no minor unit, such as XAU).
std::optional<int> currency_exponent(std::string_view code);
std::vector<std::string> currency_codes();

}  // namespace ledgerline::collector
