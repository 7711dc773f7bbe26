#pragma once
// What keeps a heartbeat from promising too much: an input that is behind says from when on its
// readings may still come, and of which stream. Pure; on the io thread.

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "common/meter.h"
#include "common/time.h"

namespace ledgerline::agent {

class PromiseHolds {
 public:
  /// Readings of `who` at this time and later may still come. Replaces what it said before.
  void hold(const std::string& who, Timestamp from,
            StreamClass stream_class = StreamClass::billing) {
    holds_[stream_class][who] = from;
  }
  /// `who` has read everything there is.
  void release(const std::string& who, StreamClass stream_class = StreamClass::billing) {
    holds_[stream_class].erase(who);
  }
  /// For an input whose meters may be of either class.
  void hold_both(const std::string& who, Timestamp from) {
    hold(who, from, StreamClass::billing);
    hold(who, from, StreamClass::diagnostic);
  }
  void release_both(const std::string& who) {
    release(who, StreamClass::billing);
    release(who, StreamClass::diagnostic);
  }
  [[nodiscard]] std::optional<Timestamp> earliest(
      StreamClass stream_class = StreamClass::billing) const {
    const auto holds = holds_.find(stream_class);
    if (holds == holds_.end() || holds->second.empty()) return std::nullopt;
    return std::min_element(holds->second.begin(), holds->second.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->second;
  }

 private:
  std::map<StreamClass, std::map<std::string, Timestamp>> holds_;
};

}  // namespace ledgerline::agent
