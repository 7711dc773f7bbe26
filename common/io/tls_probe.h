#pragma once
// Why a TLS 1.3 connection with a client certificate does not come about, in words for a person.
// Paho says "-1": it clears OpenSSL's reasons before any callback runs. So a failed connect is
// followed by a handshake of our own that only looks.

#include <functional>
#include <string>

#include "common/io/runtime.h"

namespace ledgerline::io {

struct TlsProbe {
  std::string host;
  uint16_t port = 0;
  std::string ca_file;
  std::string certificate_file;
  std::string private_key_file;
};

/// `done` runs on the context's thread within about five seconds; an empty text says that TLS is in
/// order.
void probe_tls(Runtime& runtime, TlsProbe probe, std::function<void(std::string)> done);

}  // namespace ledgerline::io
