#include "agent/core/line_formats.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/bytes.h"
#include "common/json.h"

namespace ledgerline::agent {

namespace {

enum Combined : size_t {
  kClient,
  kIdent,
  kUser,
  kTime,
  kMethod,
  kPath,
  kProtocol,
  kStatus,
  kBytes,
  kReferer,
  kAgent,
  kCombined
};
constexpr std::array<std::string_view, kCombined> kCombinedNames = {
    "client",   "ident",  "user",  "time",    "method", "path",
    "protocol", "status", "bytes", "referer", "agent"};
constexpr JsonLimits kJsonLimits{.depth_max = 32, .size_max = 64 << 10};

/// Takes a combined line apart from the left.
class CombinedReader {
 public:
  explicit CombinedReader(std::string_view line) : rest_(line) {}

  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  /// Up to `end`, which is taken too.
  Result<std::string_view> until(std::string_view end, std::string_view what) {
    const size_t at = rest_.find(end);
    if (at == std::string_view::npos || at == 0)
      return fail(Errc::reject, "the field " + std::string(what) + " is missing or has no end");
    const std::string_view out = rest_.substr(0, at);
    rest_.remove_prefix(at + end.size());
    return out;
  }
  Result<std::string_view> word(std::string_view what) {
    const size_t at = std::min(rest_.find(' '), rest_.size());
    if (at == 0) return fail(Errc::reject, "the field " + std::string(what) + " is missing");
    const std::string_view out = rest_.substr(0, at);
    rest_.remove_prefix(std::min(at + 1, rest_.size()));
    return out;
  }
  /// Between quotes; servers write a quote and a backslash of the client with a backslash.
  Status quoted(std::string_view what, std::string& out) {
    out.clear();
    if (!take("\""))
      return fail(Errc::reject, "the field " + std::string(what) + " does not stand in quotes");
    for (size_t i = 0; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        take(" ");
        return {};
      }
      const bool escapes =
          rest_[i] == '\\' && i + 1 < rest_.size() && (rest_[i + 1] == '"' || rest_[i + 1] == '\\');
      if (escapes) ++i;
      out += rest_[i];
    }
    return fail(Errc::reject, "the quotes of the field " + std::string(what) + " are not closed");
  }

 private:
  std::string_view rest_;
};

/// A client that sent no HTTP leaves a request that is not three words.
void split_request(const std::string& request, std::vector<std::string>& all) {
  const size_t first = request.find(' ');
  const size_t last = request.rfind(' ');
  if (first == std::string::npos || first == last || first == 0 || last + 1 == request.size()) {
    all[kMethod] = "-";
    all[kPath] = request;
    all[kProtocol] = "-";
    return;
  }
  all[kMethod].assign(request, 0, first);
  all[kPath].assign(request, first + 1, last - first - 1);
  all[kProtocol].assign(request, last + 1);
}

/// A member of that whole name, else the way along the dots.
const Json* member(const Json& object, std::string_view name) {
  if (!object.is(Json::Kind::object)) return nullptr;
  if (const Json* found = object.find(name)) return found;
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return nullptr;
  const Json* inner = object.find(name.substr(0, dot));
  return inner == nullptr ? nullptr : member(*inner, name.substr(dot + 1));
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

void split_at_blanks(std::string_view line, std::vector<std::string>& out) {
  size_t at = 0;
  while (true) {
    while (at < line.size() && is_blank(line[at])) ++at;
    if (at == line.size()) return;
    const size_t begin = at;
    while (at < line.size() && !is_blank(line[at])) ++at;
    out.emplace_back(line.substr(begin, at - begin));
  }
}

/// Takes a quoted column that begins at `line`; returns what is behind it.
Result<std::string_view> unquote(std::string_view line, std::string& out) {
  for (size_t i = 1; i < line.size(); ++i) {
    if (line[i] != '"') {
      out += line[i];
    } else if (i + 1 < line.size() && line[i + 1] == '"') {
      out += line[i++];
    } else {
      return line.substr(i + 1);
    }
  }
  return fail(Errc::reject, "the quotes of a column are not closed");
}

Status split_at(std::string_view line, std::string_view separator, std::vector<std::string>& out) {
  while (true) {
    std::string column;
    if (line.starts_with('"')) {
      TRY(line, unquote(line, column));
      if (!line.empty() && !line.starts_with(separator))
        return fail(Errc::reject, "behind a quoted column stands no separator");
    } else {
      column = line.substr(0, line.find(separator));
      line.remove_prefix(column.size());
    }
    out.push_back(std::move(column));
    if (line.empty()) return {};
    if (out.size() == LineParser::kColumnsMax) return fail(Errc::reject, "it has too many columns");
    line.remove_prefix(separator.size());
  }
}

Status split(std::string_view line, const std::string& separator, std::vector<std::string>& out) {
  out.clear();
  if (!separator.empty()) return split_at(line, separator, out);
  split_at_blanks(line, out);
  return {};
}

}  // namespace

std::span<const std::string_view> combined_fields() { return kCombinedNames; }

Result<size_t> column_number(std::string_view name) {
  size_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size() || number == 0 ||
      number > LineParser::kColumnsMax) {
    return fail(Errc::reject, "a column without a header is called by its number, from \"1\"");
  }
  return number;
}

