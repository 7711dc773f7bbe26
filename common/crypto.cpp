#include "common/crypto.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <utility>

#include "common/certificate.h"
#include "common/check.h"

namespace ledgerline {

namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Pkey = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using MdContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using CertificateRequest = std::unique_ptr<X509_REQ, Deleter<X509_REQ_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;

constexpr int kEd25519SignatureSize = 64;

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown reason" : reason;
}

tl::unexpected<Error> failure(Errc code, const std::string& what) {
  return fail(Error(code, what).with("openssl", openssl_reason()));
}

/// Fetched once: a fetch per digest costs more than a short digest.
const EVP_MD* sha256_method() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHECK_INVARIANT(method != nullptr);
  return method;
}

Bio memory(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string content(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

template <class T, class Encode>
Bytes der_of(T* value, Encode encode) {
  const int size = encode(value, nullptr);
  CHECK_INVARIANT(size > 0);
  Bytes out(static_cast<size_t>(size));
  unsigned char* at = out.data();
  encode(value, &at);
  return out;
}

Bytes public_der(EVP_PKEY* key) {
  return der_of(key, [](EVP_PKEY* k, unsigned char** at) { return i2d_PUBKEY(k, at); });
}

bool is_of(EVP_PKEY* key, KeyAlgorithm algorithm) {
  if (algorithm == KeyAlgorithm::ed25519) return EVP_PKEY_is_a(key, "ED25519") == 1;
  char group[32] = {};
  size_t length = 0;
  return EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1 &&
         std::string_view(group, length) == "prime256v1";
}

const EVP_MD* method_of(KeyAlgorithm algorithm) {
  return algorithm == KeyAlgorithm::ed25519 ? nullptr : sha256_method();
}

Result<Pkey> private_key(std::string_view pem) {
  const Bio bio = memory(pem);
  // An empty passphrase callback: a process without a terminal must not wait for one.
  Pkey key(PEM_read_bio_PrivateKey(
      bio.get(), nullptr, [](char*, int, int, void*) { return 0; }, nullptr));
  if (!key) return failure(Errc::config, "a private key cannot be read from its PEM text");
  return key;
}

class PemSigner final : public Signer {
 public:
  PemSigner(Pkey key, PublicKey public_key)
      : key_(std::move(key)), public_key_(std::move(public_key)) {}
  [[nodiscard]] const PublicKey& public_key() const override { return public_key_; }

  Result<Bytes> sign(ByteView message) override {
    const MdContext context(EVP_MD_CTX_new());
    size_t size = 0;
    const EVP_MD* method = method_of(public_key_.algorithm());
    if (EVP_DigestSignInit(context.get(), nullptr, method, nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1) {
      return failure(Errc::internal, "a signature cannot be made");
    }
    Bytes out(size);
    if (EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) != 1) {
      return failure(Errc::internal, "a signature cannot be made");
    }
    out.resize(size);
    return out;
  }

 private:
  Pkey key_;
  PublicKey public_key_;
};

void set_common_name(X509_NAME* name, const std::string& common_name) {
  const int added =
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, bytes_of(common_name).data(),
                                 static_cast<int>(common_name.size()), -1, 0);
  CHECK_INVARIANT(added == 1);
}

bool add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_random_serial(X509* certificate) {
  std::array<uint8_t, 16> serial{};
  random_bytes(serial);
  serial[0] &= 0x7f;  // positive (RFC 5280 section 4.1.2.2)
  const std::unique_ptr<BIGNUM, Deleter<BN_free>> number(
      BN_bin2bn(serial.data(), serial.size(), nullptr));
  return BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_time(ASN1_TIME* time, int64_t unix_s) {
  return std::in_range<time_t>(unix_s) &&
         ASN1_TIME_set(time, static_cast<time_t>(unix_s)) != nullptr;
}

/// Fills a client certificate for the request's key. False where OpenSSL refuses a part.
bool fill_certificate(X509* certificate, X509* issuer, EVP_PKEY* key,
                      const CertificateOrder& order) {
  set_common_name(X509_get_subject_name(certificate), order.common_name);
  return X509_set_version(certificate, X509_VERSION_3) == 1 && set_random_serial(certificate) &&
         X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
         set_time(X509_getm_notBefore(certificate), order.not_before_unix_s) &&
         set_time(X509_getm_notAfter(certificate), order.not_after_unix_s) &&
         X509_set_pubkey(certificate, key) == 1 &&
         add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
         add_extension(certificate, issuer, NID_ext_key_usage, "clientAuth") &&
         add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
         add_extension(certificate, issuer, NID_authority_key_identifier, "keyid");
}

}  // namespace

Digest sha256(std::initializer_list<ByteView> parts) {
  thread_local const MdContext context(EVP_MD_CTX_new());
  std::array<uint8_t, 32> out{};
  bool ok = EVP_DigestInit_ex2(context.get(), sha256_method(), nullptr) == 1;
  for (const ByteView part : parts)
    ok = ok && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  ok = ok && EVP_DigestFinal_ex(context.get(), out.data(), nullptr) == 1;
  CHECK_INVARIANT(ok);
  return Digest(out);
}

Digest hmac_sha256(ByteView key, std::initializer_list<ByteView> parts) {
  const Pkey secret(EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, nullptr, key.data(), key.size()));
  const MdContext context(EVP_MD_CTX_new());
  std::array<uint8_t, 32> out{};
  size_t size = out.size();
  bool ok = secret &&
            EVP_DigestSignInit(context.get(), nullptr, sha256_method(), nullptr, secret.get()) == 1;
  for (const ByteView part : parts)
    ok = ok && EVP_DigestSignUpdate(context.get(), part.data(), part.size()) == 1;
  ok = ok && EVP_DigestSignFinal(context.get(), out.data(), &size) == 1;
  CHECK_INVARIANT(ok && size == out.size());
  return Digest(out);
}

