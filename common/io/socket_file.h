#pragma once
// The file of a Unix socket that a server binds.

#include <string>

#include "common/result.h"

namespace ledgerline::io {

/// Makes the folder, and removes the socket file that a dead process left behind. `type` is
/// SOCK_STREAM or SOCK_DGRAM. Errc::retry where a living process listens there, Errc::config where
/// it is a socket of another type, or the path is too long.
Status free_socket_path(const std::string& path, int type);

}  // namespace ledgerline::io
