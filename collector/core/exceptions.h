#pragma once
// Exceptions: work for a person. The same cause gives the same id, so that it is one row however
// often it is met. Pure.

#include <initializer_list>
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
  std::string_view owner;   // role
  std::string_view action;  // what that person can do about it
};
/// Nullptr for a kind nobody has a policy for.
const ExceptionPolicy* exception_policy(std::string_view kind);

/// A row with id, kind and owner set, first and last seen at `now`.
ExceptionRow new_exception(std::string_view kind, std::initializer_list<std::string_view> about,
                           const std::string& tenant, Timestamp now);

}  // namespace ledgerline::collector
