#pragma once
// The newest pieces of input that were no good, as a person sees them. Pure.

#include <deque>
#include <string>
#include <string_view>

#include "agent/core/line_chunk.h"
#include "common/json.h"

namespace ledgerline::agent {

class NewestBad {
 public:
  static constexpr size_t kMax = 16;

  void note(std::string_view line, std::string reason) {
    if (entries_.size() == kMax) entries_.pop_front();
    entries_.push_back({.text = shown_text(line), .reason = std::move(reason)});
  }
  struct Entry {
    std::string text;  // its first bytes, printable
    std::string reason;
  };
  [[nodiscard]] const std::deque<Entry>& entries() const { return entries_; }
  /// [{"reason", "line"}], the oldest first.
  [[nodiscard]] Json json() const {
    Json out = Json::array();
    for (const Entry& each : entries_)
      out.push(
          Json::object({{"reason", Json::string(each.reason)}, {"line", Json::string(each.text)}}));
    return out;
  }

 private:
  std::deque<Entry> entries_;
};

}  // namespace ledgerline::agent
