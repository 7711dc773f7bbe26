#include "common/toml.h"

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

namespace ledgerline {

namespace {

struct Document {
  toml::table root;
  std::string file;
};

std::string place(const std::string& file, toml::source_position position) {
  // A root table without a first line has no position of its own.
  const auto line = std::max<toml::source_index>(position.line, 1);
  const auto column = std::max<toml::source_index>(position.column, 1);
  return file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": ";
}

std::string in_quotes(std::string_view key) { return "\"" + std::string(key) + "\""; }

struct Unit {
  std::string_view name;
  int64_t factor;
};
constexpr Unit kDurationUnits[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
constexpr Unit kSizeUnits[] = {
    {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", int64_t{1} << 40}};

/// "<digits><unit>" as a count of the smallest unit; nothing where it is not that or does not fit.
template <size_t N>
std::optional<int64_t> scaled(std::string_view text, const Unit (&units)[N]) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0) return std::nullopt;
  const std::string_view unit_name = text.substr(static_cast<size_t>(end - text.data()));
  for (const Unit& unit : units) {
    if (unit.name != unit_name) continue;
    if (value > INT64_MAX / unit.factor) return std::nullopt;
    return value * unit.factor;
  }
  return std::nullopt;
}

std::string two_digits(int value) { return (value < 10 ? "0" : "") + std::to_string(value); }

/// A TOML offset date-time as RFC 3339, so that one parser decides what a time is.
std::string rfc3339_of(const toml::date_time& value) {
  const std::string year = std::to_string(value.date.year);
  std::string out = std::string(year.size() < 4 ? 4 - year.size() : 0, '0') + year + "-" +
                    two_digits(value.date.month) + "-" + two_digits(value.date.day) + "T" +
                    two_digits(value.time.hour) + ":" + two_digits(value.time.minute) + ":" +
                    two_digits(value.time.second);
  const std::string nanoseconds = std::to_string(value.time.nanosecond);
  out += "." + std::string(9 - nanoseconds.size(), '0') + nanoseconds;
  const int offset = value.offset->minutes;
  const int distance = offset < 0 ? -offset : offset;
  return out + (offset < 0 ? "-" : "+") + two_digits(distance / 60) + ":" +
         two_digits(distance % 60);
}

size_t edit_distance(std::string_view a, std::string_view b) {
  // Optimal string alignment: swapping two neighbours is the commonest slip and counts as one edit.
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

constexpr size_t kNearestNameMax =
    128;  // longer names are no typing slips, and the distance costs their product

}  // namespace

struct TomlTable::State {
  std::shared_ptr<const Document>
      document;  // keeps the nodes of this and every other table of the file alive
  const toml::table* table = nullptr;
  std::set<std::string, std::less<>> known;  // asked for
  std::set<std::string, std::less<>> read;   // asked for its value

  const toml::node* find(std::string_view key) {
    known.emplace(key);
    read.emplace(key);
    return table->get(key);
  }
};

namespace {

/// The node where it is there and `read` understands it.
template <class Value, class Read>
Result<Value> required(const TomlTable& table, const toml::node* node, std::string_view key,
                       Read read) {
  if (node == nullptr) return fail(table.error_at(key, "missing key " + in_quotes(key)));
  return read(*node);
}

Result<Decimal> read_decimal(const TomlTable& table, const toml::node& node, std::string_view key) {
  if (node.is_number()) {
    return fail(table.error_at(
        key, "prices and quantities are quoted: " + std::string(key) + " = \"0.35\""));
  }
  if (!node.is_string())
    return fail(table.error_at(key, in_quotes(key) + " is not a quoted decimal number"));
  auto value = Decimal::parse(**node.as_string());
  if (!value) return fail(table.error_at(key, in_quotes(key) + ": " + value.error().text()));
  return value;
}

}  // namespace

Result<TomlTable> TomlTable::parse(std::string_view text, std::string file) {
  try {
    auto document = std::make_shared<Document>();
    document->root = toml::parse(text);
    document->file = std::move(file);
    auto state = std::make_shared<State>();
    state->table = &document->root;
    state->document = std::move(document);
    return TomlTable(std::move(state));
  } catch (const toml::parse_error& error) {
    return fail(Errc::config, place(file, error.source().begin) + std::string(error.description()));
  }
}

bool TomlTable::has(std::string_view key) const {
  state_->known.emplace(key);
  return state_->table->contains(key);
}

Error TomlTable::error_at(std::string_view key, const std::string& message) const {
  const auto found = state_->table->find(key);
  const toml::source_position position =
      found != state_->table->cend() ? found->first.source().begin : state_->table->source().begin;
  return {Errc::config, place(state_->document->file, position) + message};
}

Result<std::string> TomlTable::string(std::string_view key) {
  return required<std::string>(
      *this, state_->find(key), key, [&](const toml::node& node) -> Result<std::string> {
        if (!node.is_string()) return fail(error_at(key, in_quotes(key) + " is not a quoted text"));
        return **node.as_string();
      });
}

Result<int64_t> TomlTable::integer(std::string_view key, int64_t min, int64_t max) {
  return required<int64_t>(
      *this, state_->find(key), key, [&](const toml::node& node) -> Result<int64_t> {
        if (!node.is_integer())
          return fail(error_at(key, in_quotes(key) + " is not a whole number"));
        const int64_t value = **node.as_integer();
        if (value < min || value > max) {
          return fail(error_at(key, in_quotes(key) + " is not between " + std::to_string(min) +
                                        " and " + std::to_string(max)));
        }
        return value;
      });
}

Result<bool> TomlTable::boolean(std::string_view key) {
  return required<bool>(*this, state_->find(key), key, [&](const toml::node& node) -> Result<bool> {
    if (!node.is_boolean()) return fail(error_at(key, in_quotes(key) + " is not true or false"));
    return **node.as_boolean();
  });
}

Result<Decimal> TomlTable::decimal(std::string_view key) {
  return required<Decimal>(*this, state_->find(key), key,
                           [&](const toml::node& node) { return read_decimal(*this, node, key); });
}

Result<Duration> TomlTable::duration(std::string_view key) {
  return required<Duration>(
      *this, state_->find(key), key, [&](const toml::node& node) -> Result<Duration> {
        const auto value =
            node.is_string() ? scaled(**node.as_string(), kDurationUnits) : std::nullopt;
        if (!value)
          return fail(error_at(
              key, in_quotes(key) +
                       " is not a time span such as \"250ms\", \"30s\", \"5m\", \"12h\", \"7d\""));
        return Duration(*value);
      });
}

Result<uint64_t> TomlTable::size(std::string_view key) {
  return required<uint64_t>(
      *this, state_->find(key), key, [&](const toml::node& node) -> Result<uint64_t> {
        std::optional<int64_t> value;
        if (node.is_string()) value = scaled(**node.as_string(), kSizeUnits);
        if (node.is_integer() && **node.as_integer() >= 0) value = **node.as_integer();
        if (!value)
          return fail(error_at(
              key,
              in_quotes(key) +
                  " is not a size such as \"64KiB\", \"256MiB\", \"2GiB\" or a count of bytes"));
        return static_cast<uint64_t>(*value);
      });
}

Result<Timestamp> TomlTable::timestamp(std::string_view key) {
  return required<Timestamp>(
      *this, state_->find(key), key, [&](const toml::node& node) -> Result<Timestamp> {
        std::string text;
        if (node.is_string()) text = **node.as_string();
        if (node.is_date_time() && (**node.as_date_time()).offset)
          text = rfc3339_of(**node.as_date_time());
        auto value = parse_rfc3339(text);
        if (!value)
          return fail(error_at(
              key, in_quotes(key) + ": not an RFC 3339 time such as 2026-11-20T08:15:00Z"));
        return value;
      });
}

Result<TomlTable> TomlTable::table(std::string_view key) {
  return required<TomlTable>(
      *this, state_->find(key), key, [&](const toml::node& node) -> Result<TomlTable> {
        if (!node.is_table())
          return fail(error_at(key, in_quotes(key) + " is not a table [" + std::string(key) + "]"));
        auto state = std::make_shared<State>();
        state->document = state_->document;
        state->table = node.as_table();
        return TomlTable(std::move(state));
      });
}

Result<std::string> TomlTable::string(std::string_view key, std::string fallback) {
  if (!has(key)) return fallback;
  return string(key);
}

Result<int64_t> TomlTable::integer(std::string_view key, int64_t min, int64_t max,
                                   int64_t fallback) {
  if (!has(key)) return fallback;
  return integer(key, min, max);
}

Result<bool> TomlTable::boolean(std::string_view key, bool fallback) {
  if (!has(key)) return fallback;
  return boolean(key);
}

Result<Duration> TomlTable::duration(std::string_view key, Duration fallback) {
  if (!has(key)) return fallback;
  return duration(key);
}

Result<uint64_t> TomlTable::size(std::string_view key, uint64_t fallback) {
  if (!has(key)) return fallback;
  return size(key);
}

Result<std::vector<std::string>> TomlTable::strings(std::string_view key) {
  std::vector<std::string> out;
  const toml::node* node = state_->find(key);
  if (node == nullptr) return out;
  const toml::array* array = node->as_array();
  if (array == nullptr)
    return fail(error_at(key, in_quotes(key) + " is not a list of quoted texts"));
  for (const toml::node& item : *array) {
    if (!item.is_string())
      return fail(error_at(key, in_quotes(key) + " is not a list of quoted texts"));
    out.push_back(**item.as_string());
  }
  return out;
}

Result<std::vector<TomlTable>> TomlTable::tables(std::string_view key) {
  std::vector<TomlTable> out;
  const toml::node* node = state_->find(key);
  if (node == nullptr) return out;
  const std::string what = in_quotes(key) + " is not a list of tables [[" + std::string(key) + "]]";
  const toml::array* array = node->as_array();
  if (array == nullptr) return fail(error_at(key, what));
  for (const toml::node& item : *array) {
    if (!item.is_table()) return fail(error_at(key, what));
    auto state = std::make_shared<State>();
    state->document = state_->document;
    state->table = item.as_table();
    out.push_back(TomlTable(std::move(state)));
  }
  return out;
}

Result<std::vector<std::pair<std::string, std::string>>> TomlTable::string_map(
    std::string_view key) {
  std::vector<std::pair<std::string, std::string>> out;
  const toml::node* node = state_->find(key);
  if (node == nullptr) return out;
  const toml::table* table = node->as_table();
  if (table == nullptr)
    return fail(error_at(key, in_quotes(key) + " is not a table of quoted texts"));
  for (const auto& [name, value] : *table) {
    if (!value.is_string()) {
      return fail(Errc::config, place(state_->document->file, name.source().begin) +
                                    in_quotes(name.str()) + " is not a quoted text");
    }
    out.emplace_back(std::string(name.str()), **value.as_string());
  }
  return out;
}

Status TomlTable::finish() const {
  // toml++ sorts keys by name; the first one in the file is the one to name.
  const toml::key* first = nullptr;
  for (const auto& [name, value] : *state_->table) {
    if (state_->read.contains(name.str())) continue;
    const auto position = [](const toml::key& key) {
      return std::pair(key.source().begin.line, key.source().begin.column);
    };
    if (first == nullptr || position(name) < position(*first)) first = &name;
  }
  if (first == nullptr) return {};
  std::string message = "unknown key " + in_quotes(first->str());
  const auto near = nearest_name(first->str(), {state_->known.begin(), state_->known.end()});
  if (near) message += "; did you mean " + in_quotes(*near) + "?";
  return fail(error_at(first->str(), message));
}

std::optional<std::string> nearest_name(std::string_view name,
                                        const std::vector<std::string>& candidates) {
  std::optional<std::string> best;
  size_t best_distance = 0;
  if (name.size() > kNearestNameMax) return best;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kNearestNameMax) continue;
    const size_t distance = edit_distance(name, candidate);
    if (distance > std::max(name.size(), candidate.size()) / 3) continue;
    if (!best || distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace ledgerline
