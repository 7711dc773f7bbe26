#pragma once
// What a failed call of the operating system asks of who called.

#include <string>

#include "common/result.h"

namespace ledgerline::io {

/// Errc::config only where nothing but a person's change helps: a wrong path, a missing right. A
/// service that ends with it is not started again, so everything else, and every number not known
/// here, is Errc::retry (Errc::full where space is used up).
Errc code_of_errno(int number);

/// "what: the system's own words", and what to do where these do not say it.
Error system_error(const std::string& what, int number);

/// The same of a folder that has to be made. Where the file system is read-only, as everything is
/// to a sandboxed service but its own folders, the path is wrong; a card that a fault made
/// read-only has its folders already.
Error no_folder(const std::string& what, int number);

}  // namespace ledgerline::io
