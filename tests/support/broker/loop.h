#pragma once
// Runs a runtime's context on the test's own thread until something is true, with a limit.

#include <chrono>
#include <functional>

#include "common/io/runtime.h"

namespace ledgerline::test {

inline bool run_until(io::Runtime& runtime, const std::function<bool()>& condition,
                      std::chrono::milliseconds limit = std::chrono::seconds(60)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    runtime.context().restart();
    runtime.context().run_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace ledgerline::test
