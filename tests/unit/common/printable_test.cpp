#include "common/printable.h"

#include <catch2/catch.hpp>

using namespace ledgerline;

TEST_CASE("what could steer a terminal or turn its text around is shown as an escape") {
  struct Case {
    const char* in;
    const char* out;
  };
  for (const Case& c : {
           Case{"plain text, 20 \u00B0C, \u6F22", "plain text, 20 \u00B0C, \u6F22"}, Case{"", ""},
           Case{"a\x1b[31mb", "a\\u001b[31mb"}, Case{"a\nb\tc\rd", "a\\nb\\tc\\rd"},
           Case{"\x01\x1f\x7f", "\\u0001\\u001f\\u007f"},
           Case{"\u0080\u009B\u009F\u00A0", "\\u0080\\u009b\\u009f\u00A0"},
           Case{"\u200D\u200E\u200F\u2010", "\u200D\\u200e\\u200f\u2010"},
           Case{"\u2028\u2029\u202A\u202E\u202F", "\\u2028\\u2029\\u202a\\u202e\u202F"},
           Case{"\u2065\u2066\u2069\u206A", "\u2065\\u2066\\u2069\u206A"},
           Case{"\u061C", "\\u061c"}, Case{"a\x9b\xffz", "a\\x9b\\xffz"},  // no UTF-8
           Case{"a\xe2\x80", "a\\xe2\\x80"},                               // cut in the middle
       }) {
    CHECK(printable(c.in) == c.out);
  }
}

TEST_CASE("a text of several lines keeps them") {
  CHECK(printable_lines("a\x1b\nb\u202e\n") == "a\\u001b\nb\\u202e\n");
  CHECK(printable_lines("").empty());
}
