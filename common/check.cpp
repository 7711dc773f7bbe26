#include "common/check.h"

#include <cstdio>
#include <cstdlib>

namespace ledgerline {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "ledgerline: broken invariant: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace ledgerline
