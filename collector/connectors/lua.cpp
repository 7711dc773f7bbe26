#include "collector/connectors/lua.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <lua.hpp>

#include "collector/connectors/lua_library.h"
#include "common/bytes.h"
#include "common/check.h"

// Lua reports errors by longjmp, which skips destructors. So code that Lua calls (the functions
// below that take a lua_State only) holds no object with a destructor while it calls a Lua function
// that may fail, and code that owns such objects calls only what cannot fail, or goes through
// lua_pcall.

namespace ledgerline::collector {

struct LuaProfile::Memory {
  size_t used = 0;
  size_t max = 0;
  uint64_t budget = 0;  // instructions left of the call that runs now

  static void* allocate(void* self, void* block, size_t old_size, size_t new_size) {
    auto& memory = *static_cast<Memory*>(self);
    const size_t held = block == nullptr ? 0 : old_size;  // without a block old_size is a type tag
    if (new_size == 0) {
      std::free(block);
      memory.used -= held;
      return nullptr;
    }
    if (new_size > held && memory.used - held + new_size > memory.max) return nullptr;
    void* moved = std::realloc(block, new_size);
    if (moved != nullptr) memory.used = memory.used - held + new_size;
    return moved;
  }
};

namespace {

constexpr int kHookInterval = 1000;
constexpr int kDepthMax = 32;
constexpr size_t kValuesMax = 200'000;

void count_instructions(lua_State* state, lua_Debug*) {
  uint64_t* budget = *static_cast<uint64_t**>(lua_getextraspace(state));
  if (*budget < kHookInterval) {
    *budget = 0;
    luaL_error(state, "the instruction limit is used up: is there an endless loop?");
  }
  *budget -= kHookInterval;
}

// ---- JSON to Lua: runs protected
// -----------------------------------------------------------------------------------

void push_value(lua_State* state, const Json& value) {
  luaL_checkstack(state, 4, "a value is nested too deep");
  switch (value.kind()) {
    case Json::Kind::null:
      lua_pushlightuserdata(state, nullptr);
      return;
    case Json::Kind::boolean:
      lua_pushboolean(state, value.as_bool() ? 1 : 0);
      return;
    case Json::Kind::string:
      lua_pushlstring(state, value.text().data(), value.text().size());
      return;
    case Json::Kind::number:
      lua_library::push_decimal(state, value.text());
      return;
    case Json::Kind::array:
      lua_createtable(state, static_cast<int>(value.items().size()), 0);
      for (size_t i = 0; i < value.items().size(); ++i) {
        push_value(state, value.items()[i]);
        lua_rawseti(state, -2, static_cast<lua_Integer>(i + 1));
      }
      lua_library::mark_array(state);
      return;
    case Json::Kind::object:
      lua_createtable(state, 0, static_cast<int>(value.members().size()));
      for (const auto& [name, member] : value.members()) {
        lua_pushlstring(state, name.data(), name.size());
        push_value(state, member);
        lua_rawset(state, -3);
      }
      return;
  }
}

int push_protected(lua_State* state) {
  push_value(state, *static_cast<const Json*>(lua_touserdata(state, 1)));
  return 1;
}

// ---- Lua to JSON: nothing here may raise a Lua error
// ----------------------------------------------------------------

class Reader {
 public:
  explicit Reader(lua_State* state) : state_(state) {}

  /// The value on top of the stack, which stays there.
  Result<Json> read(int depth = 0) {
    if (++values_ > kValuesMax) return wrong("a value has more than 200000 parts");
    if (depth > kDepthMax || lua_checkstack(state_, 4) == 0)
      return wrong("a value is nested too deep");
    switch (lua_type(state_, -1)) {
      case LUA_TNONE:
      case LUA_TNIL:
        return Json::null();
      case LUA_TBOOLEAN:
        return Json::boolean(lua_toboolean(state_, -1) != 0);
      case LUA_TSTRING:
        return text();
      case LUA_TNUMBER:
        return number();
      case LUA_TLIGHTUSERDATA:
        return Json::null();
      case LUA_TUSERDATA:
        return decimal();
      case LUA_TTABLE:
        return table(depth);
      default:
        return wrong(std::string("a ") + lua_typename(state_, lua_type(state_, -1)) +
                     " cannot become JSON");
    }
  }

 private:
  static tl::unexpected<Error> wrong(std::string why) {
    return fail(Errc::internal, std::move(why));
  }

  Result<Json> text() {
    size_t size = 0;
    const char* data = lua_tolstring(state_, -1, &size);
    if (!is_utf8({data, size})) return wrong("a text is not UTF-8");
    return Json::string(std::string(data, size));
  }

