#include "collector/core/exception_statement.h"

#include "collector/core/exceptions.h"

namespace ledgerline::collector {

namespace {

Json text(std::string value) { return Json::string(std::move(value)); }

std::optional<ExceptionActionKind> action_of(std::string_view word) {
  using Kind = ExceptionActionKind;
  for (const Kind kind : {Kind::assign, Kind::map, Kind::requeue, Kind::ignore}) {
    if (to_string(kind) == word) return kind;
  }
  return std::nullopt;
}

}  // namespace

std::string ExceptionStatement::json() const {
  return Json::object({{"format", Json::number(1)},
                       {"tenant", text(tenant)},
                       {"exception", text(exception)},
                       {"number", Json::number(int64_t{number})},
                       {"action", text(std::string(to_string(action)))},
                       {"detail", text(detail)},
                       {"by", text(by)},
                       {"at", text(to_rfc3339(at))},
                       {"reason", text(reason)}})
      .dump();
}

Result<ExceptionStatement> ExceptionStatement::parse(std::string_view json) {
  TRY(const Json parsed, parse_json(json));
  StatementReader in(parsed);
  ExceptionStatement out;
  if (in.number("format") != 1) in.fault("format", "1");
  out.tenant = in.text("tenant");
  out.exception = in.text("exception");
  out.number = static_cast<uint32_t>(in.number("number"));
  const auto action = action_of(in.text("action"));
  if (!action) in.fault("action", "assign, map, requeue or ignore");
  out.action = action.value_or(ExceptionActionKind::assign);
  out.detail = in.text("detail");
  out.by = in.text("by");
  out.at = in.time("at");
  out.reason = in.text("reason");
  TRY_VOID(in.end());
  TRY_VOID(check_canonical(json, out.json()));
  return out;
}

ExceptionStatement statement_of(const ExceptionAction& action, const std::string& tenant) {
  ExceptionStatement out;
  out.tenant = tenant;
  out.exception = action.exception;
  out.number = action.number;
  out.action = action.kind;
  out.detail = action.detail;
  out.by = action.by;
  out.at = action.at;
  out.reason = action.reason;
  return out;
}

}  // namespace ledgerline::collector
