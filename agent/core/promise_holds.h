#pragma once
// What keeps a heartbeat from promising too much: an input that is behind says from when on its
// readings may still come. Pure; on the io thread.

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "common/time.h"

namespace ledgerline::agent {

class PromiseHolds {
 public:
  /// Readings of `who` at this time and later may still come. Replaces what it said before.
  void hold(const std::string& who, Timestamp from) { holds_[who] = from; }
  /// `who` has read everything there is.
  void release(const std::string& who) { holds_.erase(who); }
  [[nodiscard]] std::optional<Timestamp> earliest() const {
    if (holds_.empty()) return std::nullopt;
    return std::min_element(holds_.begin(), holds_.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; })
        ->second;
  }

 private:
  std::map<std::string, Timestamp> holds_;
};

}  // namespace ledgerline::agent