void random_bytes(std::span<uint8_t> out) {
  CHECK_INVARIANT(RAND_bytes(out.data(), static_cast<int>(out.size())) == 1);
}

Result<PublicKey> PublicKey::from_der(KeyAlgorithm algorithm, ByteView der) {
  const unsigned char* at = der.data();
  Pkey key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  if (!key || at != der.data() + der.size())
    return failure(Errc::reject, "a public key is not DER SubjectPublicKeyInfo");
  if (!is_of(key.get(), algorithm))
    return fail(Errc::reject, "a public key is not of its stated algorithm");
  PublicKey out;
  out.algorithm_ = algorithm;
  out.der_ = public_der(key.get());
  // One encoding per key, or one key would have several ids.
  if (!std::equal(out.der_.begin(), out.der_.end(), der.begin(), der.end())) {
    return fail(Errc::reject, "a public key is not in its canonical encoding");
  }
  out.id_ = *KeyId::from(sha256(out.der_).view());
  out.handle_ = std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free);
  return out;
}

bool PublicKey::verify(ByteView message, ByteView signature) const {
  if (algorithm_ == KeyAlgorithm::ed25519 && signature.size() != kEd25519SignatureSize)
    return false;
  const MdContext context(EVP_MD_CTX_new());
  auto* key = static_cast<EVP_PKEY*>(handle_.get());
  const bool ok =
      EVP_DigestVerifyInit(context.get(), nullptr, method_of(algorithm_), nullptr, key) == 1 &&
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                       message.size()) == 1;
  if (!ok) ERR_clear_error();
  return ok;
}

Result<std::string> generate_private_key_pem(KeyAlgorithm algorithm) {
  const Pkey key(algorithm == KeyAlgorithm::ed25519
                     ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                     : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!key || PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                            nullptr) != 1) {
    return failure(Errc::internal, "a key cannot be generated");
  }
  return content(bio.get());
}

Result<std::unique_ptr<Signer>> signer_from_pem(std::string_view pem) {
  TRY(Pkey key, private_key(pem));
  for (const KeyAlgorithm algorithm : {KeyAlgorithm::ed25519, KeyAlgorithm::ecdsa_p256_sha256}) {
    if (!is_of(key.get(), algorithm)) continue;
    TRY(PublicKey public_key, PublicKey::from_der(algorithm, public_der(key.get())));
    return std::make_unique<PemSigner>(std::move(key), std::move(public_key));
  }
  return fail(Errc::config, "a signing key is neither Ed25519 nor ECDSA P-256");
}

