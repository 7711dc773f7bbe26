#pragma once
// Lines that programs write already, as fields: the NCSA combined log format, one JSON object per
// line, columns. Pure.
//
//   combined  client ident user [time] "method path protocol" status bytes "referer" "agent"; what
//             stands behind is ignored, the last two may be missing
//   json      member names; a dot goes into a member object. Null and absent are empty
//   columns   numbers from 1, or the names of the first line. Between separators a column may be
//             "quoted", "" inside it being one quote

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace ledgerline::agent {

enum class LineFormat { combined, json, columns };

struct LineShape {
  LineFormat format = LineFormat::combined;
  std::string separator;  // of columns; empty: runs of blanks
  bool header = false;    // of columns: the first line names them
};

/// The fields of a combined line, in their order.
std::span<const std::string_view> combined_fields();
/// Columns without a header are called by their number, from 1. Errc::reject where it is none.
Result<size_t> column_number(std::string_view name);

class LineParser {
 public:
  static constexpr size_t kColumnsMax = 1000;

  /// `wanted` are names that the format can have.
  LineParser(LineShape shape, std::vector<std::string> wanted);

  [[nodiscard]] bool needs_header() const { return shape_.header && !has_header_; }
  /// The names of the columns. Errc::reject where a wanted one is missing: then every line is bad.
  Status read_header(std::string_view line);
  /// Another file may have another header.
  void forget_header() { has_header_ = false; }

  /// One text per wanted field. Errc::reject says what is wrong with the line. `line` has no end of
  /// line.
  Status parse(std::string_view line, std::vector<std::string>& fields);

 private:
  Status parse_combined(std::string_view line, std::vector<std::string>& fields);
  Status parse_json_line(std::string_view line, std::vector<std::string>& fields) const;
  Status parse_columns(std::string_view line, std::vector<std::string>& fields);

  LineShape shape_;
  std::vector<std::string> wanted_;
  std::vector<size_t> places_;  // of each wanted field: its number in the line, from 0
  std::vector<std::string> all_;
  bool has_header_ = false;
};

}  // namespace ledgerline::agent
