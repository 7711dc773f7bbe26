#include "agent/ops/enrolment.h"

#include <algorithm>
#include <filesystem>

#include "agent/journal/journal.h"
#include "common/io/log.h"
#include "common/io/private_file.h"
#include "common/io/system.h"

namespace ledgerline::agent {

namespace {

constexpr size_t kAnswerSizeMax = 256 << 10;
constexpr int kAsideMax = 1000;  // journals of one stream that were moved aside

std::string signing_file(const AgentConfig& config) {
  return config.keys_folder() + "/signing.pem";
}
std::string tls_file(const AgentConfig& config) { return config.keys_folder() + "/tls.pem"; }
std::string enrolment_file(const AgentConfig& config) { return config.state + "/enrolment.pem"; }

Result<std::unique_ptr<Signer>> signer_of(const std::string& pem, const std::string& path) {
  auto signer = signer_from_pem(pem);
  if (!signer) return fail(std::move(signer).error().with("file", path));
  return signer;
}

Status make_key_where_absent(const std::string& path, KeyAlgorithm algorithm) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return {};
  TRY(const std::string pem, generate_private_key_pem(algorithm));
  TRY_VOID(io::write_file_durably(path, pem, 0600));
  io::log_debug("key_made", {io::kv("file", path)});
  return {};
}

tl::unexpected<Error> unfit(const std::string& what) {
  return fail(Errc::reject, "this enrolment does not fit: " + what);
}

/// The certificate holds the key's SubjectPublicKeyInfo as it is (RFC 5280, section 4.1).
bool certifies(const Bytes& certificate, const Bytes& public_key) {
  return std::search(certificate.begin(), certificate.end(), public_key.begin(),
                     public_key.end()) != certificate.end();
}

Status check_grant(const StreamGrant& grant, const AgentConfig& config, const DeviceKeys& keys) {
  if (grant.tenant != config.tenant || grant.device != config.device) {
    return unfit("its grant is for " + grant.tenant + "/" + grant.device);
  }
  if (grant.key != keys.signer->public_key().id())
    return unfit("its grant names another signing key");
  if (grant.algorithm != keys.signer->public_key().algorithm())
    return unfit("its grant names another algorithm");
  return {};
}

Status check_names(const Enrolment& enrolment, const AgentConfig& config, const DeviceKeys& keys) {
  if (enrolment.tenant != config.tenant || enrolment.device != config.device) {
    return unfit("it is for " + enrolment.tenant + "/" + enrolment.device + ", this agent is " +
                 config.tenant + "/" + config.device);
  }
  if (!certifies(enrolment.certificate, keys.tls_public_key))
    return unfit("its certificate is for another TLS key");
  return {};
}

/// The status of the class's journal where it is of another stream and has to be moved aside;
/// nothing where there is none. Errc::conflict where it may not be moved.
Result<std::optional<JournalStatus>> journal_in_the_way(const AgentConfig& config,
                                                        const StreamGrant& grant, bool replace) {
  const JournalOptions options = journal_options(config, grant.stream_class);
  const auto status = Journal::read_status(options);
  if (!status && status.error().code() == Errc::not_found) return std::nullopt;
  if (!status) return fail(status.error());
  if (!status->enrolled || status->grant.stream == grant.stream) return std::nullopt;
  if (!replace) {
    return fail(Error(Errc::conflict,
                      "the journal holds readings of another stream; --replace moves it aside and "
                      "begins a new one")
                    .with("stream", status->grant.stream.hex()));
  }
  {
    io::SystemClock clock;
    const auto lock = Journal::open(options, clock);
    if (!lock) return fail(lock.error());  // a running agent: it has to be stopped first
  }
  return *status;
}

/// Renames the journal, so that its readings stay at hand for whoever has to account for them.
Status move_aside(const AgentConfig& config, const JournalStatus& status) {
  const std::string folder = config.journal_folder(status.grant.stream_class);
  const std::string base = folder + "." + status.grant.stream.hex();
  std::string aside = base;
  std::error_code error;
  for (int copy = 2; std::filesystem::exists(aside, error) && copy <= kAsideMax; ++copy)
    aside = base + "." + std::to_string(copy);
  std::filesystem::rename(folder, aside, error);
  if (error)
    return fail(Error(Errc::config, "the journal cannot be moved aside: " + error.message())
                    .with("folder", aside));
  io::log_warn("journal_moved_aside",
               {io::kv("folder", aside),
                io::kv("unreceipted_batches", status.head_batch - status.acked_upto)});
  return {};
}

struct Wanted {
  std::vector<StreamClass> classes;
  std::string reason;
};

Wanted streams_wanted(const AgentConfig& config, const DeviceKeys& keys,
                      const std::string& reason) {
  if (config.diagnostic_meters.empty()) return {{StreamClass::billing}, reason};
  const auto installed =
      reason.empty() ? load_enrolment(config, keys) : fail(Errc::not_found, "it asks for all anew");
  if (installed && !installed->diagnostic)
    return {{StreamClass::diagnostic}, "a diagnostic meter was added"};
  return {{StreamClass::billing, StreamClass::diagnostic}, reason};
}

}  // namespace

JournalOptions journal_options(const AgentConfig& config, StreamClass stream_class) {
  const bool billing = stream_class == StreamClass::billing;
  return {.folder = config.journal_folder(stream_class),
          .retention = billing ? config.retention : config.diagnostic_retention,
          .batch = config.batch,
          .lateness = config.lateness};
}

