#include "agent/inputs/file_options.h"

#include <algorithm>
#include <filesystem>

#include "agent/core/meter_value.h"
#include "agent/inputs/metric_options.h"

namespace ledgerline::agent {

namespace {

constexpr size_t kPathMax = 190;  // with the input's name it is the name of a bookmark

class OptionsReader {
 public:
  explicit OptionsReader(const std::vector<MeterRow>& meters) : meters_(meters) {}

  Result<LineRules> read(TomlTable& table) {
    TRY_VOID(read_shape(table));
    TRY_VOID(read_time(table));
    TRY(auto readings, table.tables("reading"));
    if (readings.empty() || readings.size() > LineRules::kReadingsMax) {
      return fail(table.error_at("reading", "a file needs 1 to " +
                                                std::to_string(LineRules::kReadingsMax) +
                                                " tables [[input.file.reading]]"));
    }
    for (TomlTable& reading : readings) {
      TRY(ReadingRule rule, read_reading(reading));
      rules_.readings.push_back(std::move(rule));
    }
    return std::move(rules_);
  }

 private:
  Status read_shape(TomlTable& table) {
    TRY(const std::string format, table.string("format"));
    LineShape& shape = rules_.shape;
    if (format == "combined") {
      shape.format = LineFormat::combined;
    } else if (format == "json") {
      shape.format = LineFormat::json;
    } else if (format == "columns") {
      shape.format = LineFormat::columns;
    } else {
      return fail(table.error_at(
          "format", "format is \"combined\", \"json\" or \"columns\", not \"" + format + "\""));
    }
    for (const char* key : {"separator", "header"}) {
      if (table.has(key) && shape.format != LineFormat::columns)
        return fail(table.error_at(key, std::string(key) + " is for format = \"columns\" only"));
    }
    TRY(shape.separator, table.string("separator", ""));
    if (shape.separator.size() > 8 || shape.separator.find_first_of("\"\r\n") != std::string::npos)
      return fail(table.error_at("separator", "at most 8 bytes without quotes and line ends"));
    TRY(shape.header, table.boolean("header", false));
    return {};
  }

  /// The place of a field of the line among those that are used.
  Result<size_t> field(TomlTable& table, std::string_view key) {
    TRY(const std::string name, table.string(key));
    if (const auto good = check_field(name); !good)
      return fail(table.error_at(key, good.error().message()));
    auto& fields = rules_.fields;
    const auto found = std::find(fields.begin(), fields.end(), name);
    if (found != fields.end()) return static_cast<size_t>(found - fields.begin());
    fields.push_back(name);
    return fields.size() - 1;
  }

  [[nodiscard]] Status check_field(const std::string& name) const {
    if (name.empty() || name.size() > 256) return fail(Errc::config, "a field has a name");
    if (rules_.shape.format == LineFormat::columns && !rules_.shape.header) {
      TRY(const size_t ignored, column_number(name));
      static_cast<void>(ignored);
    }
    if (rules_.shape.format != LineFormat::combined) return {};
    const std::vector<std::string> known(combined_fields().begin(), combined_fields().end());
    if (std::find(known.begin(), known.end(), name) != known.end()) return {};
    std::string message = "a combined line has no field \"" + name + "\"";
    if (const auto near = nearest_name(name, known)) {
      message += "; did you mean \"" + *near + "\"?";
    } else {
      message += "; it has";
      for (const std::string& each : known) message += " " + each;
    }
    return fail(Errc::config, message);
  }

  Status read_time(TomlTable& table) {
    if (!table.has("time")) {
      TRY(const bool trust, table.boolean("trust_time", false));
      if (!trust) return {};
      return fail(table.error_at("trust_time", "there is no time = { field = ... } to trust"));
    }
    TRY(auto time, table.table("time"));
    TRY(rules_.time_field, field(time, "field"));
    TRY(const std::string format, time.string("format"));
    TRY(rules_.time, time_of(time, format));
    TRY_VOID(time.finish());
    TRY(rules_.trust_time, table.boolean("trust_time", true));
    return {};
  }

