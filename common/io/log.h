#pragma once
// The seam to spdlog: an event's name and its key/values, one line to standard error. info: an
// operator's action worked; warn: we recovered; error: someone must act or data is at risk. Nothing
// per reading above debug; never a secret.

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "common/result.h"

namespace ledgerline::io {

using KeyValue = std::pair<std::string_view, std::string>;
inline KeyValue kv(std::string_view key, std::string value) { return {key, std::move(value)}; }
inline KeyValue kv(std::string_view key, std::string_view value) {
  return {key, std::string(value)};
}
inline KeyValue kv(std::string_view key, const char* value) { return {key, value}; }
template <class Number>
requires std::is_arithmetic_v<Number> KeyValue kv(std::string_view key, Number value) {
  return {key, std::to_string(value)};
}
inline KeyValue kv(std::string_view key, const Error& error) { return {key, error.text()}; }

/// "debug", "info", "warn" or "error". Errc::config otherwise.
Status set_log_level(std::string_view level);

void log_debug(std::string_view event, std::initializer_list<KeyValue> values = {});
void log_info(std::string_view event, std::initializer_list<KeyValue> values = {});
void log_warn(std::string_view event, std::initializer_list<KeyValue> values = {});
void log_error(std::string_view event, std::initializer_list<KeyValue> values = {});

}  // namespace ledgerline::io
