#include "common/json.h"

// Boost.JSON is compiled here, headers only: no library to link, and its 1.81 DOM (which turns
// decimals into double) is never used. basic_parser hands out the digits as written.
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/src.hpp>

#include "common/bytes.h"
#include "common/check.h"

namespace ledgerline {

namespace {

namespace bj = boost::json;

/// Joins the parts that basic_parser hands out and passes them on whole.
class Adapter {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using Code = bj::error_code;

  explicit Adapter(JsonHandler& handler) : handler_(handler) {}
  Status status;

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code& c) { return take(handler_.on_object_begin(), c); }
  bool on_object_end(std::size_t, Code& c) { return take(handler_.on_object_end(), c); }
  bool on_array_begin(Code& c) { return take(handler_.on_array_begin(), c); }
  bool on_array_end(std::size_t, Code& c) { return take(handler_.on_array_end(), c); }
  bool on_key_part(bj::string_view s, std::size_t, Code&) { return join(s); }
  bool on_key(bj::string_view s, std::size_t, Code& c) {
    return take(handler_.on_key(whole(s)), c);
  }
  bool on_string_part(bj::string_view s, std::size_t, Code&) { return join(s); }
  bool on_string(bj::string_view s, std::size_t, Code& c) {
    return take(handler_.on_string(whole(s)), c);
  }
  bool on_number_part(bj::string_view s, Code&) { return join(s); }
  bool on_int64(int64_t, bj::string_view s, Code& c) {
    return take(handler_.on_number(whole(s)), c);
  }
  bool on_uint64(uint64_t, bj::string_view s, Code& c) {
    return take(handler_.on_number(whole(s)), c);
  }
  bool on_double(double, bj::string_view s, Code& c) {
    return take(handler_.on_number(whole(s)), c);
  }
  bool on_bool(bool value, Code& c) { return take(handler_.on_bool(value), c); }
  bool on_null(Code& c) { return take(handler_.on_null(), c); }
  bool on_comment_part(bj::string_view, Code&) { return true; }
  bool on_comment(bj::string_view, Code&) { return true; }

 private:
  bool take(Status result, Code& code) {
    parts_.clear();
    if (result) return true;
    status = std::move(result);
    code = bj::error::syntax;
    return false;
  }
  bool join(bj::string_view s) {
    parts_.append(s.data(), s.size());
    return true;
  }
  std::string_view whole(bj::string_view s) {
    if (parts_.empty()) return {s.data(), s.size()};
    parts_.append(s.data(), s.size());
    return parts_;
  }

  JsonHandler& handler_;
  std::string parts_;
};

class TreeBuilder final : public JsonHandler {
 public:
  Status on_null() override { return put(Json::null()); }
  Status on_bool(bool value) override { return put(Json::boolean(value)); }
  Status on_number(std::string_view text) override { return put(Json::number(std::string(text))); }
  Status on_string(std::string_view text) override { return put(Json::string(std::string(text))); }
  Status on_key(std::string_view name) override {
    if (open_.back().first.find(name) != nullptr) {
      return fail(Error(Errc::reject, "a JSON object repeats a member")
                      .with("member", std::string(name.substr(0, 80))));
    }
    open_.back().second = name;
    return {};
  }
  Status on_array_begin() override { return begin(Json::array()); }
  Status on_array_end() override { return end(); }
  Status on_object_begin() override { return begin(Json::object()); }
  Status on_object_end() override { return end(); }
  Json take() { return std::move(root_); }

 private:
  Status begin(Json value) {
    open_.emplace_back(std::move(value), std::string());
    return {};
  }
  Status end() {
    Json done = std::move(open_.back().first);
    open_.pop_back();
    return put(std::move(done));
  }
  Status put(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().first.is(Json::Kind::array)) {
      open_.back().first.push(std::move(value));
    } else {
      open_.back().first.set(std::move(open_.back().second), std::move(value));
    }
    return {};
  }

  Json root_;
  std::vector<std::pair<Json, std::string>>
      open_;  // containers being filled, each with the name of its next member
};

void dump_to(const Json& value, std::string& out) {
  switch (value.kind()) {
    case Json::Kind::null:
      out += "null";
      return;
    case Json::Kind::boolean:
      out += value.as_bool() ? "true" : "false";
      return;
    case Json::Kind::number:
      out += value.text();
      return;
    case Json::Kind::string:
      out += json_quote(value.text());
      return;
    case Json::Kind::array: {
      out += '[';
      for (size_t i = 0; i < value.items().size(); ++i) {
        if (i != 0) out += ',';
        dump_to(value.items()[i], out);
      }
      out += ']';
      return;
    }
    case Json::Kind::object: {
      out += '{';
      for (size_t i = 0; i < value.members().size(); ++i) {
        if (i != 0) out += ',';
        out += json_quote(value.members()[i].first) + ":";
        dump_to(value.members()[i].second, out);
      }
      out += '}';
      return;
    }
  }
}

}  // namespace

Json Json::boolean(bool value) {
  Json out;
  out.kind_ = Kind::boolean;
  out.flag_ = value;
  return out;
}

Json Json::number(std::string text) {
  Json out;
  out.kind_ = Kind::number;
  out.text_ = std::move(text);
  return out;
}

Json Json::string(std::string text) {
  Json out;
  out.kind_ = Kind::string;
  out.text_ = std::move(text);
  return out;
}

Json Json::array(std::vector<Json> items) {
  Json out;
  out.kind_ = Kind::array;
  out.items_ = std::move(items);
  return out;
}

Json Json::object(std::vector<Member> members) {
  Json out;
  out.kind_ = Kind::object;
  out.members_ = std::move(members);
  return out;
}

const Json* Json::find(std::string_view name) const {
  for (const auto& [key, value] : members_) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Json::set(std::string name, Json value) {
  for (auto& [key, old] : members_) {
    if (key != name) continue;
    old = std::move(value);
    return;
  }
  members_.emplace_back(std::move(name), std::move(value));
}

std::string Json::dump() const {
  std::string out;
  dump_to(*this, out);
  return out;
}

std::string json_quote(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += kDigits[static_cast<unsigned char>(c) >> 4];
          out += kDigits[c & 15];
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

Status parse_json(std::string_view text, JsonHandler& handler, const JsonLimits& limits) {
  if (text.size() > limits.size_max) return fail(Errc::reject, "a JSON text is too long");
  bj::parse_options options;
  options.max_depth = limits.depth_max;
  bj::basic_parser<Adapter> parser(options, handler);
  bj::error_code code;
  const size_t used = parser.write_some(false, text.data(), text.size(), code);
  if (!parser.handler().status) return parser.handler().status;
  if (!code && used == text.size()) return {};
  const std::string why = code ? code.message() : "text behind the value";
  return fail(Error(Errc::reject, "not JSON: " + why).with("byte", std::to_string(used)));
}

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  TreeBuilder builder;
  TRY_VOID(parse_json(text, builder, limits));
  return builder.take();
}

}  // namespace ledgerline
