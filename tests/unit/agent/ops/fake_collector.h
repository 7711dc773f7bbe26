#pragma once
// A collector's side of the enrolment, with a key of its own.

#include "agent/ops/enrolment.h"
#include "common/check.h"

namespace ledgerline::agent {

class FakeCollector {
 public:
  FakeCollector() : signer_(*signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519))) {}

  /// What may be wrong with an answer.
  struct Fault {
    std::string tenant;        // another one
    std::string grant_device;  // another one
    bool other_certificate = false;
    bool other_grant_key = false;
    bool foreign_grant_signature = false;
    bool no_grant = false;
    bool broken_signature = false;
    uint8_t stream = 7;
    uint8_t diagnostic_stream = 8;
  };

  std::string answer(const std::string& request_pem, const Fault& fault) {
    const Bytes message = *pem_decode(kRequestLabel, request_pem);
    const SignedMessage opened = *open_signed(message, payload_type::kEnrolmentRequest);
    const EnrolmentRequest request = *decode_enrolment_request(opened.body);
    const PublicKey device_key = *PublicKey::from_der(request.algorithm, request.public_key);
    CHECK_INVARIANT(verify(opened, device_key));
    return wrap(request, device_key, fault);
  }
  std::string answer(const std::string& request_pem) { return answer(request_pem, Fault{}); }

  [[nodiscard]] KeyId key_id() const { return signer_->public_key().id(); }

  /// Of the newest request.
  std::vector<StreamClass> classes;
  std::string reason;

 private:
  std::string wrap(const EnrolmentRequest& request, const PublicKey& device_key,
                   const Fault& fault) {
    StreamGrant grant{
        .tenant = request.tenant,
        .device = fault.grant_device.empty() ? request.device : fault.grant_device,
        .stream_class = StreamClass::billing,
        .stream = StreamId({fault.stream, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}),
        .partition = 3,
        .key = fault.other_grant_key ? key_id() : device_key.id(),
        .algorithm = device_key.algorithm(),
        .epoch = 1,
        .predecessor = std::nullopt,
        .reason = "",
        .issued_at = Timestamp(1'800'000'000'000)};
    const auto stranger = *signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519));
    Signer& grant_signer = fault.foreign_grant_signature ? *stranger : *signer_;
    Enrolment enrolment{.tenant = fault.tenant.empty() ? request.tenant : fault.tenant,
                        .device = request.device,
                        .certificate = certificate(request, fault.other_certificate),
                        .certificate_authority = authority_,
                        .collector_algorithm = KeyAlgorithm::ed25519,
                        .collector_public_key = signer_->public_key().der(),
                        .grants = {}};
    if (!fault.no_grant)
      enrolment.grants.push_back(*sign(payload_type::kGrant, encode(grant), grant_signer));
    classes = request.classes;
    reason = request.reason;
    if (classes.back() == StreamClass::diagnostic) {
      grant.stream_class = StreamClass::diagnostic;
      grant.stream = StreamId({fault.diagnostic_stream, 9});
      enrolment.grants.push_back(*sign(payload_type::kGrant, encode(grant), grant_signer));
    }
    Bytes message = *sign(payload_type::kEnrolment, encode(enrolment), *signer_);
    if (fault.broken_signature) message.back() ^= 1;
    return pem_encode(kAnswerLabel, message);
  }

  /// Enough of a certificate for the agent, which only looks for its own key in it.
  Bytes certificate(const EnrolmentRequest& request, bool other) const {
    Bytes out = {0x30, 0x82, 0, 0};
    if (!other)
      out.insert(out.end(), request.certificate_request.begin(), request.certificate_request.end());
    return out;
  }

  std::unique_ptr<Signer> signer_;
  Bytes authority_ = {0x30, 0x03, 1, 2, 3};
};

}  // namespace ledgerline::agent
