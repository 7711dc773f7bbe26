#pragma once
// The seam to the POSIX TZ strings of Howard Hinnant's library ("CET-1CEST,M3.5.0,M10.5.0/3"),
// whose header compiles as C++17 only: posix_zone.cpp is built so, and nothing of ours but this is
// in it. All times in seconds since 1970. Pure.

#include <cstdint>
#include <memory>
#include <string>

namespace ledgerline::collector {

class PosixZone {
 public:
  struct Stretch {
    int64_t begin = 0;   // the first instant of the offset
    int64_t offset = 0;  // seconds east of UTC
  };
  struct Local {
    bool skipped = false;  // no clock ever shows it: first holds before, second after the gap
    Stretch first;
    Stretch second;
  };

  /// Throws std::runtime_error where the text is no TZ string.
  explicit PosixZone(const std::string& text);
  ~PosixZone();

  [[nodiscard]] Stretch at(int64_t instant) const;
  [[nodiscard]] Local at_local(int64_t time) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace ledgerline::collector