  Result<Json> number() {
    if (lua_isinteger(state_, -1) == 0)
      return wrong("a float is not exact: use decimal(\"0.1\") or a whole number");
    return Json::number(static_cast<int64_t>(lua_tointeger(state_, -1)));
  }

  Result<Json> decimal() {
    const auto digits = lua_library::decimal_text(state_, -1);
    if (!digits) return wrong("an unknown value cannot become JSON");
    return Json::number(std::string(*digits));
  }

  Result<Json> table(int depth) {
    const auto length = lua_rawlen(state_, -1);
    if (length > 0 || lua_library::is_array(state_, -1)) return array(length, depth);
    return object(depth);
  }

  Result<Json> array(size_t length, int depth) {
    size_t keys = 0;
    lua_pushnil(state_);
    while (lua_next(state_, -2) != 0) {
      ++keys;
      lua_pop(state_, 1);
    }
    if (keys != length)
      return wrong("a table has both list and named members, or a hole: put null there");
    std::vector<Json> items;
    items.reserve(length);
    for (size_t i = 1; i <= length; ++i) {
      lua_rawgeti(state_, -1, static_cast<lua_Integer>(i));
      auto item = read(depth + 1);
      lua_pop(state_, 1);
      if (!item) return item;
      items.push_back(std::move(*item));
    }
    return Json::array(std::move(items));
  }

