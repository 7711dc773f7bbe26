#include <catch2/catch.hpp>

#include "common/base64.h"
#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/crypto.h"
#include "common/json.h"
#include "common/time.h"
#include "common/topics.h"

using namespace ledgerline;

TEST_CASE("RFC 3339 times are read with any offset and written in UTC") {
  struct Case {
    const char* in;
    const char* out;
  };
  for (const Case& c : {Case{"2026-11-20T08:15:00Z", "2026-11-20T08:15:00.000Z"},
                        Case{"2026-11-20T08:15:00.1239+01:00", "2026-11-20T07:15:00.123Z"},
                        Case{"1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"},
                        Case{"2024-02-29t00:00:00-12:00", "2024-02-29T12:00:00.000Z"},
                        Case{"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"},
                        Case{"2106-02-07T06:28:16Z", "2106-02-07T06:28:16.000Z"}}) {
    INFO(c.in);
    CHECK(to_rfc3339(*parse_rfc3339(c.in)) == c.out);
  }
}

TEST_CASE("what is no RFC 3339 time is refused") {
  for (const char* text : {"", "2026-11-20", "2026-02-30T00:00:00Z", "2026-11-20T24:00:00Z",
                           "2026-11-20T08:15:00", "2026-11-20T08:15:00.Z",
                           "2026-11-20T08:15:00+25:00", "2026-11-20T08:15:00Zx", "yesterday"}) {
    INFO(text);
    CHECK_FALSE(parse_rfc3339(text));
  }
}

TEST_CASE("UTF-8 is what RFC 3629 says") {
  for (const char* good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"})
    CHECK(is_utf8(good));
  for (const char* bad :
       {"\xff", "\xc0\x80", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\x80"})
    CHECK_FALSE(is_utf8(bad));
}

TEST_CASE("CRC-32C matches the published check values") {
  // RFC 3720 appendix B.4, and the check value of the polynomial's catalogue entry.
  CHECK(crc32c(Bytes(32, 0x00)) == 0x8a9136aa);
  CHECK(crc32c(Bytes(32, 0xff)) == 0x62a8ab43);
  CHECK(crc32c(bytes_of("123456789")) == 0xe3069283);
}

TEST_CASE("a stored value is bound to its key") {
  const Bytes stored = with_checksum(bytes_of("key"), bytes_of("value"));
  CHECK(text_of(*checked(bytes_of("key"), stored)) == "value");
  CHECK_FALSE(checked(bytes_of("kez"), stored));
  for (size_t i = 0; i < stored.size(); ++i) {
    Bytes flipped = stored;
    flipped[i] ^= 1;
    CHECK_FALSE(checked(bytes_of("key"), flipped));
  }
}

TEST_CASE("JSON numbers keep their text") {
  const auto json = parse_json(
      R"({"a":0.1234567890123456789,"b":[1e400,-0,9223372036854775808],"c":"\u20ac\n"})");
  REQUIRE(json);
  CHECK(json->find("a")->text() == "0.1234567890123456789");
  CHECK(json->find("b")->items()[0].text() == "1e400");
  CHECK(json->find("b")->items()[2].text() == "9223372036854775808");
  CHECK(json->find("c")->text() == "\xe2\x82\xac\n");
  CHECK(json->dump() ==
        "{\"a\":0.1234567890123456789,\"b\":[1e400,-0,9223372036854775808],\"c\":"
        "\"\xe2\x82\xac\\n\"}");
}

TEST_CASE("what is no JSON is refused") {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1,\"a\":2}", "NaN", "{\"a\":Infinity}", "1 2",
                           "\"\xff\"", "{\"a\"}", "01"}) {
    INFO(text);
    CHECK_FALSE(parse_json(text));
  }
  CHECK_FALSE(parse_json(std::string(100, '[') + std::string(100, ']')));
  CHECK_FALSE(parse_json("[1,2,3]", {.size_max = 3}));
}

TEST_CASE("a topic names tenant, partition, device and leaf, and nothing else passes") {
  const auto topic = parse_topic("ledgerline/v1/demo/3f/host-1/batch");
  REQUIRE(topic);
  CHECK(topic->partition == 0x3f);
  CHECK(topic->text() == "ledgerline/v1/demo/3f/host-1/batch");
  for (const char* text :
       {"", "ledgerline/v1/demo/3f/host-1", "ledgerline/v1/demo/3f/host-1/batch/x",
        "ledgerline/v1/demo/3F/host-1/batch", "ledgerline/v1/demo/3f/host-1/Batch",
        "ledgerline/v1//3f/host-1/batch", "ledgerline/v1/demo/3f/+/batch",
        "$SYS/v1/demo/3f/host-1/batch", "ledgerline/v1/demo/3f/../batch",
        "ledgerline/v2/demo/3f/host-1/batch"}) {
    INFO(text);
    CHECK_FALSE(parse_topic(text));
  }
}

TEST_CASE("base64 is RFC 4648's, padded and exact") {
  struct Case {
    const char* plain;
    const char* encoded;
  };
  for (const Case& c : {Case{"", ""}, Case{"f", "Zg=="}, Case{"fo", "Zm8="}, Case{"foo", "Zm9v"},
                        Case{"foob", "Zm9vYg=="}, Case{"\xfb\xff\xbf", "+/+/"}}) {
    INFO(c.encoded);
    CHECK(to_base64(bytes_of(c.plain)) == c.encoded);
    CHECK(string_of(from_base64(c.encoded).value()) == c.plain);
  }
  for (const char* text : {"Zg", "Zg=", "Zg===", "Zh==", "Z===", "Zm9v\n", "Zm 9", "Zm9-",
                           "====", "=m9v", "Zg==Zg=="}) {
    INFO(text);
    CHECK_FALSE(from_base64(text));
  }
}

// RFC 4231, test case 2.
TEST_CASE("HMAC with SHA-256 is RFC 4231's, however the text is cut") {
  const std::string expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
  CHECK(hmac_sha256(bytes_of("Jefe"), {bytes_of("what do ya want for nothing?")}).hex() ==
        expected);
  CHECK(hmac_sha256(bytes_of("Jefe"), {bytes_of("what do ya "), {}, bytes_of("want for nothing?")})
            .hex() == expected);
}
