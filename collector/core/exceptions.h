#pragma once
// Exceptions: work for a person. The same cause gives the same id, so that it is one row however
// often it is met. Pure.

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collector/core/records.h"

namespace ledgerline::collector {

/// "ex-" and 32 hexadecimal digits of SHA-256 over the kind and what the exception is about (series
/// number, contract and period, stream ...), each with its length, so that no two lists of parts
/// run together.
std::string exception_id(std::string_view kind, std::initializer_list<std::string_view> about);

struct ExceptionPolicy {
  std::string_view kind;
  std::string_view owner;  // role
  Duration within;         // from the first sighting to the deadline
  std::vector<ExceptionActionKind> actions;
  std::string_view remedy;  // what that person can do about it
};
/// Nullptr for a kind nobody has a policy for.
const ExceptionPolicy* exception_policy(std::string_view kind);
/// In the order of exception_kind.
const std::vector<ExceptionPolicy>& exception_policies();

/// Nothing for a kind without a policy.
std::optional<Timestamp> deadline_of(std::string_view kind, Timestamp since);

/// "assign", "map", "requeue", "ignore": the command's word.
std::string_view to_string(ExceptionActionKind action);
/// Errc::reject, with what can be done instead, where this kind of exception has no such action.
Status allowed(std::string_view kind, ExceptionActionKind action);

/// A row with id, kind and owner set, first and last seen at `now`.
ExceptionRow new_exception(std::string_view kind, std::initializer_list<std::string_view> about,
                           const std::string& tenant, Timestamp now);

}  // namespace ledgerline::collector
