#pragma once
// An input's counters in Prometheus text format, and numbers in its status.

#include <cstdint>
#include <string>
#include <string_view>

#include "common/json.h"

namespace ledgerline::agent {

inline Json json_number(uint64_t value) { return Json::number(std::to_string(value)); }

/// ledgerline_agent_INPUT_NAME, one line each.
class MetricLines {
 public:
  MetricLines(std::string& out, std::string_view input) : out_(out), input_(input) {}
  void counter(std::string_view name, uint64_t value) { line(name, "counter", value); }
  void gauge(std::string_view name, uint64_t value) { line(name, "gauge", value); }

 private:
  void line(std::string_view name, std::string_view type, uint64_t value) {
    const std::string full = "ledgerline_agent_" + input_ + "_" + std::string(name);
    out_.append("# TYPE ").append(full).append(" ").append(type).append("\n");
    out_.append(full).append(" ").append(std::to_string(value)).append("\n");
  }

  std::string& out_;
  std::string input_;
};

/// ledgerline_agent_INPUT_NAME{label="..."}, one line for each of several.
class LabelledLines {
 public:
  LabelledLines(std::string& out, const std::string& input, const std::string& name,
                const std::string& type)
      : out_(out), name_("ledgerline_agent_" + input + "_" + name) {
    out_ += "# TYPE " + name_ + " " + type + "\n";
  }
  void add(const std::string& label, const std::string& text, uint64_t value) {
    out_ += name_ + "{" + label + "=\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out_ += '\\';
      out_ += c;
    }
    out_ += "\"} " + std::to_string(value) + "\n";
  }

 private:
  std::string& out_;
  std::string name_;
};

}  // namespace ledgerline::agent