Result<DeviceKeys> load_keys(const AgentConfig& config) {
  DeviceKeys keys;
  TRY(const std::string signing_pem, io::read_private_file(signing_file(config)));
  TRY(keys.signer, signer_of(signing_pem, signing_file(config)));
  TRY(keys.tls_pem, io::read_private_file(tls_file(config)));
  TRY(const auto tls, signer_of(keys.tls_pem, tls_file(config)));
  keys.tls_public_key = tls->public_key().der();
  return keys;
}

Result<DeviceKeys> load_or_make_keys(const AgentConfig& config) {
  TRY_VOID(io::make_folders(config.state, 0700));
  TRY_VOID(io::make_folders(config.keys_folder(), 0700));
  TRY_VOID(make_key_where_absent(signing_file(config), KeyAlgorithm::ed25519));
  TRY_VOID(make_key_where_absent(tls_file(config), KeyAlgorithm::ecdsa_p256_sha256));
  return load_keys(config);
}

Result<std::string> make_request(const AgentConfig& config, DeviceKeys& keys, Timestamp now,
                                 const std::string& reason) {
  TRY(Bytes certificate_request,
      make_certificate_request(keys.tls_pem, config.tenant + "." + config.device));
  const Wanted wanted = streams_wanted(config, keys, reason);
  const EnrolmentRequest request{.tenant = config.tenant,
                                 .device = config.device,
                                 .algorithm = keys.signer->public_key().algorithm(),
                                 .public_key = keys.signer->public_key().der(),
                                 .certificate_request = std::move(certificate_request),
                                 .classes = wanted.classes,
                                 .created_at = now,
                                 .reason = wanted.reason};
  TRY(const Bytes message, sign(payload_type::kEnrolmentRequest, encode(request), *keys.signer));
  return pem_encode(kRequestLabel, message);
}

Result<Enrolled> check_answer(const std::string& pem, const AgentConfig& config,
                              const DeviceKeys& keys) {
  TRY(const Bytes message, pem_decode(kAnswerLabel, pem));
  TRY(const SignedMessage opened, open_signed(message, payload_type::kEnrolment));
  TRY(Enrolment enrolment, decode_enrolment(opened.body));
  TRY(const PublicKey collector,
      PublicKey::from_der(enrolment.collector_algorithm, enrolment.collector_public_key));
  TRY_VOID(verify(opened, collector));
  TRY_VOID(check_names(enrolment, config, keys));
  std::optional<InstalledGrant> billing;
  std::optional<InstalledGrant> diagnostic;
  for (const Bytes& signed_grant : enrolment.grants) {
    TRY(const SignedMessage grant_message, open_signed(signed_grant, payload_type::kGrant));
    TRY_VOID(verify(grant_message, collector));
    TRY(StreamGrant grant, decode_grant(grant_message.body));
    TRY_VOID(check_grant(grant, config, keys));
    auto& place = grant.stream_class == StreamClass::billing ? billing : diagnostic;
    if (place) return unfit("it holds two grants of one class");
    place = {
        .grant = std::move(grant), .grant_body = grant_message.body, .signed_grant = signed_grant};
  }
  if (!billing) return unfit("it holds no grant of a billing stream");
  return Enrolled{.collector_key = collector,
                  .grant = std::move(billing->grant),
                  .grant_body = std::move(billing->grant_body),
                  .signed_grant = std::move(billing->signed_grant),
                  .diagnostic = std::move(diagnostic),
                  .enrolment = std::move(enrolment)};
}

Result<Enrolled> load_enrolment(const AgentConfig& config, const DeviceKeys& keys) {
  TRY(const std::string pem, io::read_file(enrolment_file(config), kAnswerSizeMax));
  auto enrolled = check_answer(pem, config, keys);
  if (!enrolled) return fail(std::move(enrolled).error().with("file", enrolment_file(config)));
  return enrolled;
}

Result<Enrolled> install_answer(const std::string& pem, const AgentConfig& config,
                                const DeviceKeys& keys, const InstallOptions& options) {
  TRY(Enrolled enrolled, check_answer(pem, config, keys));
  const auto installed = load_enrolment(config, keys);
  if (installed && installed->collector_key.id() != enrolled.collector_key.id() &&
      !options.replace) {
    return fail(
        Error(Errc::conflict,
              "another collector's key is pinned; give --replace only if you know why it changed")
            .with("pinned", installed->collector_key.id().hex())
            .with("offered", enrolled.collector_key.id().hex()));
  }
  if (!installed && installed.error().code() != Errc::not_found && !options.replace)
    return fail(installed.error());
  std::vector<JournalStatus> in_the_way;
  TRY(auto other, journal_in_the_way(config, enrolled.grant, options.replace));
  if (other) in_the_way.push_back(std::move(*other));
  if (enrolled.diagnostic) {
    TRY(other, journal_in_the_way(config, enrolled.diagnostic->grant, options.replace));
    if (other) in_the_way.push_back(std::move(*other));
  }
  TRY_VOID(io::write_file_durably(config.state + "/certificate.pem",
                                  pem_encode("CERTIFICATE", enrolled.enrolment.certificate), 0644));
  TRY_VOID(io::write_file_durably(
      config.state + "/ca.pem", pem_encode("CERTIFICATE", enrolled.enrolment.certificate_authority),
      0644));
  TRY_VOID(io::write_file_durably(enrolment_file(config), pem, 0644));
  // Only now: without its journal the old enrolment would let the agent begin the old stream anew,
  // while a start with the new enrolment and the old journal is refused until this is repeated.
  for (const JournalStatus& status : in_the_way) TRY_VOID(move_aside(config, status));
  return enrolled;
}

}  // namespace ledgerline::agent