Result<Bytes> make_certificate_request(std::string_view private_key_pem,
                                       const std::string& common_name) {
  TRY(const Pkey key, private_key(private_key_pem));
  const CertificateRequest request(X509_REQ_new());
  set_common_name(X509_REQ_get_subject_name(request.get()), common_name);
  const EVP_MD* method = EVP_PKEY_is_a(key.get(), "ED25519") == 1 ? nullptr : sha256_method();
  if (X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), method) <= 0) {
    return failure(Errc::internal, "a certificate request cannot be made");
  }
  return der_of(request.get(), [](X509_REQ* r, unsigned char** at) { return i2d_X509_REQ(r, at); });
}

Result<Bytes> issue_certificate(ByteView certificate_request, std::string_view ca_certificate_pem,
                                std::string_view ca_private_key_pem,
                                const CertificateOrder& order) {
  const unsigned char* at = certificate_request.data();
  const CertificateRequest request(
      d2i_X509_REQ(nullptr, &at, static_cast<long>(certificate_request.size())));
  if (!request) return failure(Errc::reject, "a certificate request is not DER PKCS#10");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || X509_REQ_verify(request.get(), key) != 1) {
    return failure(Errc::reject, "a certificate request is not signed with its own key");
  }
  const Bio bio = memory(ca_certificate_pem);
  const Certificate issuer(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!issuer)
    return failure(Errc::config,
                   "the certificate authority's certificate cannot be read from its PEM text");
  TRY(const Pkey ca_key, private_key(ca_private_key_pem));
  if (X509_check_private_key(issuer.get(), ca_key.get()) != 1) {
    return failure(Errc::config,
                   "the certificate authority's key does not belong to its certificate");
  }
  const Certificate certificate(X509_new());
  const EVP_MD* method = EVP_PKEY_is_a(ca_key.get(), "ED25519") == 1 ? nullptr : sha256_method();
  if (!fill_certificate(certificate.get(), issuer.get(), key, order) ||
      X509_sign(certificate.get(), ca_key.get(), method) <= 0) {
    return failure(Errc::internal, "a certificate cannot be issued");
  }
  return der_of(certificate.get(), [](X509* c, unsigned char** out) { return i2d_X509(c, out); });
}

Result<CertificateFacts> certificate_facts(std::string_view pem) {
  const Bio in = memory(pem);
  const Certificate certificate(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
  if (!certificate) return failure(Errc::reject, "there is no certificate in PEM text");
  const auto name = [](const X509_NAME* of) {
    const Bio bio(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(bio.get(), of, 0, XN_FLAG_ONELINE);
    return content(bio.get());
  };
  const auto time = [](const ASN1_TIME* of) {
    const Bio bio(BIO_new(BIO_s_mem()));
    ASN1_TIME_print(bio.get(), of);
    return content(bio.get());
  };
  const Bio serial(BIO_new(BIO_s_mem()));
  i2a_ASN1_INTEGER(serial.get(), X509_get0_serialNumber(certificate.get()));
  const Bytes der =
      der_of(certificate.get(), [](X509* c, unsigned char** out) { return i2d_X509(c, out); });
  return CertificateFacts{.subject = name(X509_get_subject_name(certificate.get())),
                          .issuer = name(X509_get_issuer_name(certificate.get())),
                          .serial = content(serial.get()),
                          .not_before = time(X509_get0_notBefore(certificate.get())),
                          .not_after = time(X509_get0_notAfter(certificate.get())),
                          .fingerprint = sha256(der).hex()};
}

std::string pem_encode(const std::string& label, ByteView bytes) {
  const Bio bio(BIO_new(BIO_s_mem()));
  CHECK_INVARIANT(PEM_write_bio(bio.get(), label.c_str(), "", bytes.data(),
                                static_cast<long>(bytes.size())) > 0);
  return content(bio.get());
}

Result<Bytes> pem_decode(const std::string& label, std::string_view text) {
  const Bio bio = memory(text);
  for (;;) {
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    if (PEM_read_bio(bio.get(), &name, &header, &data, &size) != 1) {
      ERR_clear_error();
      return fail(Error(Errc::reject, "no PEM block of the expected kind")
                      .with("expected", "BEGIN " + label));
    }
    const bool found = label == name;
    Bytes out(data, data + size);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    if (found) return out;
  }
}

}  // namespace ledgerline
