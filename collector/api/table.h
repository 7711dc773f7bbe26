#pragma once
// Aligned plain columns for a terminal.

#include <ostream>
#include <string>
#include <vector>

namespace ledgerline::collector {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  /// Cells may come from outside: what a terminal would obey is escaped.
  void add(std::vector<std::string> row);
  void print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace ledgerline::collector
