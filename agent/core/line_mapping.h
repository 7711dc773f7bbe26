#pragma once
// What a line is worth: the rules of [[input.file.reading]] turn its fields into readings. Pure.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/core/line_formats.h"
#include "agent/core/line_time.h"
#include "agent/core/recorder.h"

namespace ledgerline::agent {

/// A field of the line, or a text that is the same for every line.
struct TextOrField {
  std::optional<size_t> field;  // index in LineRules::fields
  std::string text;
};

struct ReadingRule {
  std::string meter;
  TextOrField value;
  std::optional<std::string> skip;  // no reading where the value's field has this text
  std::optional<TextOrField> subject;
  std::vector<std::pair<std::string, TextOrField>> dimensions;
};

struct LineRules {
  static constexpr size_t kReadingsMax = 16;  // of a line

  LineShape shape;
  std::vector<std::string> fields;  // those that the rules use, each once
  std::optional<LineTime> time;
  size_t time_field = 0;    // index in fields
  bool trust_time = false;  // false: a reading's time is when its line was read
  std::vector<ReadingRule> readings;
};

class LineMapper {
 public:
  /// `meters` are numbered and hold every meter of the rules.
  LineMapper(LineRules rules, const std::vector<MeterRow>& meters);

  LineParser& parser() { return parser_; }

  /// Appends the line's readings, all or none. Errc::reject says why there are none. `newest`
  /// becomes the latest time told by a line, where times are trusted.
  Status map(std::string_view line, Monotonic now, std::vector<RecordItem>& items,
             std::optional<Timestamp>& newest);

 private:
  Status add(const ReadingRule& rule, const MeterRow& meter, const Reading& base,
             std::vector<RecordItem>& items) const;
  [[nodiscard]] const std::string& text_of(const TextOrField& source) const;

  LineRules rules_;
  std::vector<MeterRow> meters_;  // of each reading rule
  LineParser parser_;
  std::vector<std::string> fields_;  // of the line at hand
};

}  // namespace ledgerline::agent
