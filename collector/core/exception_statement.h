#pragma once
// The exception-action statement: what an operator did about an exception. Pure.

#include "collector/core/statement.h"

namespace ledgerline::collector {

struct ExceptionStatement {
  std::string tenant;  // empty where the exception belongs to none
  std::string exception;
  uint32_t number = 1;  // of the action, per exception
  ExceptionActionKind action = ExceptionActionKind::assign;
  std::string detail;
  std::string by;
  Timestamp at;
  std::string reason;

  [[nodiscard]] std::string json() const;
  /// Errc::corrupt, naming the member.
  static Result<ExceptionStatement> parse(std::string_view json);
};

ExceptionStatement statement_of(const ExceptionAction& action, const std::string& tenant);

}  // namespace ledgerline::collector
