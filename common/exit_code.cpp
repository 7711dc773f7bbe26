#include "common/exit_code.h"

namespace ledgerline {

ExitCode exit_code_of(const Error& error) {
  switch (error.code()) {
    case Errc::retry:
    case Errc::conflict:
    case Errc::full:
      return kExitTempFail;
    case Errc::reject:
    case Errc::corrupt:
      return kExitData;
    case Errc::config:
      return kExitConfig;
    case Errc::not_found:
      return kExitNoInput;
    case Errc::internal:
      return kExitSoftware;
  }
  return kExitSoftware;
}

}  // namespace ledgerline
