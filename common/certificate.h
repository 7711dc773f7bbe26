#pragma once
// What a certificate says of itself, for a person. Its seam is common/crypto.cpp.

#include <string>
#include <string_view>

#include "common/result.h"

namespace ledgerline {

struct CertificateFacts {
  std::string subject;
  std::string issuer;
  std::string serial;      // hex
  std::string not_before;  // as OpenSSL prints it: "Nov 20 08:15:00 2026 GMT"
  std::string not_after;
  std::string fingerprint;  // SHA-256 of its DER, hex
};

/// Of the first certificate in the PEM text; what else is in it is not looked at. Errc::reject
/// where there is none.
Result<CertificateFacts> certificate_facts(std::string_view pem);

}  // namespace ledgerline
