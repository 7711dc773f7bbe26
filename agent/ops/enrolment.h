#pragma once
// Enrolment by file: the agent makes its keys and a signed request, an operator carries it to the
// collector and the answer back. The answer pins the collector's key: receipts are believed from
// that key only.
//
//   state/keys/signing.pem  Ed25519, mode 0600     state/certificate.pem  for the TLS key, issued
//   by the collector state/keys/tls.pem      P-256, mode 0600       state/ca.pem           the
//   authority of the broker's certificate state/enrolment.pem     the answer as it came; written
//   last: where it is, the agent is enrolled

#include <memory>
#include <optional>
#include <string>

#include "agent/journal/journal.h"
#include "agent/ops/config.h"
#include "common/crypto.h"
#include "common/messages.h"

namespace ledgerline::agent {

inline constexpr const char* kRequestLabel = "LEDGERLINE ENROLMENT REQUEST";
inline constexpr const char* kAnswerLabel = "LEDGERLINE ENROLMENT";

struct DeviceKeys {
  std::unique_ptr<Signer> signer;  // signs batches and statements
  std::string tls_pem;
  Bytes tls_public_key;  // DER SubjectPublicKeyInfo
};

/// Errc::not_found where there are none yet, Errc::config where a file is no key or others may read
/// it.
Result<DeviceKeys> load_keys(const AgentConfig& config);
/// The keys that are there, or new ones. A key is never overwritten.
Result<DeviceKeys> load_or_make_keys(const AgentConfig& config);

/// The request as PEM text, for a billing stream and, where a meter is diagnostic, a diagnostic
/// one. `reason` says why an enrolled device asks again; without one, an enrolled device that has
/// got its first diagnostic meter asks for the diagnostic stream alone.
Result<std::string> make_request(const AgentConfig& config, DeviceKeys& keys, Timestamp now,
                                 const std::string& reason);

struct InstalledGrant {
  StreamGrant grant;
  Bytes grant_body;  // as signed: its hash is what batch 1 names as its previous batch
  Bytes signed_grant;
};
struct Enrolled {
  PublicKey collector_key;
  StreamGrant grant;  // of the billing stream, as is grant_body
  Bytes grant_body;
  Bytes signed_grant;  // likewise
  std::optional<InstalledGrant> diagnostic;
  Enrolment enrolment;
};
/// The answer's PEM text, checked: signed by the key it names, for this tenant, device and these
/// keys, with a billing grant that the same key signed. Errc::corrupt or Errc::reject says what
/// does not fit.
Result<Enrolled> check_answer(const std::string& pem, const AgentConfig& config,
                              const DeviceKeys& keys);

/// What is installed. Errc::not_found: not enrolled yet.
Result<Enrolled> load_enrolment(const AgentConfig& config, const DeviceKeys& keys);

/// Of the class's journal.
JournalOptions journal_options(const AgentConfig& config, StreamClass stream_class);

struct InstallOptions {
  bool replace = false;  // accept another collector key or stream than the installed one
};
/// Checks and installs. Errc::conflict where another collector's key is pinned or a journal
/// belongs to another stream and `replace` was not given; with it, a journal of another stream is
/// moved aside, never deleted.
Result<Enrolled> install_answer(const std::string& pem, const AgentConfig& config,
                                const DeviceKeys& keys, const InstallOptions& options);

}  // namespace ledgerline::agent
