#pragma once
// Which names stand for this machine. A web page can make a browser ask 127.0.0.1 under a name of
// its own (DNS rebinding), so a server for this machine has to look at the name it was asked by.

#include <cstdint>
#include <string_view>

namespace ledgerline::io {

/// A Host header's value: "localhost" or a loopback address, alone or with exactly this port.
bool names_this_machine(std::string_view authority, uint16_t port);

}  // namespace ledgerline::io
