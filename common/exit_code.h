#pragma once
// Exit codes of both programs: those of sysexits.h, so that a script can tell what to do.

#include "common/result.h"

namespace ledgerline {

enum ExitCode : int {
  kExitOk = 0,
  kExitUsage = 64,        // EX_USAGE
  kExitData = 65,         // EX_DATAERR
  kExitNoInput = 66,      // EX_NOINPUT
  kExitUnavailable = 69,  // EX_UNAVAILABLE
  kExitSoftware = 70,     // EX_SOFTWARE
  kExitCantCreate = 73,   // EX_CANTCREAT
  kExitIo = 74,           // EX_IOERR: a supervisor starts us again, from the durable state
  kExitTempFail = 75,     // EX_TEMPFAIL
  kExitConfig = 78,       // EX_CONFIG
};

ExitCode exit_code_of(const Error& error);

}  // namespace ledgerline