  static Result<LineTime> time_of(TomlTable& table, const std::string& format) {
    using Form = LineTime::Form;
    LineTime out;
    if (format == "steps") {
      out.form = Form::steps;
      TRY(out.origin, table.timestamp("origin"));
      TRY(out.step, table.duration("step"));
      if (out.step <= Duration(0)) return fail(table.error_at("step", "a step is longer than 0"));
      return out;
    }
    if (format == "rfc3339") return out;
    if (format == "unix" || format == "unix_ms") {
      out.form = format == "unix" ? Form::unix_s : Form::unix_ms;
      return out;
    }
    out.form = Form::pattern;
    out.pattern = format == "ncsa" ? std::string(kNcsaTimePattern) : format;
    if (const auto good = check_time_pattern(out.pattern); !good) {
      return fail(table.error_at("format",
                                 "a time's format is \"ncsa\", \"rfc3339\", \"unix\", \"unix_ms\", "
                                 "\"steps\" or a pattern such as \"%Y-%m-%d %H:%M:%S\": " +
                                     good.error().message()));
    }
    return out;
  }

  /// Nothing where it is a table: then its field is in `out`.
  Result<TextOrField> text_or_field(TomlTable& table, std::string_view key) {
    TextOrField out;
    if (table.has_table(key)) {
      TRY(auto inner, table.table(key));
      TRY(out.field, field(inner, "field"));
      TRY_VOID(inner.finish());
      return out;
    }
    TRY(out.text, table.string(key));
    return out;
  }

  Result<ReadingRule> read_reading(TomlTable& table) {
    ReadingRule rule;
    TRY(const MeterRow* meter, read_meter_of(table, meters_, "a line of a file"));
    rule.meter = meter->name;
    TRY_VOID(read_value(table, *meter, rule));
    if (table.has("subject")) {
      TRY(rule.subject, text_or_field(table, "subject"));
      if (!rule.subject->field && rule.subject->text.empty())
        return fail(table.error_at("subject", "a subject is not empty"));
    }
    if (table.has("dimensions")) {
      TRY(auto dimensions, table.table("dimensions"));
      for (const std::string& name : dimensions.keys()) {
        TRY(auto source, text_or_field(dimensions, name));
        rule.dimensions.emplace_back(name, std::move(source));
      }
      if (rule.dimensions.size() > kDimensionsMax)
        return fail(table.error_at("dimensions", "a reading has at most 16 dimensions"));
    }
    TRY_VOID(table.finish());
    return rule;
  }

  Status read_value(TomlTable& table, const MeterRow& meter, ReadingRule& rule) {
    if (table.has_table("value")) {
      TRY(auto value, table.table("value"));
      TRY(rule.value.field, field(value, "field"));
      if (value.has("skip")) {
        TRY(rule.skip, value.string("skip"));
      }
      return value.finish();
    }
    TRY(const Decimal ignored, table.decimal("value"));
    static_cast<void>(ignored);
    TRY(rule.value.text, table.string("value"));
    const auto scaled = scaled_value(rule.value.text, meter.scale);
    if (!scaled)
      return fail(table.error_at("value", "the value cannot be recorded for \"" + meter.name +
                                              "\": " + scaled.error().message()));
    if (*scaled < 0 && meter.kind != MeterKind::gauge)
      return fail(table.error_at("value", "only a gauge may be negative"));
    return {};
  }

  const MeterIndex meters_;
  LineRules rules_;
};

/// A file's place is committed with its readings, so they are of one journal.
Result<StreamClass> class_of(TomlTable& table, const LineRules& rules,
                             const std::set<std::string, std::less<>>& diagnostic) {
  const std::string& first = rules.readings.front().meter;
  for (const ReadingRule& rule : rules.readings) {
    if (diagnostic.contains(rule.meter) == diagnostic.contains(first)) continue;
    return fail(table.error_at("reading",
                               "the meters of one file are of one class, but only one "
                               "of \"" +
                                   first + "\" and \"" + rule.meter +
                                   "\" has class = \"diagnostic\""));
  }
  return diagnostic.contains(first) ? StreamClass::diagnostic : StreamClass::billing;
}

}  // namespace

Result<FileOptions> read_file_options(TomlTable& table, const std::string& folder,
                                      const std::vector<MeterRow>& meters,
                                      const std::set<std::string, std::less<>>& diagnostic) {
  FileOptions out;
  TRY(const std::string path, table.string("path"));
  if (!path.empty()) out.path = (std::filesystem::path(folder) / path).lexically_normal().string();
  if (out.path.empty() || out.path.size() > kPathMax || out.path.ends_with('/')) {
    return fail(table.error_at(
        "path", "path names one file, with at most " + std::to_string(kPathMax) + " bytes"));
  }
  TRY(out.rules, OptionsReader(meters).read(table));
  TRY(out.stream_class, class_of(table, out.rules, diagnostic));
  TRY_VOID(table.finish());
  return out;
}

}  // namespace ledgerline::agent
