#include "common/decimal.h"

#include "common/bytes.h"

#include <catch2/catch.hpp>

using namespace ledgerline;

namespace {
Decimal dec(std::string_view text) { return *Decimal::parse(text); }
}  // namespace

TEST_CASE("a decimal keeps every digit it was written with") {
  for (const char* text : {"0", "1", "-1", "0.10", "123.456", "-0.000000000000000001",
                           "99999999999999999999999999999999999999", "0.0035"}) {
    CHECK(dec(text).text() == text);
  }
}

TEST_CASE("what is no exact decimal is refused with a reason") {
  for (const char* text :
       {"", "-", ".", ".5", "5.", "1e3", "NaN", "inf", "1,5", " 1", "1 ", "+1", "0x10", "1.2.3",
        "0.1234567890123456789", "1234567890123456789012345678901234567890"}) {
    INFO(text);
    const auto parsed = Decimal::parse(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code() == Errc::reject);
  }
}

TEST_CASE("decimals compare by value, whatever their scale") {
  CHECK(dec("1.5") == dec("1.500"));
  CHECK(dec("-0.1") < dec("0"));
  CHECK(dec("99999999999999999999999999999999999999") > dec("0.000000000000000001"));
}

TEST_CASE("sums and products are exact") {
  CHECK(add(dec("0.1"), dec("0.2"))->text() == "0.3");
  CHECK(subtract(dec("1"), dec("0.001"))->text() == "0.999");
  CHECK(multiply(dec("12345678901234567"), dec("0.0035")).value() == dec("43209876154320.9845"));
  CHECK(multiply(dec("1.50"), dec("2.00"))->text() == "3.0");
}

TEST_CASE("an overflow is an error and never another number") {
  const Decimal huge = dec("99999999999999999999999999999999999999");
  CHECK_FALSE(multiply(huge, huge));
  CHECK_FALSE(multiply(dec("0.000000000000000001"), dec("0.1")));
  CHECK_FALSE(huge.rounded(18, Rounding::half_even));
  CHECK_FALSE(add(huge, dec("0.000000000000000001")));
}

TEST_CASE("rounding to a currency's places") {
  struct Case {
    const char* value;
    int scale;
    Rounding mode;
    const char* expected;
  };
  for (const Case& c :
       {Case{"1.005", 2, Rounding::half_even, "1.00"},
        Case{"1.015", 2, Rounding::half_even, "1.02"}, Case{"1.005", 2, Rounding::half_up, "1.01"},
        Case{"-1.005", 2, Rounding::half_even, "-1.00"},
        Case{"-1.015", 2, Rounding::half_even, "-1.02"},
        Case{"1.0051", 2, Rounding::half_even, "1.01"}, Case{"1.999", 2, Rounding::down, "1.99"},
        Case{"2.5", 0, Rounding::half_even, "2"}, Case{"3.5", 0, Rounding::half_even, "4"},
        Case{"7", 3, Rounding::half_even, "7.000"}}) {
    INFO(c.value);
    CHECK(dec(c.value).rounded(c.scale, c.mode)->text() == c.expected);
  }
}

TEST_CASE("128-bit sums have one encoding in bytes") {
  struct Case {
    const char* value;
    const char* hex;
  };
  for (const Case& c :
       {Case{"0", "00"}, Case{"1", "01"}, Case{"-1", "ff"}, Case{"127", "7f"}, Case{"128", "0080"},
        Case{"-128", "80"}, Case{"-129", "ff7f"}, Case{"255", "00ff"}, Case{"256", "0100"},
        Case{"9223372036854775808", "008000000000000000"}}) {
    INFO(c.value);
    const Int128 value(c.value);
    CHECK(to_hex(bytes_of(int128_to_bytes(value))) == c.hex);
    CHECK(*int128_from_bytes(int128_to_bytes(value)) == value);
  }
  for (const char* hex : {"", "0001", "ffff", "0000000000000000000000000000000001"}) {
    CHECK_FALSE(int128_from_bytes(string_of(*from_hex(hex))));
  }
}
