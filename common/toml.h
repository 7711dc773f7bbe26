#pragma once
// Configuration and catalog files. The seam to toml++: every complaint names file:line:column, an
// unknown key comes with the nearest known one, and prices and quantities are quoted strings
// because TOML's floats are not exact. Pure: takes text.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/decimal.h"
#include "common/result.h"
#include "common/time.h"

namespace ledgerline {

/// One table of a file. Each read marks its key as known; finish() refuses the keys that nobody
/// read.
class TomlTable {
 public:
  /// Errc::config with "file:line:column: what". `file` is only for messages.
  static Result<TomlTable> parse(std::string_view text, std::string file);

  [[nodiscard]] bool has(std::string_view key) const;
  /// True where the key is there and is a table.
  [[nodiscard]] bool has_table(std::string_view key) const;
  /// In the order of their names.
  [[nodiscard]] std::vector<std::string> keys() const;

  /// Required keys: Errc::config where missing (names the table's line) or of another type (names
  /// the key's line).
  Result<std::string> string(std::string_view key);
  Result<int64_t> integer(std::string_view key, int64_t min, int64_t max);
  Result<bool> boolean(std::string_view key);
  /// A quoted decimal. An unquoted number is refused: "prices and quantities are quoted: unit_price
  /// = \"0.35\"".
  Result<Decimal> decimal(std::string_view key);
  /// "250ms", "30s", "5m", "12h", "7d".
  Result<Duration> duration(std::string_view key);
  /// "64KiB", "256MiB", "2GiB", or plain bytes as an integer.
  Result<uint64_t> size(std::string_view key);
  /// A quoted RFC 3339 time, or a TOML offset date-time.
  Result<Timestamp> timestamp(std::string_view key);
  Result<TomlTable> table(std::string_view key);

  /// The same with a default for an absent key.
  Result<std::string> string(std::string_view key, std::string fallback);
  Result<int64_t> integer(std::string_view key, int64_t min, int64_t max, int64_t fallback);
  Result<bool> boolean(std::string_view key, bool fallback);
  Result<Duration> duration(std::string_view key, Duration fallback);
  Result<uint64_t> size(std::string_view key, uint64_t fallback);

  /// Empty where absent.
  Result<std::vector<std::string>> strings(std::string_view key);
  Result<std::vector<TomlTable>> tables(std::string_view key);
  /// [key] as one, [[key]] as they are; empty where absent.
  Result<std::vector<TomlTable>> one_or_more_tables(std::string_view key);
  /// Names and string values of a free-form table such as labels; empty where absent.
  Result<std::vector<std::pair<std::string, std::string>>> string_map(std::string_view key);

  /// Errc::config for the first key nobody read, with the nearest key that is known here. Call it
  /// last.
  Status finish() const;

  /// "file:line:column: message" at the key, or at the table where the key is absent.
  [[nodiscard]] Error error_at(std::string_view key, const std::string& message) const;

 private:
  struct State;
  explicit TomlTable(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;  // shared: tables of one file keep the parsed document alive
};

/// The candidate with the smallest edit distance, where it is near enough to be a typo (at most a
/// third of the length).
std::optional<std::string> nearest_name(std::string_view name,
                                        const std::vector<std::string>& candidates);

}  // namespace ledgerline
