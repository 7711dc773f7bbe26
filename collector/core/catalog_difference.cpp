#include "collector/core/catalog_difference.h"

#include <map>

#include "collector/core/catalog_version.h"
#include "common/json.h"

namespace ledgerline::collector {

namespace {

/// What an item of an array is called by: prices by their meter, links by their from.
constexpr std::string_view kLabels[] = {"name", "meter", "product", "from"};

std::string label_of(const Json& item, size_t index) {
  for (const std::string_view label : kLabels) {
    const Json* named = item.find(label);
    if (named != nullptr && !named->text().empty()) return named->text();
  }
  return std::to_string(index + 1);
}

/// The members of an object, the items of an array, each with its name.
std::map<std::string, Json> parts_of(const Json& json) {
  std::map<std::string, Json> out;
  for (const auto& [name, value] : json.members()) out.emplace(name, value);
  for (size_t i = 0; i < json.items().size(); ++i) {
    const std::string label = "[" + label_of(json.items()[i], i) + "]";
    // Two items of one label are told apart by where they are.
    if (!out.emplace(label, json.items()[i]).second)
      out.emplace("[" + std::to_string(i + 1) + "]", json.items()[i]);
  }
  return out;
}

bool has_parts(const Json& json) {
  return json.is(Json::Kind::object) || json.is(Json::Kind::array);
}

class Comparison {
 public:
  void compare(const std::string& path, const Json* before, const Json* after) {
    if (before != nullptr && after != nullptr && *before == *after) return;
    const bool deeper = before != nullptr && after != nullptr && before->kind() == after->kind() &&
                        has_parts(*before);
    if (!deeper) {
      found_.push_back(path + " " + shown(before) + " -> " + shown(after));
      return;
    }
    const size_t found = found_.size();
    const auto old_parts = parts_of(*before);
    auto new_parts = parts_of(*after);
    for (const auto& [name, part] : old_parts) {
      const auto other = new_parts.find(name);
      compare(below(path, name), &part, other == new_parts.end() ? nullptr : &other->second);
      if (other != new_parts.end()) new_parts.erase(other);
    }
    for (const auto& [name, part] : new_parts) compare(below(path, name), nullptr, &part);
    // Only their order is another one.
    if (found_.size() == found) found_.push_back(path + " in another order");
  }

  [[nodiscard]] const std::vector<std::string>& found() const { return found_; }

 private:
  static std::string shown(const Json* json) { return json == nullptr ? "none" : json->dump(); }
  static std::string below(const std::string& path, const std::string& name) {
    return name.starts_with('[') || path.empty() ? path + name : path + "." + name;
  }

  std::vector<std::string> found_;
};

}  // namespace

std::vector<EntryChange> entry_changes(const std::vector<std::string>& before,
                                       const std::vector<std::string>& after) {
  std::map<std::string, EntryChange> found;
  for (const std::string& text : before) found[entry_name(text)].before = text;
  for (const std::string& text : after) found[entry_name(text)].after = text;
  std::vector<EntryChange> out;
  for (auto& [name, change] : found) {
    if (change.before == change.after) continue;
    change.name = name;
    out.push_back(std::move(change));
  }
  return out;
}

std::vector<std::string> in_words(const EntryChange& change) {
  if (change.before.empty()) return {"added " + change.name};
  if (change.after.empty()) return {"removed " + change.name};
  const auto before = parse_json(change.before);
  const auto after = parse_json(change.after);
  if (!before || !after) return {"changed " + change.name};
  Comparison comparison;
  comparison.compare("", &*before, &*after);
  std::vector<std::string> out;
  for (const std::string& line : comparison.found())
    out.push_back("changed " + change.name + ": " + line);
  return out;
}

}  // namespace ledgerline::collector
