#pragma once
// An exception in words and in JSON, for the commands that show it. Pure.

#include <string>

#include "collector/core/records.h"
#include "common/json.h"

namespace ledgerline::collector {

/// What it is about: device, subject, meter, contract and document, those that it has.
std::string about_text(const ExceptionRow& row);
/// "45s", "12m", "7h", "3d".
std::string age_text(Duration age);
/// "in 3h", "2d late", "-" without a deadline.
std::string due_text(const ExceptionRow& row, Timestamp now);
/// Open, and past its deadline.
bool is_overdue(const ExceptionRow& row, Timestamp now);

Json as_json(const ExceptionRow& row, Timestamp now);
Json as_json(const ExceptionAction& action);

}  // namespace ledgerline::collector
