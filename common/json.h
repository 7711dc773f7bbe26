#pragma once
// JSON whose numbers keep their text: 0.1234567890123456789 stays what was written. The seam to
// Boost.JSON's parser.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"

namespace ledgerline {

struct JsonLimits {
  size_t depth_max = 32;
  size_t size_max = 16 << 20;
};

/// A JSON value. Objects keep the order of their members; a repeated member name is an error.
class Json {
 public:
  enum class Kind { null, boolean, number, string, array, object };
  using Member = std::pair<std::string, Json>;

  Json() = default;
  static Json null() { return {}; }
  static Json boolean(bool value);
  static Json number(std::string text);
  static Json number(int64_t value) { return number(std::to_string(value)); }
  static Json string(std::string text);
  static Json array(std::vector<Json> items = {});
  static Json object(std::vector<Member> members = {});

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool is(Kind kind) const { return kind_ == kind; }
  [[nodiscard]] bool as_bool() const { return flag_; }
  /// A string's text or a number's digits.
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::vector<Json>& items() const { return items_; }
  [[nodiscard]] std::vector<Json>& items() { return items_; }
  [[nodiscard]] const std::vector<Member>& members() const { return members_; }
  /// The member's value, or nullptr.
  [[nodiscard]] const Json* find(std::string_view name) const;
  /// Adds or replaces a member.
  void set(std::string name, Json value);
  void push(Json item) { items_.push_back(std::move(item)); }

  /// Compact, members in their order; strings escaped as RFC 8259 asks.
  [[nodiscard]] std::string dump() const;
  friend bool operator==(const Json&, const Json&) = default;

 private:
  Kind kind_ = Kind::null;
  bool flag_ = false;
  std::string text_;
  std::vector<Json> items_;
  std::vector<Member> members_;
};

/// Errc::reject with the byte offset where it is not JSON, not UTF-8, too deep, too long, or
/// repeats a member.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

/// Receives a document's events in order, for callers to whom a tree costs too much. Returning an
/// Error stops the parse. Strings and numbers arrive whole; the view ends with the call.
class JsonHandler {
 public:
  virtual ~JsonHandler() = default;
  virtual Status on_null() = 0;
  virtual Status on_bool(bool value) = 0;
  virtual Status on_number(std::string_view text) = 0;
  virtual Status on_string(std::string_view text) = 0;
  virtual Status on_key(std::string_view name) = 0;
  virtual Status on_array_begin() = 0;
  virtual Status on_array_end() = 0;
  virtual Status on_object_begin() = 0;
  virtual Status on_object_end() = 0;
};
Status parse_json(std::string_view text, JsonHandler& handler, const JsonLimits& limits = {});

/// Text as a JSON string with its quotes.
std::string json_quote(std::string_view text);

}  // namespace ledgerline
