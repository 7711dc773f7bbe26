#include "collector/connectors/lua_library.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <lua.hpp>
#include <string>

#include "common/base64.h"
#include "common/crypto.h"
#include "common/decimal.h"

// As in lua.cpp: no object with a destructor is alive where a Lua function may raise. The
// arithmetic therefore writes into a Text, which has none, and raises afterwards.

namespace ledgerline::collector::lua_library {

namespace {

// Registry keys: only their addresses matter.
constexpr char kArrayMark = 0;
constexpr char kOutcomeMark = 0;
constexpr char kDecimalMark = 0;

/// A result or an error message on its way out of code with destructors.
struct Text {
  std::array<char, 160> bytes{};
  size_t size = 0;
  bool ok = false;

  void set(bool good, std::string_view text) {
    ok = good;
    size = std::min(text.size(), bytes.size());
    std::memcpy(bytes.data(), text.data(), size);
  }
};

bool has_mark(lua_State* state, int index, const char* mark) {
  if (lua_getmetatable(state, index) == 0) return false;
  lua_rawgetp(state, LUA_REGISTRYINDEX, mark);
  const bool same = lua_rawequal(state, -1, -2) != 0;
  lua_pop(state, 2);
  return same;
}

/// JSON writes 1E-8 and 3.0e+2 where it likes; Decimal wants plain digits.
Result<Decimal> parse_number(std::string_view text) {
  const size_t mark = text.find_first_of("eE");
  if (mark == std::string_view::npos) return Decimal::parse(text);
  TRY(const Decimal base, Decimal::parse(text.substr(0, mark)));
  std::string_view power = text.substr(mark + 1);
  const bool negative = power.starts_with('-');
  if (negative || power.starts_with('+')) power.remove_prefix(1);
  if (power.empty() || power.size() > 2) return fail(Errc::reject, "the exponent is out of range");
  int places = 0;
  for (const char digit : power) {
    if (digit < '0' || digit > '9') return fail(Errc::reject, "not a number");
    places = places * 10 + (digit - '0');
  }
  if (negative) {
    const Decimal trimmed = base.trimmed();
    if (trimmed.is_zero()) return Decimal();
    if (trimmed.scale() + places > Decimal::kScaleMax)
      return fail(Errc::reject, "more than 18 places");
    return Decimal(trimmed.coefficient(), trimmed.scale() + places).trimmed();
  }
  if (places > 18) return fail(Errc::reject, "the exponent is out of range");
  int64_t factor = 1;
  for (int i = 0; i < places; ++i) factor *= 10;
  TRY(const Decimal product, multiply(base, Decimal::integer(factor)));
  return product.trimmed();
}

/// Any value that stands for an exact number; not for a float, which is none.
std::optional<std::string_view> number_text(lua_State* state, int index,
                                            std::array<char, 32>& buffer) {
  if (lua_type(state, index) == LUA_TSTRING) {
    size_t size = 0;
    const char* data = lua_tolstring(state, index, &size);
    return std::string_view(data, size);
  }
  if (lua_isinteger(state, index) != 0) {
    const int size =
        std::snprintf(buffer.data(), buffer.size(), "%lld", lua_tointeger(state, index));
    return std::string_view(buffer.data(), static_cast<size_t>(size));
  }
  return decimal_text(state, index);
}

std::string_view argument_text(lua_State* state, int index, std::array<char, 32>& buffer) {
  const auto text = number_text(state, index, buffer);
  if (!text)
    luaL_error(state, "a decimal, a whole number or a number as text is expected, not %s",
               lua_isnumber(state, index) != 0 ? "a float" : luaL_typename(state, index));
  return *text;
}

int finish(lua_State* state, const Text& result) {
  if (!result.ok) {
    lua_pushlstring(state, result.bytes.data(), result.size);
    return luaL_error(state, "%s", lua_tostring(state, -1));
  }
  push_decimal(state, {result.bytes.data(), result.size});
  return 1;
}

using Operation = Result<Decimal> (*)(const Decimal&, const Decimal&);

void apply(Operation operation, std::string_view left, std::string_view right, Text& out) {
  const auto a = parse_number(left);
  const auto b = parse_number(right);
  if (!a) return out.set(false, a.error().message());
  if (!b) return out.set(false, b.error().message());
  const auto result = operation(*a, *b);
  result ? out.set(true, result->text()) : out.set(false, result.error().message());
}

template <Operation operation>
int arithmetic(lua_State* state) {
  std::array<char, 32> left_buffer{}, right_buffer{};
  const auto left = argument_text(state, 1, left_buffer);
  const auto right = argument_text(state, 2, right_buffer);
  Text result;
  apply(operation, left, right, result);
  return finish(state, result);
}

Result<Decimal> plus(const Decimal& a, const Decimal& b) { return add(a, b); }
Result<Decimal> minus(const Decimal& a, const Decimal& b) { return subtract(a, b); }
Result<Decimal> times(const Decimal& a, const Decimal& b) { return multiply(a, b); }

int negate(lua_State* state) {
  std::array<char, 32> buffer{};
  const auto value = argument_text(state, 1, buffer);
  Text result;
  apply(minus, "0", value, result);
  return finish(state, result);
}

void compare(std::string_view left, std::string_view right, int& order, Text& out) {
  const auto a = parse_number(left);
  const auto b = parse_number(right);
  if (!a) return out.set(false, a.error().message());
  if (!b) return out.set(false, b.error().message());
  order = *a == *b ? 0 : (*a < *b ? -1 : 1);
  out.set(true, "");
}

template <bool smaller, bool equal>
int comparison(lua_State* state) {
  std::array<char, 32> left_buffer{}, right_buffer{};
  const auto left = argument_text(state, 1, left_buffer);
  const auto right = argument_text(state, 2, right_buffer);
  int order = 0;
  Text result;
  compare(left, right, order, result);
  if (!result.ok) return finish(state, result);
  lua_pushboolean(state, (smaller && order < 0) || (equal && order == 0) ? 1 : 0);
  return 1;
}

int decimal_to_text(lua_State* state) {
  const auto text = decimal_text(state, 1);
  if (!text) return luaL_error(state, "not a decimal");
  lua_pushlstring(state, text->data(), text->size());
  return 1;
}

void round_text(std::string_view value, int places, Rounding mode, Text& out) {
  const auto parsed = parse_number(value);
  if (!parsed) return out.set(false, parsed.error().message());
  const auto rounded = parsed->rounded(places, mode);
  rounded ? out.set(true, rounded->text()) : out.set(false, rounded.error().message());
}

int decimal_rounded(lua_State* state) {
  static const char* const kModes[] = {"half_even", "half_up", "down", nullptr};
  static constexpr Rounding kRoundings[] = {Rounding::half_even, Rounding::half_up, Rounding::down};
  std::array<char, 32> value_buffer{};
  std::array<char, 32> places_buffer{};
  const auto value = argument_text(state, 1, value_buffer);
  const auto places_text = argument_text(state, 2, places_buffer);
  const int mode = luaL_checkoption(state, 3, "half_even", kModes);
  int places = 0;
  const auto end = places_text.data() + places_text.size();
  const auto parsed = std::from_chars(places_text.data(), end, places);
  if (parsed.ec != std::errc() || parsed.ptr != end || places < 0 || places > Decimal::kScaleMax) {
    return luaL_error(state, "places are 0 to %d", Decimal::kScaleMax);
  }
  Text result;
  round_text(value, places, kRoundings[mode], result);
  return finish(state, result);
}

void describe(std::string_view value, int& places, bool& zero, Text& trimmed) {
  const auto parsed = parse_number(value);
  if (!parsed) return trimmed.set(false, parsed.error().message());
  const Decimal shortest = parsed->trimmed();
  places = shortest.scale();
  zero = shortest.is_zero();
  trimmed.set(true, shortest.text());
}

enum class Question { trimmed, places, is_zero };

template <Question question>
int decimal_question(lua_State* state) {
  std::array<char, 32> buffer{};
  const auto value = argument_text(state, 1, buffer);
  int places = 0;
  bool zero = false;
  Text trimmed;
  describe(value, places, zero, trimmed);
  if (!trimmed.ok || question == Question::trimmed) return finish(state, trimmed);
  if (question == Question::places) {
    lua_pushinteger(state, places);
  } else {
    lua_pushboolean(state, zero ? 1 : 0);
  }
  return 1;
}

/// decimal(value): unlike a number of a reply, which may never be computed with, this one is
/// checked at once.
int make_decimal(lua_State* state) {
  std::array<char, 32> buffer{};
  const auto value = argument_text(state, 1, buffer);
  Text result;
  apply(plus, value, "0", result);
  return finish(state, result);
}

int make_array(lua_State* state) {
  luaL_checktype(state, 1, LUA_TTABLE);
  lua_settop(state, 1);
  mark_array(state);
  return 1;
}

int call(lua_State* state) {
  luaL_checktype(state, 1, LUA_TTABLE);
  lua_settop(state, 1);
  return lua_yield(state, 1);
}

int raise_outcome(lua_State* state, const char* outcome) {
  lua_pushstring(state, outcome);
  lua_setfield(state, -2, "outcome");
  lua_rawgetp(state, LUA_REGISTRYINDEX, &kOutcomeMark);
  lua_setmetatable(state, -2);
  return lua_error(state);
}

int reject(lua_State* state) {
  luaL_checkstring(state, 1);
  lua_createtable(state, 0, 2);
  lua_pushvalue(state, 1);
  lua_setfield(state, -2, "reason");
  return raise_outcome(state, "rejected");
}

int retry(lua_State* state) {
  luaL_checkstring(state, 2);
  lua_createtable(state, 0, 3);
  if (!lua_isnoneornil(state, 1)) {
    lua_pushinteger(state, luaL_checkinteger(state, 1));
    lua_setfield(state, -2, "seconds");
  }
  lua_pushvalue(state, 2);
  lua_setfield(state, -2, "reason");
  return raise_outcome(state, "retry");
}

int base64(lua_State* state) {
  size_t size = 0;
  const char* data = luaL_checklstring(state, 1, &size);
  luaL_Buffer out;
  const size_t encoded = base64_size(size);
  encode_base64(bytes_of({data, size}), luaL_buffinitsize(state, &out, encoded));
  luaL_pushresultsize(&out, encoded);
  return 1;
}

/// In hexadecimal, lower case.
int sha256_hex(lua_State* state) {
  static constexpr char kHex[] = "0123456789abcdef";
  size_t size = 0;
  const char* data = luaL_checklstring(state, 1, &size);
  const Digest digest = sha256(bytes_of({data, size}));
  std::array<char, 2 * Digest::kSize> hex{};
  for (size_t i = 0; i < Digest::kSize; ++i) {
    hex[2 * i] = kHex[digest.view()[i] >> 4U];
    hex[2 * i + 1] = kHex[digest.view()[i] & 15U];
  }
  lua_pushlstring(state, hex.data(), hex.size());
  return 1;
}

/// RFC 3986: everything but unreserved characters as %XX.
int url_encode(lua_State* state) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  size_t size = 0;
  const char* data = luaL_checklstring(state, 1, &size);
  luaL_Buffer out;
  luaL_buffinit(state, &out);
  for (size_t i = 0; i < size; ++i) {
    const auto c = static_cast<unsigned char>(data[i]);
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || c == '-' || c == '.' || c == '_' || c == '~') {
      luaL_addchar(&out, static_cast<char>(c));
    } else {
      luaL_addchar(&out, '%');
      luaL_addchar(&out, kHex[c >> 4U]);
      luaL_addchar(&out, kHex[c & 15U]);
    }
  }
  luaL_pushresult(&out);
  return 1;
}

