#pragma once
// How hard an external system is pressed: a token bucket for requests and a circuit breaker that
// leaves a failing system alone for a while. Pure: time is passed in.

#include <cstdint>

#include "common/time.h"

namespace ledgerline::collector {

class TokenBucket {
 public:
  /// Invariant: both at least 1.
  TokenBucket(int64_t per_second, int64_t burst);
  /// Takes one token, on credit where there is none; returns how long to wait before the request
  /// may leave.
  Duration take(Monotonic now);

 private:
  int64_t per_second_;
  int64_t burst_;
  int64_t millitokens_;  // negative: owed
  Monotonic at_;
  bool started_ = false;
};

/// Closed until `failures_max` failures in a row; then open, twice as long each time; then one try
/// decides.
class CircuitBreaker {
 public:
  struct Options {
    unsigned failures_max = 5;
    Duration open_first{10'000};
    Duration open_max{300'000};
  };
  CircuitBreaker() = default;
  explicit CircuitBreaker(const Options& options) : options_(options) {}

  /// Zero: try. Else how long to leave the system alone.
  [[nodiscard]] Duration wait(Monotonic now) const;
  void succeeded();
  /// True where this failure opened it.
  bool failed(Monotonic now);
  [[nodiscard]] bool is_open() const { return open_; }

 private:
  Options options_;
  unsigned failures_ = 0;
  bool open_ = false;
  Duration open_for_{};
  Monotonic open_until_;
};

}  // namespace ledgerline::collector
