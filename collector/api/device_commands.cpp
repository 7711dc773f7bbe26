// enroll and revoke.

#include <algorithm>
#include <array>

#include "collector/api/commands.h"
#include "collector/api/setup.h"
#include "collector/api/stream_end.h"
#include "collector/core/enrolling.h"
#include "collector/intake/log_epoch.h"
#include "common/exit_code.h"
#include "common/io/log.h"
#include "common/io/private_file.h"
#include "common/io/system.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kRequestSizeMax = 64 * 1024;
constexpr int kConflictsMax = 5;
constexpr const char* kRequestLabel = "LEDGERLINE ENROLMENT REQUEST";
constexpr const char* kAnswerLabel = "LEDGERLINE ENROLMENT";

StreamId random_stream() {
  std::array<uint8_t, StreamId::kSize> bytes{};
  random_bytes(bytes);
  return StreamId(bytes);
}

template <class T>
Result<std::optional<T>> optional_row(Result<T> row) {
  if (row) return std::optional<T>(std::move(*row));
  if (row.error().code() == Errc::not_found) return std::optional<T>();
  return fail(std::move(row).error());
}

Result<EnrolmentContext> context_for(const CollectorConfig& config, Store& store,
                                     const EnrolmentRequest& request, const LogOrigin& origin,
                                     const CommandLine& options, Timestamp now) {
  EnrolmentContext context;
  context.replace = options.replace;
  context.replace_reason = options.reason;
  TRY(context.device, optional_row(store.device(request.tenant, request.device)));
  if (context.device) {
    TRY(context.streams, store.streams_of(request.tenant, request.device));
  }
  for (size_t i = 0; i < request.classes.size(); ++i)
    context.new_streams.push_back(random_stream());
  context.epoch = origin.epoch;
  context.now = now;
  TRY(context.authority_certificate_pem, io::read_file(config.authority_certificate));
  TRY(context.authority_private_key_pem, io::read_private_file(config.authority_private_key));
  TRY(context.authority_certificate_der,
      pem_decode("CERTIFICATE", context.authority_certificate_pem));
  context.validity = config.validity;
  return context;
}

/// What a person has to know of the streams that this enrolment ends.
Result<std::vector<ExceptionUpsert>> about_ends(Store& store, const EnrolmentPlan& plan,
                                                const EnrolmentContext& context) {
  std::vector<ExceptionUpsert> out;
  for (const StreamRow& row : context.streams) {
    if (std::find(plan.closes.begin(), plan.closes.end(), row.grant.stream) == plan.closes.end())
      continue;
    if (row.recovering())
      out.push_back(recovery_ended(row, "another stream took its place", context.now));
    if (row.grant.stream_class != StreamClass::billing) continue;
    const auto next = std::find_if(plan.streams.begin(), plan.streams.end(), [](const auto& each) {
      return each.grant.stream_class == StreamClass::billing;
    });
    TRY(const StreamEnd end, read_stream_end(store, row));
    auto said = stream_replaced(row, end, next->grant.stream, next->grant.reason, context.now);
    std::move(said.begin(), said.end(), std::back_inserter(out));
  }
  return out;
}

DeviceEnrolment as_stored(const EnrolmentRequest& request, const EnrolmentPlan& plan,
                          const EnrolmentContext& context) {
  DeviceEnrolment out{.tenant = request.tenant,
                      .device = request.device,
                      .expected_revision = context.device ? context.device->revision : 0,
                      .key = plan.key,
                      .closes = plan.closes,
                      .at = context.now};
  for (const auto& stream : plan.streams)
    out.streams.push_back({stream.grant, stream.signed_grant, stream.grant_id});
  return out;
}

Status check_expected(const EnrolmentRequest& request, const CommandLine& options) {
  const bool tenant = options.tenant.empty() || options.tenant == request.tenant;
  const bool device = options.device.empty() || options.device == request.device;
  if (tenant && device) return {};
  return fail(Error(Errc::reject, "the request is for another device than expected")
                  .with("request", request.tenant + "/" + request.device)
                  .with("expected", (options.tenant.empty() ? "*" : options.tenant) + "/" +
                                        (options.device.empty() ? "*" : options.device)));
}

