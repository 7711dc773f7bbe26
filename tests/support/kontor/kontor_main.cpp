// Kontor to play with (tests/support/fault_erp/small_erp.md): prints its address, user and password
// and serves until stdin is closed. The line "finish" finishes all jobs.

#include <iostream>
#include <string>

#include "tests/support/fault_erp/small_erp.h"

int main() {
  using ledgerline::testing::SmallErp;
  SmallErp erp;
  std::cout << erp.url() << ' ' << SmallErp::kUser << ' ' << SmallErp::kPassword << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "finish") erp.finish_jobs();
    std::cout << erp.documents() << " vouchers and jobs" << std::endl;
  }
}
