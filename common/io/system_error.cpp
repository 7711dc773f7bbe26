#include "common/io/system_error.h"

#include <cerrno>
#include <cstring>

namespace ledgerline::io {

namespace {

const char* what_to_do(int number) {
  switch (number) {
    case EACCES:
    case EPERM:
      return "; give this process's user the right to it";
    case EADDRINUSE:
      return "; end the process that has it, or set another address";
    case EADDRNOTAVAIL:
      return "; set an address that this machine has, if it does not get this one soon";
    case EIO:
      return "; look for faults of the disk in the kernel's log";
    case EROFS:
      return "; set a path where this process may write, or look in the kernel's log for faults of "
             "the disk";
    case ENOMEM:
      return "; free memory, or set smaller sizes";
    case EMFILE:
    case ENFILE:
      return "; raise the limit of open files";
    default:
      return "";
  }
}

}  // namespace

Errc code_of_errno(int number) {
  switch (number) {
    case EACCES:
    case EPERM:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EINVAL:
    case ENXIO:
    case EAFNOSUPPORT:
      return Errc::config;
    case ENOSPC:
    case EDQUOT:
      return Errc::full;
    default:
      return Errc::retry;
  }
}

Error system_error(const std::string& what, int number) {
  return {code_of_errno(number), what + ": " + std::strerror(number) + what_to_do(number)};
}

Error no_folder(const std::string& what, int number) {
  const Error error = system_error(what, number);
  return number == EROFS ? Error(Errc::config, error.message()) : error;
}

}  // namespace ledgerline::io