/// The grant keeps the reason; the log says it to whoever watches.
void tell_replacement(const EnrolmentRequest& request, const EnrolmentPlan& plan,
                      const std::string& reason, std::ostream& out) {
  out << "replaced key " << plan.replaces->hex() << "\n"
      << "its stream is closed; its certificate stays valid at the broker until it expires\n";
  io::log_warn("device_key_replaced", {io::kv("device", request.tenant + "/" + request.device),
                                       io::kv("old", plan.replaces->hex()),
                                       io::kv("new", plan.key.id.hex()), io::kv("reason", reason)});
}

/// The collector is through with the key; the broker does not know that yet.
void tell_broker_steps(const CollectorConfig& config, std::ostream& out) {
  if (config.acl_file.empty()) {
    out << "to do at the broker: no [broker] acl_file is configured, so take the device's rights "
           "away by hand\n";
  } else {
    out << "to do at the broker: send it SIGHUP, so that it reads " << config.acl_file
        << " again; until then the device keeps its topics there\n";
  }
  out << "its certificate stays valid at the broker until it expires (there is no revocation "
         "list): enrol what replaces the device under another name\n";
}

}  // namespace

Result<int> enroll(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                   std::ostream& out) {
  TRY(const std::string text, io::read_file(options.file, kRequestSizeMax));
  TRY(const Bytes signed_request, pem_decode(kRequestLabel, text));
  TRY(const EnrolmentRequest request, open_enrolment_request(signed_request));
  TRY_VOID(check_expected(request, options));
  TRY(auto store, open_store(config));
  TRY(auto signer, load_or_make_signer(config));
  TRY(const LogOrigin origin, store->ensure_origin(first_epoch(signer->public_key())));
  EnrolmentPlan plan;
  for (int attempt = 1;; ++attempt) {
    TRY(const auto context, context_for(config, *store, request, origin, options, clock.now()));
    TRY(plan, plan_enrolment(request, context, *signer));
    DeviceEnrolment enrolment = as_stored(request, plan, context);
    TRY(enrolment.exceptions, about_ends(*store, plan, context));
    const auto stored = store->put_device(enrolment);
    if (stored) break;
    if (stored.error().code() != Errc::conflict || attempt == kConflictsMax)
      return fail(stored.error());
  }
  // After the commit: an answer that nobody wrote down is asked for again with a reason, but a
  // grant that nobody knows would take readings nowhere.
  const std::string file = options.out.empty() ? options.file + ".answer" : options.out;
  TRY_VOID(io::write_file_durably(file, pem_encode(kAnswerLabel, plan.enrolment), 0644));
  TRY_VOID(write_access_list(config, *store, clock.now()));
  out << "enrolled " << request.tenant << "/" << request.device << "\nkey " << plan.key.id.hex()
      << " (SHA-256 of the public key)\n";
  if (plan.replaces) tell_replacement(request, plan, options.reason, out);
  for (const auto& stream : plan.streams) {
    out << "granted " << to_string(stream.grant.stream_class) << " stream "
        << stream.grant.stream.hex() << "\n";
  }
  out << "answer: " << file << "\n";
  if (!config.acl_file.empty())
    out << "access list: " << config.acl_file << " (let the broker read it again)\n";
  return kExitOk;
}

Result<int> revoke(const CollectorConfig& config, const CommandLine& options, Clock& clock,
                   std::ostream& out) {
  TRY(auto store, open_existing_store(config));
  TRY(const DeviceRow device, store->device(options.tenant, options.device));
  size_t revoked = 0;
  for (const DeviceKey& key : device.keys) {
    if (!key_is_active(key, clock.now())) continue;
    TRY_VOID(
        store->revoke_key(options.tenant, options.device, key.id, clock.now(), options.reason));
    out << "revoked key " << key.id.hex().substr(0, 16) << " of " << options.tenant << "/"
        << options.device << "; its next batch is refused\n";
    ++revoked;
  }
  TRY_VOID(write_access_list(config, *store, clock.now()));
  if (revoked == 0) {
    return fail(Error(Errc::not_found, "the device has no active key")
                    .with("device", options.tenant + "/" + options.device));
  }
  tell_broker_steps(config, out);
  return kExitOk;
}

}  // namespace ledgerline::collector
