#pragma once
// How the catalog's files are read and complained about, shared by the parts of CatalogReader.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/toml.h"

namespace ledgerline::collector {

inline constexpr size_t kNameLengthMax = 100;

inline std::string in_quotes(const std::string& name) { return "\"" + name + "\""; }

inline std::string did_you_mean(const std::string& name,
                                const std::vector<std::string>& candidates) {
  const auto near = nearest_name(name, candidates);
  return near ? "; did you mean " + in_quotes(*near) + "?" : "";
}

/// One of a few words, as a value.
template <class Value>
Result<Value> choose(TomlTable& table, std::string_view key, const std::string& written,
                     const std::vector<std::pair<std::string, Value>>& choices) {
  std::vector<std::string> words;
  std::string list;
  for (const auto& [word, value] : choices) {
    if (word == written) return value;
    list += (list.empty() ? "" : ", ") + word;
    words.push_back(word);
  }
  return fail(table.error_at(
      key, in_quotes(written) + " is none of " + list + did_you_mean(written, words)));
}

inline Result<std::string> read_name(TomlTable& table, std::string_view key) {
  TRY(std::string name, table.string(key));
  if (name.empty() || name.size() > kNameLengthMax) {
    return fail(
        table.error_at(key, "a name has 1 to " + std::to_string(kNameLengthMax) + " bytes"));
  }
  if (std::any_of(name.begin(), name.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    return fail(table.error_at(key, "a name holds no control characters"));
  }
  return name;
}

inline Result<Decimal> read_not_negative(TomlTable& table, std::string_view key) {
  TRY(Decimal value, table.decimal(key));
  if (value.is_negative())
    return fail(table.error_at(key, "\"" + std::string(key) + "\" is negative"));
  return value;
}

template <class Map>
std::string unknown(const std::string& what, const std::string& name, const Map& defined) {
  std::vector<std::string> names;
  for (const auto& [known, value] : defined) names.push_back(known);
  return "unknown " + what + " " + in_quotes(name) + did_you_mean(name, names);
}

}  // namespace ledgerline::collector
