#include "common/io/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "common/printable.h"

namespace ledgerline::io {

namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("ledgerline",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

/// A value with spaces, quotes or what `printable` escapes is quoted, so that a line stays one line
/// and splits at spaces.
std::string shown(const std::string& value) {
  std::string escaped;
  for (const char c : value) {
    if (c == '"' || c == '\\') escaped.push_back('\\');
    escaped.push_back(c);
  }
  escaped = printable(escaped);
  if (!value.empty() && escaped == value && value.find_first_of(" =") == std::string::npos)
    return value;
  return "\"" + escaped + "\"";
}

void write(spdlog::level::level_enum level, std::string_view event,
           std::initializer_list<KeyValue> values) {
  if (!logger().should_log(level)) return;
  std::string line(event);
  for (const auto& [key, value] : values)
    line.append(" ").append(key).append("=").append(shown(value));
  logger().log(level, "{}", line);
}

}  // namespace

Status set_log_level(std::string_view level) {
  for (const auto known :
       {spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err}) {
    const auto name = known == spdlog::level::warn ? std::string_view("warn")
                      : known == spdlog::level::err
                          ? std::string_view("error")
                          : std::string_view(spdlog::level::to_string_view(known).data());
    if (name != level) continue;
    logger().set_level(known);
    return {};
  }
  return fail(Error(Errc::config, "a log level is one of debug, info, warn, error")
                  .with("value", std::string(level)));
}

void log_debug(std::string_view event, std::initializer_list<KeyValue> values) {
  write(spdlog::level::debug, event, values);
}
void log_info(std::string_view event, std::initializer_list<KeyValue> values) {
  write(spdlog::level::info, event, values);
}
void log_warn(std::string_view event, std::initializer_list<KeyValue> values) {
  write(spdlog::level::warn, event, values);
}
void log_error(std::string_view event, std::initializer_list<KeyValue> values) {
  write(spdlog::level::err, event, values);
}

}  // namespace ledgerline::io
