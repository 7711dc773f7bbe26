#include "collector/connectors/lua.h"

#include <catch2/catch.hpp>

namespace ledgerline::collector {
namespace {

std::unique_ptr<LuaProfile> profile(const std::string& body, LuaLimits limits = {}) {
  auto loaded = LuaProfile::load("local f = function(a, b)\n" + body + "\nend\nreturn {f = f}",
                                 "p.lua", limits);
  INFO((loaded ? std::string() : loaded.error().text()));
  REQUIRE(loaded);
  return std::move(*loaded);
}

Result<LuaStep> run(LuaProfile& loaded, const std::vector<Json>& arguments = {}) {
  auto call = loaded.start("f", arguments);
  REQUIRE(call);
  return call->resume();
}

/// What `body` returns, as JSON text.
std::string result_of(const std::string& body, const std::string& argument = "null") {
  const auto loaded = profile(body);
  const auto step = run(*loaded, {*parse_json(argument)});
  INFO((step ? std::string() : step.error().text()));
  REQUIRE(step);
  CHECK(step->kind == LuaStep::Kind::returned);
  return step->value.dump();
}

std::string error_of(const std::string& body, LuaLimits limits = {}) {
  const auto loaded = profile(body, limits);
  const auto step = run(*loaded);
  REQUIRE_FALSE(step);
  return step.error().message();
}

TEST_CASE("JSON goes through Lua without losing a digit, a null, or the difference of [] and {}") {
  const std::string text =
      R"({"a":[],"b":{},"c":null,"d":0.1234567890123456789,"e":1E-8,"f":[1,null,"x"],"g":true,"h":"\u00e9"})";
  CHECK(result_of("return a", text) == parse_json(text)->dump());
}

TEST_CASE("tables become JSON by their shape") {
  CHECK(result_of("return {1, 2}") == "[1,2]");
  CHECK(result_of("return {b = 1, a = array{}}") == R"({"a":[],"b":1})");
  CHECK(result_of("return {null, 2}") == "[null,2]");
  CHECK(result_of("return") == "null");
  CHECK_THAT(error_of("return {1, x = 2}"), Catch::Contains("both list and named"));
  CHECK_THAT(error_of("return {[1.5] = 2}"), Catch::Contains("no text for a name"));
  CHECK_THAT(error_of("return {g = function() end}"), Catch::Contains("function"));
  CHECK_THAT(error_of("return '\\xff'"), Catch::Contains("UTF-8"));
  CHECK_THAT(error_of("local t = {} t.t = t return t"), Catch::Contains("too deep"));
}

TEST_CASE("numbers are exact or an error") {
  CHECK(result_of("return decimal('0.1') + decimal('0.2')") == "0.3");
  CHECK(result_of("return decimal('1.10') * 3") == "3.3");
  CHECK(result_of("return 5 - decimal('7')") == "-2");
  CHECK(result_of("return tostring(decimal(a.n):rounded(2))", R"({"n":2.345})") == R"("2.34")");
  CHECK(result_of("return tostring(decimal('2.345'):rounded(2, 'half_up'))") == R"("2.35")");
  CHECK(result_of("return {decimal('1.50') == decimal('1.5'), decimal('2') < decimal('10'), "
                  "decimal('2') <= 1}") == "[true,true,false]");
  CHECK(result_of("return tostring(a.n + 0)", R"({"n":1E-8})") == R"("0.00000001")");
  CHECK(result_of("return tostring(a.n + 0)", R"({"n":3.0e+2})") == R"("300")");
  CHECK(result_of("return {decimal('1.50'):places(), decimal('0.00'):is_zero()}") == "[1,true]");
  CHECK_THAT(error_of("return 0.5"), Catch::Contains("a float is not exact"));
  CHECK_THAT(error_of("return decimal(0.5)"), Catch::Contains("a float"));
  CHECK_THAT(error_of("return decimal('12x')"), Catch::Contains("p.lua:2"));
  CHECK_THAT(error_of("local d = decimal('99999999999999999999999999999999999999') return d * d"),
             Catch::Contains("p.lua:2"));
}

TEST_CASE("a profile can compute and nothing else") {
  for (const char* name :
       {"io", "os", "package", "debug", "require", "load", "loadfile", "dofile", "pcall", "xpcall",
        "setmetatable", "getmetatable", "rawset", "collectgarbage", "print", "coroutine", "_G"}) {
    INFO(name);
    CHECK_THAT(error_of(std::string("return ") + name), Catch::Contains("is not known here"));
  }
  CHECK(result_of("return {string.dump == nil, math.random == nil}") == "[true,true]");
  CHECK_THAT(error_of("leak = 1"), Catch::Contains("write local before it"));
}

TEST_CASE("bytecode is no profile, and a complaint names file and line") {
  CHECK_FALSE(LuaProfile::load("\x1bLua whatever", "p.lua"));
  const auto wrong = LuaProfile::load("local x =\n = 1", "p.lua");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().code() == Errc::config);
  CHECK_THAT(wrong.error().message(), Catch::StartsWith("p.lua:2:"));
  CHECK_FALSE(LuaProfile::load("return 1", "p.lua"));
  CHECK_THAT(error_of("\n\nlocal x = nil\nreturn x.y"), Catch::StartsWith("p.lua:5:"));
}

TEST_CASE("an endless loop ends, and so does one that eats memory") {
  CHECK_THAT(error_of("while true do end", {.instructions_max = 100'000}),
             Catch::Contains("instruction limit"));
  CHECK_FALSE(LuaProfile::load("while true do end", "p.lua", {.instructions_max = 100'000}));
  const LuaLimits small{.memory_max = 1 << 20};
  CHECK_THAT(error_of("local t = {} while true do t[#t + 1] = ('x'):rep(1000) end", small),
             Catch::Contains("not enough memory"));
  CHECK_THAT(error_of("return ('x'):rep(1 << 40)", small), Catch::Contains("p.lua"));
  CHECK_THAT(error_of("local function r() return 1 + r() end return r()"),
             Catch::Contains("p.lua"));
}

TEST_CASE("a profile goes on after one of its calls ran out of memory") {
  const auto loaded =
      profile("if a == 'eat' then local t = {} while true do t[#t + 1] = {} end end return a",
              {.memory_max = 1 << 20});
  for (int i = 0; i < 5; ++i) {
    CHECK_FALSE(run(*loaded, {Json::string("eat")}));
    const auto step = run(*loaded, {Json::string("fine")});
    REQUIRE(step);
    CHECK(step->value.text() == "fine");
  }
}

TEST_CASE("an argument larger than the memory is an error, not the end") {
  const auto loaded = profile("return a", {.memory_max = 1 << 20});
  CHECK_FALSE(loaded->start("f", {Json::string(std::string(2 << 20, 'x'))}));
  CHECK_FALSE(loaded->start("g", {}));
  CHECK(run(*loaded, {Json::string("fine")}));
}

TEST_CASE("call suspends the function and its reply resumes it; several are under way at once") {
  const auto loaded = profile("local r = call{path = a, effect = true}\nreturn r.json.x");
  auto first = loaded->start("f", {Json::string("one")});
  auto second = loaded->start("f", {Json::string("two")});
  REQUIRE((first && second));
  const auto asked = first->resume();
  REQUIRE(asked);
  CHECK(asked->kind == LuaStep::Kind::request);
  CHECK(asked->value.dump() == R"({"effect":true,"path":"one"})");
  CHECK(second->resume()->value.find("path")->text() == "two");

  const auto end = second->resume(*parse_json(R"({"json":{"x":"2"}})"));
  CHECK(end->value.text() == "2");
  CHECK(first->resume(*parse_json(R"({"json":{"x":"1"}})"))->value.text() == "1");
}

TEST_CASE("reject and retry end the function from however deep") {
  const auto rejected =
      profile("local function deep() reject('no such party') end deep() return 1");
  const auto step = run(*rejected);
  REQUIRE(step);
  CHECK(step->kind == LuaStep::Kind::outcome);
  CHECK(step->value.dump() == R"({"outcome":"rejected","reason":"no such party"})");
  CHECK(run(*profile("retry(30, 'busy')"))->value.dump() ==
        R"({"outcome":"retry","reason":"busy","seconds":30})");
  CHECK(run(*profile("retry(nil, 'busy')"))->value.dump() ==
        R"({"outcome":"retry","reason":"busy"})");
  CHECK_THAT(error_of("error({outcome = 'rejected'})"), Catch::Contains("without a text"));
}

TEST_CASE("text helpers") {
  CHECK(result_of("return {base64(''), base64('f'), base64('fo'), base64('foo')}") ==
        R"(["","Zg==","Zm8=","Zm9v"])");
  // FIPS 180-2, appendix B.1.
  CHECK(result_of("return sha256('abc')") ==
        R"("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")");
  CHECK(result_of("return url_encode('a b/ü-~')") == R"("a%20b%2F%C3%BC-~")");
}

}  // namespace
}  // namespace ledgerline::collector
