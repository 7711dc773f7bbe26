#pragma once
// CHECK(condition): a broken invariant of our own ends the process, in release builds too. Input
// from network, disk or configuration is never CHECKed: that is a Result (common/result.h).

namespace ledgerline {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}  // namespace ledgerline

#define CHECK_INVARIANT(condition) \
  ((condition) ? static_cast<void>(0) : ::ledgerline::check_failed(#condition, __FILE__, __LINE__))
