#pragma once
// Result<T>: what a fallible function returns. The code tells the caller what to do, the message
// tells a person what happened, the fields say where.

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace ledgerline {

enum class Errc {
  retry,    // a passing fault: the same call may work later
  reject,   // the input is wrong and stays wrong
  corrupt,  // stored or received bytes do not match their checksum, signature or format
  config,   // an operator has to change a setting
  not_found,
  conflict,  // another writer was first; read again
  full,      // a quota or the disk is full
  internal,  // ours to fix
};

std::string_view to_string(Errc code);

class Error {
 public:
  Error(Errc code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] Errc code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& fields() const {
    return fields_;
  }

  /// Adds where it happened, e.g. with("file", path). Returns itself for chaining.
  Error&& with(std::string key, std::string value) && {
    fields_.emplace_back(std::move(key), std::move(value));
    return std::move(*this);
  }

  /// "message (key=value, key=value)"
  [[nodiscard]] std::string text() const;

 private:
  Errc code_;
  std::string message_;
  std::vector<std::pair<std::string, std::string>> fields_;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(Errc code, std::string message) {
  return tl::unexpected<Error>(Error(code, std::move(message)));
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace ledgerline

#define LEDGERLINE_CONCAT_(a, b) a##b
#define LEDGERLINE_CONCAT(a, b) LEDGERLINE_CONCAT_(a, b)
#define LEDGERLINE_TRY_(result, declaration, expression)                                \
  auto result = (expression);                                                           \
  if (!result) return ::tl::unexpected<::ledgerline::Error>(std::move(result).error()); \
  declaration = std::move(*result)
/// TRY(auto batch, open(bytes)); returns the error to the caller, or binds the value.
#define TRY(declaration, expression) \
  LEDGERLINE_TRY_(LEDGERLINE_CONCAT(try_result_, __LINE__), declaration, expression)
/// TRY_VOID(write(x)); the same for Status.
#define TRY_VOID(expression)                                                                      \
  do {                                                                                            \
    auto try_status = (expression);                                                               \
    if (!try_status) return ::tl::unexpected<::ledgerline::Error>(std::move(try_status).error()); \
  } while (false)
