#pragma once
// The seam to OpenSSL's libcrypto: digests, signatures, random bytes, certificates. Nothing else
// includes its headers (TLS through Asio sits in common/io).

#include <memory>
#include <string>
#include <string_view>

#include "common/ids.h"
#include "common/result.h"

namespace ledgerline {

enum class KeyAlgorithm { ed25519 = 1, ecdsa_p256_sha256 = 2 };

/// SHA-256 over the parts in turn, as if they were one text.
Digest sha256(std::initializer_list<ByteView> parts);
inline Digest sha256(ByteView bytes) { return sha256({bytes}); }

/// RFC 2104 with SHA-256, over the parts in turn. The key is not empty.
Digest hmac_sha256(ByteView key, std::initializer_list<ByteView> parts);

/// Cryptographically secure. The process ends where the system gives none.
void random_bytes(std::span<uint8_t> out);

/// A verification key with its pinned algorithm. Cheap to copy; verify may run on any thread.
class PublicKey {
 public:
  /// Errc::reject where the DER SubjectPublicKeyInfo is not a key of that algorithm.
  static Result<PublicKey> from_der(KeyAlgorithm algorithm, ByteView der);

  [[nodiscard]] KeyAlgorithm algorithm() const { return algorithm_; }
  [[nodiscard]] const KeyId& id() const { return id_; }
  [[nodiscard]] const Bytes& der() const { return der_; }
  [[nodiscard]] bool verify(ByteView message, ByteView signature) const;

 private:
  PublicKey() = default;
  std::shared_ptr<void>
      handle_;  // EVP_PKEY: immutable, shared so that copies need no parse (29 us each)
  KeyAlgorithm algorithm_ = KeyAlgorithm::ed25519;
  KeyId id_;
  Bytes der_;
};

/// Where a private key sits is nobody's business but the signer's: a file today, PKCS#11 or a TPM
/// later.
class Signer {
 public:
  virtual ~Signer() = default;
  [[nodiscard]] virtual const PublicKey& public_key() const = 0;
  virtual Result<Bytes> sign(ByteView message) = 0;
};

/// A new key as PEM PKCS#8; the caller stores it with mode 0600.
Result<std::string> generate_private_key_pem(KeyAlgorithm algorithm);
/// Errc::config where the text is not a private key of Ed25519 or ECDSA P-256.
Result<std::unique_ptr<Signer>> signer_from_pem(std::string_view pem);

/// DER PKCS#10 for the PEM private key, with subject CN = common_name.
Result<Bytes> make_certificate_request(std::string_view private_key_pem,
                                       const std::string& common_name);

struct CertificateOrder {
  std::string common_name;  // replaces whatever the request names
  int64_t not_before_unix_s = 0;
  int64_t not_after_unix_s = 0;
};
/// Issues a TLS client certificate. Errc::reject where the request's own signature is wrong.
/// Returns DER.
Result<Bytes> issue_certificate(ByteView certificate_request, std::string_view ca_certificate_pem,
                                std::string_view ca_private_key_pem, const CertificateOrder& order);

/// "-----BEGIN LABEL-----" armour of any bytes, and back. Errc::reject where there is no block with
/// that label.
std::string pem_encode(const std::string& label, ByteView bytes);
Result<Bytes> pem_decode(const std::string& label, std::string_view text);

}  // namespace ledgerline
