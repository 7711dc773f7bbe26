#pragma once
// The seam to Lua 5.4: one profile in its own interpreter, which can compute and nothing else.
// There is no io, os, package, debug, load, pcall or metatable access; time and memory are limited;
// a float never leaves. Used on one thread only.
//
// A profile's functions are straight code: call{...} suspends the function, the engine performs the
// request and resumes it. Several calls of one profile may be under way at once; they share the
// profile's local variables, which are its cache.
//
// How values cross:
//   JSON null    <-> null (a value of its own, because nil would vanish from a table)
//   true, false  <-> boolean
//   number       <-> decimal, with the text it was written with; towards JSON also a Lua integer. A
//   float is an error. string       <-> string, UTF-8 array        <-> table made by array{...}, or
//   without that mark a table with the keys 1 to n; empty: array{} object       <-> table with
//   string keys; members leave in the order of their names

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json.h"
#include "common/result.h"

struct lua_State;

namespace ledgerline::collector {

struct LuaLimits {
  uint64_t instructions_max = 20'000'000;  // per call, about a second
  size_t memory_max = 64 << 20;            // of the whole interpreter
};

/// What a profile's function did when it stopped running.
struct LuaStep {
  enum class Kind {
    request,   // call{...}: value is its table
    returned,  // value is what it returned; null for nothing
    outcome,   // reject(...) or retry(...): value is {outcome=, reason=, seconds=}
  };
  Kind kind = Kind::returned;
  Json value;
};

class LuaProfile;

/// One running function of a profile. Ends before its profile.
class LuaCall {
 public:
  LuaCall(LuaCall&& other) noexcept;
  LuaCall& operator=(LuaCall&&) = delete;
  ~LuaCall();

  /// Runs until the next request or the end. `reply` answers the request before; absent the first
  /// time. Errc::internal with file:line for an error in the profile or a limit. After an end or an
  /// error: not again.
  Result<LuaStep> resume(const std::optional<Json>& reply = std::nullopt);

 private:
  friend class LuaProfile;
  LuaCall(LuaProfile& profile, lua_State* thread, int anchor, uint64_t budget)
      : profile_(&profile), thread_(thread), anchor_(anchor), budget_(budget) {}
  LuaProfile* profile_;
  lua_State* thread_;
  int anchor_;
  uint64_t budget_;
};

class LuaProfile {
 public:
  /// Runs the file, which has to return a table. Errc::config with file:line.
  static Result<std::unique_ptr<LuaProfile>> load(std::string_view text, const std::string& file,
                                                  LuaLimits limits = {});
  LuaProfile(const LuaProfile&) = delete;
  LuaProfile& operator=(const LuaProfile&) = delete;
  ~LuaProfile();

  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] bool has_function(const char* name) const;
  /// A value of the returned table; null where absent. Errc::config where it cannot be JSON.
  [[nodiscard]] Result<Json> value(const char* name) const;

  /// Prepares a call. Errc::internal where the arguments do not fit into memory.
  Result<LuaCall> start(const char* function, const std::vector<Json>& arguments);

  [[nodiscard]] size_t memory_used() const;

 private:
  friend class LuaCall;
  struct Memory;
  explicit LuaProfile(std::string file, LuaLimits limits);
  Status run_file(std::string_view text);
  /// Pushes `value` onto the main stack. Errc::internal when memory is used up.
  Status push(const Json& value);

  std::string file_;
  LuaLimits limits_;
  std::unique_ptr<Memory> memory_;
  lua_State* state_ = nullptr;
};

}  // namespace ledgerline::collector