int refuse_new_global(lua_State* state) {
  return luaL_error(state, "'%s' is a new global: write local before it",
                    luaL_tolstring(state, 2, nullptr));
}

int refuse_unknown_global(lua_State* state) {
  return luaL_error(state, "'%s' is not known here", luaL_tolstring(state, 2, nullptr));
}

void open_marks(lua_State* state) {
  static const luaL_Reg kDecimalEvents[] = {{"__add", arithmetic<plus>},
                                            {"__sub", arithmetic<minus>},
                                            {"__mul", arithmetic<times>},
                                            {"__unm", negate},
                                            {"__eq", comparison<false, true>},
                                            {"__lt", comparison<true, false>},
                                            {"__le", comparison<true, true>},
                                            {"__tostring", decimal_to_text},
                                            {nullptr, nullptr}};
  static const luaL_Reg kDecimalMethods[] = {{"rounded", decimal_rounded},
                                             {"trimmed", decimal_question<Question::trimmed>},
                                             {"places", decimal_question<Question::places>},
                                             {"is_zero", decimal_question<Question::is_zero>},
                                             {nullptr, nullptr}};
  luaL_newlib(state, kDecimalEvents);
  luaL_newlib(state, kDecimalMethods);
  lua_setfield(state, -2, "__index");
  lua_rawsetp(state, LUA_REGISTRYINDEX, &kDecimalMark);
  lua_newtable(state);
  lua_rawsetp(state, LUA_REGISTRYINDEX, &kArrayMark);
  lua_newtable(state);
  lua_rawsetp(state, LUA_REGISTRYINDEX, &kOutcomeMark);
}

