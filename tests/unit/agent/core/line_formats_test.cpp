#include "agent/core/line_formats.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

using Fields = std::vector<std::string>;

Fields all_combined() { return {combined_fields().begin(), combined_fields().end()}; }

std::string reason(LineParser& parser, std::string_view line) {
  Fields fields;
  const auto parsed = parser.parse(line, fields);
  return parsed ? "" : parsed.error().message();
}

Fields parsed(LineParser& parser, std::string_view line) {
  Fields fields;
  const auto status = parser.parse(line, fields);
  if (!status) FAIL(status.error().message());
  return fields;
}

TEST_CASE("a combined line has its eleven fields") {
  LineParser parser({}, all_combined());
  const std::string line =
      "83.149.9.216 - frank [17/May/2015:10:05:03 +0000] \"GET /a?b=c HTTP/1.1\" 200 203 "
      "\"http://a.example/\" \"Mozilla/5.0 (X11; \\\"odd\\\" \\\\ \\x16)\"";
  const Fields expected = {"83.149.9.216",
                           "-",
                           "frank",
                           "17/May/2015:10:05:03 +0000",
                           "GET",
                           "/a?b=c",
                           "HTTP/1.1",
                           "200",
                           "203",
                           "http://a.example/",
                           "Mozilla/5.0 (X11; \"odd\" \\ \\x16)"};

  CHECK(parsed(parser, line) == expected);
}

TEST_CASE("combined lines that servers write too") {
  LineParser parser({}, {"method", "path", "protocol", "bytes", "agent"});
  struct Case {
    const char* line;
    Fields fields;
  };
  const Case cases[] = {
      {R"(a - - [t] "GET / HTTP/1.0" 304 -)", {"GET", "/", "HTTP/1.0", "-", "-"}},
      {R"(a - - [t] "-" 408 0 "-" "-")", {"-", "-", "-", "0", "-"}},
      {R"(a - - [t] "" 400 0 "-" "-")", {"-", "", "-", "0", "-"}},
      {R"(a - - [t] "\x16\x03" 400 0 "-" "-")", {"-", R"(\x16\x03)", "-", "0", "-"}},
      {R"(a - - [t] "GET /a b HTTP/1.1" 200 7 "-" "c" 0.012 "more")",
       {"GET", "/a b", "HTTP/1.1", "7", "c"}},
      {R"(a - two words [t] "GET / HTTP/1.1" 200 7 "-" "c")", {"GET", "/", "HTTP/1.1", "7", "c"}},
  };
  for (const Case& c : cases) {
    INFO(c.line);
    CHECK(parsed(parser, c.line) == c.fields);
  }
}

TEST_CASE("a combined line that is none says what is wrong") {
  LineParser parser({}, all_combined());
  struct Case {
    const char* line;
    const char* words;
  };
  const Case cases[] = {
      {"", "client"},
      {"a", "ident"},
      {"a - - 17/May/2015", "user"},
      {"a - - [17/May/2015", "time"},
      {"a - - [t] GET / 200 7", "request does not stand in quotes"},
      {R"(a - - [t] "GET / HTTP/1.1 200 7)", "quotes of the field request"},
      {R"(a - - [t] "GET / HTTP/1.1")", "status"},
      {R"(a - - [t] "GET / HTTP/1.1" 200)", "bytes"},
      {R"(a - - [t] "GET / HTTP/1.1" 200 7 "half)", "quotes of the field referer"},
      {"a - - [t] \"GET /\xff HTTP/1.1\" 200 7", "UTF-8"},
  };
  for (const Case& c : cases) {
    INFO(c.line);
    const std::string said = reason(parser, c.line);
    INFO(said);
    CHECK(said.find(c.words) != std::string::npos);
  }
}

TEST_CASE("members of a JSON line are found along their dots, numbers as written") {
  LineParser parser({.format = LineFormat::json}, {"a", "b.c", "d.e", "f", "g", "h"});

  CHECK(parsed(parser, R"({"a":"x","b":{"c":0.1234567890123456789},"d.e":true,"f":null,"h":7})") ==
        Fields{"x", "0.1234567890123456789", "true", "", "", "7"});
  CHECK(reason(parser, "[1]").find("not an object") != std::string::npos);
  CHECK(reason(parser, "7").find("not an object") != std::string::npos);
  CHECK(reason(parser, "{\"a\":").find("not JSON") != std::string::npos);
  CHECK(reason(parser, R"({"a":{"x":1}})").find("\"a\" is an object") != std::string::npos);
  CHECK(reason(parser, "{\"a\":\"\xc3\"}").find("UTF-8") != std::string::npos);
}

TEST_CASE("columns between runs of blanks, by number") {
  LineParser parser({.format = LineFormat::columns}, {"1", "3"});

  CHECK(parsed(parser, "1 2 -0.0007 100.0  ") == Fields{"1", "-0.0007"});
  CHECK(parsed(parser, "\t 1  2\t3") == Fields{"1", "3"});
  CHECK(reason(parser, "1 2").find("it has 2 columns; column 3 is wanted") != std::string::npos);
  CHECK(reason(parser, "").find("it has 0 columns") != std::string::npos);
}

TEST_CASE("columns between separators, by the names of the first line") {
  LineParser parser({.format = LineFormat::columns, .separator = ",", .header = true},
                    {"errorID", "datetime"});

  REQUIRE(parser.needs_header());
  REQUIRE(
      parser.read_header("\xef\xbb\xbf"
                         "datetime,machineID,errorID"));
  CHECK_FALSE(parser.needs_header());
  CHECK(parsed(parser, "2015-01-03 07:00:00,1,error1") == Fields{"error1", "2015-01-03 07:00:00"});
  CHECK(parsed(parser, R"("a ""b"", c",,"")") == Fields{"", R"(a "b", c)"});
  CHECK(reason(parser, "\"a,1,2").find("not closed") != std::string::npos);
  CHECK(reason(parser, "\"a\"b,1,2").find("no separator") != std::string::npos);
  const auto read = parser.read_header("datetime,machine");
  REQUIRE_FALSE(read);
  CHECK(read.error().message().find("\"errorID\"") != std::string::npos);
  CHECK_FALSE(reason(parser, "a,b").empty());
}

}  // namespace
}  // namespace ledgerline::agent
