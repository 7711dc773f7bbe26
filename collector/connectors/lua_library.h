#pragma once
// What a profile can name besides Lua's own string, table, math and utf8 (without string.dump and
// chance):
//   call{...}               suspends the function and performs one HTTP request
//   reject(reason)          ends the function: wrong for ever, a person has to act
//   retry(seconds, reason)  ends the function: try again later; seconds may be nil
//   decimal(value)          an exact number from text, a whole number or a decimal; + - * < <= ==
//   and tostring are exact;
//                           d:rounded(places [, "half_even" | "half_up" | "down"]), d:trimmed(),
//                           d:places(), d:is_zero()
//   array(table)            marks a list, so that an empty one is [] in JSON
//   null                    JSON's null
//   base64(text), url_encode(text), sha256(text) in lower-case hexadecimal
// Part of the seam to Lua (lua.h).

#include <optional>
#include <string_view>

struct lua_State;

namespace ledgerline::collector::lua_library {

/// A lua_CFunction: fills a new interpreter's globals and closes them.
int open(lua_State* state);

/// May raise a Lua error: for protected code.
void push_decimal(lua_State* state, std::string_view text);
/// Marks the table on top of the stack. May raise a Lua error.
void mark_array(lua_State* state);

/// These never raise. The view lives as long as the value does in Lua.
bool is_array(lua_State* state, int index);
bool is_outcome(lua_State* state, int index);
std::optional<std::string_view> decimal_text(lua_State* state, int index);

}  // namespace ledgerline::collector::lua_library