  Result<Json> object(int depth) {
    std::vector<Json::Member> members;
    lua_pushnil(state_);
    while (lua_next(state_, -2) != 0) {
      // lua_tolstring would turn a number into a string in place and confuse lua_next.
      if (lua_type(state_, -2) != LUA_TSTRING) {
        lua_pop(state_, 2);
        return wrong("a table's member has no text for a name");
      }
      size_t size = 0;
      const char* data = lua_tolstring(state_, -2, &size);
      std::string name(data, size);
      auto member = read(depth + 1);
      lua_pop(state_, 1);
      if (!member) {
        lua_pop(state_, 1);
        return member;
      }
      members.emplace_back(std::move(name), std::move(*member));
    }
    std::sort(members.begin(), members.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    return Json::object(std::move(members));
  }

  lua_State* state_;
  size_t values_ = 0;
};

/// The message of the error on top of `state`, which is removed.
std::string take_message(lua_State* state) {
  std::string out = "an error without a text";
  if (lua_type(state, -1) == LUA_TSTRING) out = lua_tostring(state, -1);
  lua_pop(state, 1);
  return out;
}

/// What make_call needs, by pointer.
struct CallOrder {
  const char* function;
  const std::vector<Json>* arguments;
};

/// Runs protected: a new thread with the profile's function and its arguments, anchored in the
/// registry. [order, profile's table] -> [reference, thread]
int make_call(lua_State* state) {
  const auto& order = *static_cast<const CallOrder*>(lua_touserdata(state, 1));
  lua_State* thread = lua_newthread(state);
  const int count = static_cast<int>(order.arguments->size());
  if (lua_checkstack(thread, count + 1) == 0) luaL_error(state, "not enough memory");
  if (lua_getfield(state, 2, order.function) != LUA_TFUNCTION) {
    luaL_error(state, "the profile has no function %s", order.function);
  }
  lua_xmove(state, thread, 1);
  for (int i = 0; i < count; ++i) {
    push_value(state, (*order.arguments)[static_cast<size_t>(i)]);
    lua_xmove(state, thread, 1);
  }
  lua_pushvalue(state, -1);
  lua_pushinteger(state, luaL_ref(state, LUA_REGISTRYINDEX));
  lua_insert(state, -2);
  return 2;
}

}  // namespace

// ---- Profile
// ---------------------------------------------------------------------------------------------------------

LuaProfile::LuaProfile(std::string file, LuaLimits limits)
    : file_(std::move(file)), limits_(limits), memory_(std::make_unique<Memory>()) {}

LuaProfile::~LuaProfile() {
  if (state_ != nullptr) lua_close(state_);
}

Result<std::unique_ptr<LuaProfile>> LuaProfile::load(std::string_view text, const std::string& file,
                                                     LuaLimits limits) {
  std::unique_ptr<LuaProfile> profile(new LuaProfile(file, limits));
  TRY_VOID(profile->run_file(text));
  return profile;
}

Status LuaProfile::run_file(std::string_view text) {
  memory_->max = limits_.memory_max;
  memory_->budget = limits_.instructions_max;
  state_ = lua_newstate(&Memory::allocate, memory_.get());
  if (state_ == nullptr)
    return fail(Errc::config, file_ + ": the memory limit is too small for a Lua interpreter");
  *static_cast<uint64_t**>(lua_getextraspace(state_)) = &memory_->budget;
  lua_sethook(state_, count_instructions, LUA_MASKCOUNT, kHookInterval);
  lua_pushcfunction(state_, lua_library::open);
  if (lua_pcall(state_, 0, 0, 0) != LUA_OK)
    return fail(Errc::config, file_ + ": " + take_message(state_));
  const std::string chunk = "@" + file_;
  if (luaL_loadbufferx(state_, text.data(), text.size(), chunk.c_str(), "t") != LUA_OK ||
      lua_pcall(state_, 0, 1, 0) != LUA_OK) {
    return fail(Errc::config, take_message(state_));
  }
  if (lua_type(state_, -1) != LUA_TTABLE)
    return fail(Errc::config, file_ + ": a profile returns a table");
  // The table stays at the bottom of the main stack as long as the profile lives.
  lua_settop(state_, 1);
  return {};
}

bool LuaProfile::has_function(const char* name) const {
  lua_pushstring(state_, name);
  const bool found = lua_rawget(state_, 1) == LUA_TFUNCTION;
  lua_pop(state_, 1);
  return found;
}

Result<Json> LuaProfile::value(const char* name) const {
  lua_pushstring(state_, name);
  lua_rawget(state_, 1);
  auto value = Reader(state_).read();
  lua_settop(state_, 1);
  if (!value) return fail(Errc::config, file_ + ": " + name + ": " + value.error().message());
  return value;
}

Status LuaProfile::push(const Json& value) {
  lua_pushcfunction(state_, push_protected);
  lua_pushlightuserdata(state_, const_cast<Json*>(&value));
  if (lua_pcall(state_, 1, 1, 0) != LUA_OK)
    return fail(Errc::internal, file_ + ": " + take_message(state_));
  return {};
}

Result<LuaCall> LuaProfile::start(const char* function, const std::vector<Json>& arguments) {
  memory_->budget = limits_.instructions_max;
  CallOrder order{function, &arguments};
  lua_pushcfunction(state_, make_call);
  lua_pushlightuserdata(state_, &order);
  lua_pushvalue(state_, 1);
  if (lua_pcall(state_, 2, 2, 0) != LUA_OK)
    return fail(Errc::internal, file_ + ": " + take_message(state_));
  const int anchor = static_cast<int>(lua_tointeger(state_, -2));
  lua_State* thread = lua_tothread(state_, -1);
  lua_settop(state_, 1);
  return LuaCall(*this, thread, anchor, limits_.instructions_max);
}

size_t LuaProfile::memory_used() const { return memory_->used; }

// ---- Call
// ------------------------------------------------------------------------------------------------------------

LuaCall::LuaCall(LuaCall&& other) noexcept
    : profile_(other.profile_),
      thread_(std::exchange(other.thread_, nullptr)),
      anchor_(other.anchor_),
      budget_(other.budget_) {}

LuaCall::~LuaCall() {
  if (thread_ != nullptr) luaL_unref(profile_->state_, LUA_REGISTRYINDEX, anchor_);
}

Result<LuaStep> LuaCall::resume(const std::optional<Json>& reply) {
  CHECK_INVARIANT(thread_ != nullptr);
  int arguments = 0;
  if (reply) {
    TRY_VOID(profile_->push(*reply));
    if (lua_checkstack(thread_, 1) == 0)
      return fail(Errc::internal, profile_->file_ + ": not enough memory");
    lua_xmove(profile_->state_, thread_, 1);
    arguments = 1;
  } else {
    arguments = lua_gettop(thread_) - 1;
  }
  profile_->memory_->budget = budget_;
  int results = 0;
  const int status = lua_resume(thread_, profile_->state_, arguments, &results);
  budget_ = profile_->memory_->budget;
  if (lua_checkstack(thread_, 4) == 0) {
    return fail(Errc::internal, profile_->file_ + ": not enough memory");
  }
  const bool outcome =
      status != LUA_OK && status != LUA_YIELD && lua_library::is_outcome(thread_, -1);
  if (status != LUA_OK && status != LUA_YIELD && !outcome)
    return fail(Errc::internal, take_message(thread_));
  if (results > 1 && status == LUA_OK) lua_pop(thread_, results - 1);
  if (results == 0 && !outcome) {
    if (lua_checkstack(thread_, 1) == 0)
      return fail(Errc::internal, profile_->file_ + ": not enough memory");
    lua_pushnil(thread_);
  }
  auto value = Reader(thread_).read();
  lua_pop(thread_, 1);
  if (!value) return fail(Errc::internal, profile_->file_ + ": " + value.error().message());
  if (outcome) return LuaStep{LuaStep::Kind::outcome, std::move(*value)};
  return LuaStep{status == LUA_YIELD ? LuaStep::Kind::request : LuaStep::Kind::returned,
                 std::move(*value)};
}

}  // namespace ledgerline::collector