LineParser::LineParser(LineShape shape, std::vector<std::string> wanted)
    : shape_(std::move(shape)), wanted_(std::move(wanted)) {
  for (const std::string& name : wanted_) {
    if (shape_.format == LineFormat::combined) {
      const auto found = std::find(kCombinedNames.begin(), kCombinedNames.end(), name);
      places_.push_back(static_cast<size_t>(found - kCombinedNames.begin()));
    } else if (shape_.format == LineFormat::columns && !shape_.header) {
      places_.push_back(column_number(name).value_or(LineParser::kColumnsMax + 1) - 1);
    }
  }
}

Status LineParser::read_header(std::string_view line) {
  has_header_ = true;
  places_.clear();
  if (line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
  std::vector<std::string> names;
  TRY_VOID(split(line, shape_.separator, names));
  for (const std::string& name : wanted_) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      places_.clear();
      return fail(Errc::reject, "the first line names no column \"" + name + "\"");
    }
    places_.push_back(static_cast<size_t>(found - names.begin()));
  }
  return {};
}

Status LineParser::parse(std::string_view line, std::vector<std::string>& fields) {
  if (!is_utf8(line)) return fail(Errc::reject, "it is not UTF-8");
  fields.resize(wanted_.size());
  switch (shape_.format) {
    case LineFormat::combined:
      return parse_combined(line, fields);
    case LineFormat::json:
      return parse_json_line(line, fields);
    case LineFormat::columns:
      return parse_columns(line, fields);
  }
  return {};
}

Status LineParser::parse_combined(std::string_view line, std::vector<std::string>& fields) {
  all_.resize(kCombined);
  CombinedReader reader(line);
  TRY(all_[kClient], reader.word("client"));
  TRY(all_[kIdent], reader.word("ident"));
  TRY(all_[kUser], reader.until(" [", "user"));
  TRY(all_[kTime], reader.until("] ", "time"));
  std::string request;
  TRY_VOID(reader.quoted("request", request));
  split_request(request, all_);
  TRY(all_[kStatus], reader.word("status"));
  TRY(all_[kBytes], reader.word("bytes"));
  all_[kReferer] = "-";
  all_[kAgent] = "-";
  if (!reader.at_end()) TRY_VOID(reader.quoted("referer", all_[kReferer]));
  if (!reader.at_end()) TRY_VOID(reader.quoted("agent", all_[kAgent]));
  for (size_t i = 0; i < places_.size(); ++i) fields[i] = all_[places_[i]];
  return {};
}

Status LineParser::parse_json_line(std::string_view line, std::vector<std::string>& fields) const {
  auto json = parse_json(line, kJsonLimits);
  if (!json) return fail(Errc::reject, "it is not JSON: " + json.error().text());
  if (!json->is(Json::Kind::object)) return fail(Errc::reject, "it is JSON, but not an object");
  for (size_t i = 0; i < wanted_.size(); ++i) {
    const Json* value = member(*json, wanted_[i]);
    if (value == nullptr || value->is(Json::Kind::null)) {
      fields[i].clear();
    } else if (value->is(Json::Kind::boolean)) {
      fields[i] = value->as_bool() ? "true" : "false";
    } else if (value->is(Json::Kind::string) || value->is(Json::Kind::number)) {
      fields[i] = value->text();
    } else {
      return fail(Errc::reject, "the member \"" + wanted_[i] + "\" is an object or an array");
    }
  }
  return {};
}

Status LineParser::parse_columns(std::string_view line, std::vector<std::string>& fields) {
  if (places_.size() != wanted_.size())
    return fail(Errc::reject, "the first line of the file does not name the columns wanted");
  TRY_VOID(split(line, shape_.separator, all_));
  for (size_t i = 0; i < places_.size(); ++i) {
    if (places_[i] >= all_.size()) {
      return fail(Errc::reject, "it has " + std::to_string(all_.size()) + " columns; column " +
                                    std::to_string(places_[i] + 1) + " is wanted");
    }
    fields[i] = all_[places_[i]];
  }
  return {};
}

}  // namespace ledgerline::agent
