#include "collector/core/rating.h"

#include <catch2/catch.hpp>

#include "collector/core/currency.h"

namespace ledgerline::collector {
namespace {

Decimal dec(std::string_view text) { return Decimal::parse(text).value(); }

Price price(const char* included, std::vector<std::pair<const char*, const char*>> tiers) {
  Price out{
      .meter = "m", .product = "P", .description = "d", .included = dec(included), .tiers = {}};
  for (const auto& [up_to, unit_price] : tiers) {
    Tier tier;
    if (*up_to != 0) tier.up_to = dec(up_to);
    tier.unit_price = dec(unit_price);
    out.tiers.push_back(tier);
  }
  return out;
}

/// "billable@price=amount" of each line.
std::string rated(const char* quantity, const Price& by, int exponent = 2) {
  const RateCard card{.name = "card", .version = 3, .currency = "EUR", .from = {}, .prices = {}};
  const auto lines =
      rate({.subscription = "s", .meter = "m", .unit = "1", .quantity = dec(quantity), .count = 1},
           card, by, exponent);
  if (!lines) return lines.error().text();
  std::string out;
  for (const RatedLine& line : *lines) {
    out += (out.empty() ? "" : " ") + line.billable_quantity.text() + "@" + line.unit_price.text() +
           "=" + line.amount.text();
  }
  return out;
}

TEST_CASE("a quantity becomes lines") {
  const Price plain = price("0", {{"", "0.0035"}});
  const Price allowance = price("1000", {{"", "0.0035"}});
  const Price tiers = price("0", {{"100", "1.00"}, {"200", "0.50"}, {"", "0.10"}});
  const Price tiers_after_allowance = price("50", {{"100", "1.00"}, {"", "0.50"}});
  struct Row {
    const char* what;
    const char* quantity;
    const Price& price;
    const char* expected;
  };
  const Row rows[] = {
      {"nothing", "0", plain, ""},
      {"unit price", "1000", plain, "1000@0.0035=3.50"},
      {"a fraction", "0.5", plain, "0.5@0.0035=0.00"},
      {"below the included quantity", "999", allowance, "0@0.0035=0.00"},
      {"exactly the included quantity", "1000", allowance, "0@0.0035=0.00"},
      {"one above it", "1001", allowance, "1@0.0035=0.00"},
      {"well above it", "3000", allowance, "2000@0.0035=7.00"},
      {"inside the first tier", "99", tiers, "99@1.00=99.00"},
      {"at its bound", "100", tiers, "100@1.00=100.00"},
      {"just beyond", "100.01", tiers, "100@1.00=100.00 0.01@0.50=0.00"},
      {"at the second bound", "200", tiers, "100@1.00=100.00 100@0.50=50.00"},
      {"in the last", "1200", tiers, "100@1.00=100.00 100@0.50=50.00 1000@0.10=100.00"},
      {"tiers count from after the included quantity", "151", tiers_after_allowance,
       "100@1.00=100.00 1@0.50=0.50"},
      {"huge", "100000000000000000000000000000000", plain,
       "100000000000000000000000000000000@0.0035=350000000000000000000000000000.00"},
      {"negative", "-1", plain, "a negative quantity cannot be rated (quantity=-1)"},
  };

  for (const Row& row : rows) {
    INFO(row.what);
    CHECK(rated(row.quantity, row.price) == row.expected);
  }
}

TEST_CASE("an amount beyond 128 bits is refused") {
  const Price dear = price("0", {{"", "99999999999999999999"}});

  CHECK(rated("99999999999999999999", dear) == "a number needs more than 128 bits");
}

TEST_CASE("a product of more places than a decimal holds is still rounded once and exactly") {
  CHECK(rated("0.123456789012345678", price("0", {{"", "1.000000000000000001"}}), 4) ==
        "0.123456789012345678@1.000000000000000001=0.1235");
  // 0.005 exactly is a tie and goes to the even 0.00; the tiniest bit above it is none.
  CHECK(rated("0.500000000000000000", price("0", {{"", "0.01"}})) == "0.5@0.01=0.00");
  CHECK(rated("0.500000000000000001", price("0", {{"", "0.010000000000000000"}})) ==
        "0.500000000000000001@0.010000000000000000=0.01");
}

TEST_CASE("each line is rounded once, half to even, to the currency's exponent") {
  const Price half = price("0", {{"", "0.5"}});
  CHECK(rated("1", half, 0) == "1@0.5=0");
  CHECK(rated("3", half, 0) == "3@0.5=2");
  CHECK(rated("5", half, 0) == "5@0.5=2");
  CHECK(rated("1", price("0", {{"", "0.0005"}}), 3) == "1@0.0005=0.000");
  CHECK(rated("3", price("0", {{"", "0.0005"}}), 3) == "3@0.0005=0.002");
  // Two lines of 0.005 are 0.00 each: the total is the sum of what the lines show.
  CHECK(rated("2", price("0", {{"1", "0.005"}, {"", "0.005"}})) == "1@0.005=0.00 1@0.005=0.00");
}

TEST_CASE("a line tells how it came about") {
  const RateCard card{.name = "card", .version = 3, .currency = "EUR", .from = {}, .prices = {}};
  const auto lines =
      rate({.subscription = "s", .meter = "m", .unit = "1", .quantity = dec("170"), .count = 9},
           card, price("50", {{"100", "1"}, {"", "0.5"}}), 2);

  REQUIRE(lines);
  REQUIRE(lines->size() == 2);
  const RatedLine& second = lines->at(1);
  CHECK(second.quantity.text() == "170");
  CHECK(second.count == 9);
  CHECK(second.included.text() == "50");
  CHECK(second.tier_from.text() == "100");
  CHECK_FALSE(second.tier_to);
  CHECK(second.billable_quantity.text() == "20");
  CHECK(second.rate_card == "card");
  CHECK(second.rate_card_version == 3);
}

TEST_CASE("series of different scales add up by the meter's aggregation") {
  UsageValue first;
  first.add(150, {1000, {}, 1});  // 1.50
  first.add(-50, {3000, {}, 2});  // -0.50
  UsageValue second;
  second.add(7, {2000, {}, 1});  // 7
  MeterUsage usage;
  REQUIRE(usage.add(first, 2));
  REQUIRE(usage.add(second, 0));
  REQUIRE(usage.add(UsageValue{}, 5));

  CHECK(usage.count() == 3);
  CHECK(usage.quantity(Aggregation::sum) == dec("8"));
  CHECK(usage.quantity(Aggregation::count) == dec("3"));
  CHECK(usage.quantity(Aggregation::min) == dec("-0.5"));
  CHECK(usage.quantity(Aggregation::max) == dec("7"));
  CHECK(usage.quantity(Aggregation::last) == dec("-0.5"));
  CHECK(MeterUsage().quantity(Aggregation::max).is_zero());
}

TEST_CASE("currencies have the exponents of ISO 4217") {
  CHECK(currency_exponent("EUR") == 2);
  CHECK(currency_exponent("USD") == 2);
  CHECK(currency_exponent("GBP") == 2);
  CHECK(currency_exponent("CHF") == 2);
  CHECK(currency_exponent("ZWG") == 2);
  CHECK(currency_exponent("JPY") == 0);
  CHECK(currency_exponent("KRW") == 0);
  CHECK(currency_exponent("KWD") == 3);
  CHECK(currency_exponent("BHD") == 3);
  CHECK(currency_exponent("CLF") == 4);
  CHECK_FALSE(currency_exponent("eur"));
  CHECK_FALSE(currency_exponent("XAU"));
  CHECK_FALSE(currency_exponent("UR "));
  CHECK_FALSE(currency_exponent(""));
}

}  // namespace
}  // namespace ledgerline::collector