/// pcall would catch the instruction limit; __gc functions, for which metatables are needed, would
/// run without it.
void remove_dangerous(lua_State* state) {
  static const char* const kGlobals[] = {
      "collectgarbage", "dofile", "load", "loadfile", "pcall",        "print",    "xpcall",
      "setmetatable",   "rawset", "warn", "rawget",   "getmetatable", "rawequal", "rawlen"};
  for (const char* name : kGlobals) {
    lua_pushnil(state);
    lua_setglobal(state, name);
  }
  const auto remove_field = [state](const char* table, const char* name) {
    lua_getglobal(state, table);
    lua_pushnil(state);
    lua_setfield(state, -2, name);
    lua_pop(state, 1);
  };
  remove_field("string", "dump");
  remove_field("math", "random");
  remove_field("math", "randomseed");
}

}  // namespace

int open(lua_State* state) {
  luaL_requiref(state, LUA_GNAME, luaopen_base, 1);
  luaL_requiref(state, LUA_STRLIBNAME, luaopen_string, 1);
  luaL_requiref(state, LUA_TABLIBNAME, luaopen_table, 1);
  luaL_requiref(state, LUA_MATHLIBNAME, luaopen_math, 1);
  luaL_requiref(state, LUA_UTF8LIBNAME, luaopen_utf8, 1);
  remove_dangerous(state);
  open_marks(state);
  static const luaL_Reg kFunctions[] = {
      {"call", call},        {"reject", reject}, {"retry", retry},       {"decimal", make_decimal},
      {"array", make_array}, {"base64", base64}, {"sha256", sha256_hex}, {"url_encode", url_encode},
      {nullptr, nullptr}};
  lua_pushglobaltable(state);
  luaL_setfuncs(state, kFunctions, 0);
  lua_pushlightuserdata(state, nullptr);
  lua_setfield(state, -2, "null");
  lua_pushnil(state);
  lua_setfield(state, -2, "_G");
  lua_newtable(state);
  lua_pushcfunction(state, refuse_new_global);
  lua_setfield(state, -2, "__newindex");
  lua_pushcfunction(state, refuse_unknown_global);
  lua_setfield(state, -2, "__index");
  lua_setmetatable(state, -2);
  return 0;
}

void push_decimal(lua_State* state, std::string_view text) {
  void* block = lua_newuserdatauv(state, text.size(), 0);
  std::memcpy(block, text.data(), text.size());
  lua_rawgetp(state, LUA_REGISTRYINDEX, &kDecimalMark);
  lua_setmetatable(state, -2);
}

void mark_array(lua_State* state) {
  lua_rawgetp(state, LUA_REGISTRYINDEX, &kArrayMark);
  lua_setmetatable(state, -2);
}

bool is_array(lua_State* state, int index) { return has_mark(state, index, &kArrayMark); }
bool is_outcome(lua_State* state, int index) {
  return lua_type(state, index) == LUA_TTABLE && has_mark(state, index, &kOutcomeMark);
}

std::optional<std::string_view> decimal_text(lua_State* state, int index) {
  if (lua_type(state, index) != LUA_TUSERDATA || !has_mark(state, index, &kDecimalMark))
    return std::nullopt;
  return std::string_view(static_cast<const char*>(lua_touserdata(state, index)),
                          lua_rawlen(state, index));
}

}  // namespace ledgerline::collector::lua_library
