#pragma once
// Aligned plain columns for a terminal.

#include <ostream>
#include <string>
#include <vector>

namespace ledgerline::collector {

class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print(std::ostream& out) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// What a terminal may show of text that came from outside: control characters become '?'.
std::string printable(std::string text);

}  // namespace ledgerline::collector
