#pragma once
// Takes turns through a list that is looked at again and again: so many entries per step, a new
// round at most once per interval. Pure.

#include <cstddef>

#include "common/time.h"

namespace ledgerline::collector {

class Rounds {
 public:
  /// The list is another one: its first round is due at once.
  void reset(size_t size) {
    size_ = size;
    next_ = size;
    next_round_ = Timestamp();
  }
  [[nodiscard]] bool is_over() const { return next_ == size_; }
  [[nodiscard]] bool is_due(Timestamp now) const { return size_ != 0 && now >= next_round_; }
  void begin(Timestamp now, Duration interval) {
    next_ = 0;
    next_round_ = now + interval;
  }
  /// The round after this one comes as soon as this one is over.
  void hurry(Timestamp now) { next_round_ = now; }
  /// The entry whose turn it is; only while the round is not over.
  size_t take() { return next_++; }

 private:
  size_t size_ = 0;
  size_t next_ = 0;
  Timestamp next_round_;
};

}  // namespace ledgerline::collector
