#include "collector/core/enrolling.h"

#include <algorithm>
#include <set>

#include "common/check.h"
#include "common/topics.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kCommonNameMax = 64;  // X.509 ub-common-name
constexpr size_t kOperatorReasonMax = 400;

Status check_names(const EnrolmentRequest& request) {
  TRY_VOID(check_name("tenant", request.tenant));
  TRY_VOID(check_name("device", request.device));
  // The identity joins both with a dot. With a dot in the tenant, two devices could share one
  // identity at the broker.
  if (request.tenant.find('.') != std::string::npos) {
    return fail(Error(Errc::reject, "a tenant's name holds no dot").with("tenant", request.tenant));
  }
  if (device_identity(request.tenant, request.device).size() > kCommonNameMax) {
    return fail(Error(Errc::reject,
                      "tenant and device together are longer than a certificate's 63 characters")
                    .with("device", request.device));
  }
  return {};
}

Status check_classes(const EnrolmentRequest& request) {
  // Each at most once, says the decoder.
  if (!request.classes.empty() && request.classes.size() <= 2) return {};
  return fail(Errc::reject,
              "a device is enrolled for a billing stream, a diagnostic stream, or both");
}

bool asks_for(const EnrolmentRequest& request, StreamClass stream_class) {
  return std::find(request.classes.begin(), request.classes.end(), stream_class) !=
         request.classes.end();
}

/// The stream of that class which the new one replaces: the newest one, closed already or not.
const StreamRow* predecessor_of(const std::vector<StreamRow>& streams, StreamClass stream_class) {
  const StreamRow* newest = nullptr;
  for (const auto& stream : streams) {
    if (stream.grant.stream_class != stream_class) continue;
    if (newest == nullptr || stream.grant.issued_at >= newest->grant.issued_at) newest = &stream;
  }
  return newest;
}

/// The key that signs for the device now: that of its newest stream.
std::optional<KeyId> key_in_use(const std::vector<StreamRow>& streams) {
  const StreamRow* newest = predecessor_of(streams, StreamClass::billing);
  return newest == nullptr ? std::nullopt : std::optional(newest->grant.key);
}

/// The billing stream that goes on where only a diagnostic one is asked for; nullptr where billing
/// is asked for.
Result<const StreamRow*> kept_billing(const EnrolmentRequest& request,
                                      const EnrolmentContext& context, const KeyId& key) {
  if (asks_for(request, StreamClass::billing)) return nullptr;
  const StreamRow* billing = predecessor_of(context.streams, StreamClass::billing);
  if (billing != nullptr && billing->status == StreamStatus::open && billing->grant.key == key)
    return billing;
  return fail(Error(Errc::reject,
                    "a diagnostic stream alone is for a device whose billing stream is open under "
                    "the same key: ask for both, with a reason")
                  .with("device", device_identity(request.tenant, request.device)));
}

Status check_replacement(const EnrolmentRequest& request, const EnrolmentContext& context,
                         const std::optional<KeyId>& in_use, const KeyId& asked) {
  if (context.replace_reason.size() > kOperatorReasonMax || !is_utf8(context.replace_reason)) {
    return fail(Errc::reject, "a reason is UTF-8 text of at most 400 bytes");
  }
  const std::string name = device_identity(request.tenant, request.device);
  if (in_use && *in_use != asked && !context.replace) {
    return fail(Error(Errc::conflict,
                      "the device is enrolled with another key: if it is to be replaced, give "
                      "--replace and --reason")
                    .with("device", name)
                    .with("enrolled_key", in_use->hex())
                    .with("request_key", asked.hex()));
  }
  if (in_use && request.reason.empty() && !context.replace) {
    return fail(Error(Errc::reject, "the device is enrolled already: asking again needs a reason")
                    .with("device", name));
  }
  return {};
}

std::string grant_reason(const EnrolmentRequest& request, const EnrolmentContext& context) {
  if (context.replace_reason.empty() || request.reason.empty())
    return context.replace_reason + request.reason;
  return context.replace_reason + "; the device says: " + request.reason;
}

Result<GrantedStream> grant_stream(const EnrolmentRequest& request, const DeviceKey& key,
                                   StreamClass stream_class, const StreamId& stream,
                                   const EnrolmentContext& context, Signer& collector) {
  GrantedStream out;
  out.grant.tenant = request.tenant;
  out.grant.device = request.device;
  out.grant.stream_class = stream_class;
  out.grant.stream = stream;
  out.grant.partition = partition_of(request.tenant, request.device);
  out.grant.key = key.id;
  out.grant.algorithm = key.algorithm;
  out.grant.epoch = context.epoch;
  out.grant.issued_at = context.now;
  if (const auto* before = predecessor_of(context.streams, stream_class)) {
    out.grant.predecessor = before->grant.stream;
    out.grant.reason = grant_reason(request, context);
  }
  const Bytes body = encode(out.grant);
  out.grant_id = grant_id(body);
  TRY(out.signed_grant, sign(payload_type::kGrant, body, collector));
  return out;
}

Result<Bytes> make_enrolment(const EnrolmentRequest& request, const StreamRow* kept,
                             const std::vector<GrantedStream>& streams,
                             const EnrolmentContext& context, Signer& collector) {
  const CertificateOrder order{
      .common_name = device_identity(request.tenant, request.device),
      // A device's clock may be behind; a certificate that is not valid yet would lock it out.
      .not_before_unix_s = context.now.unix_ms() / 1000 - 24 * 3600,
      .not_after_unix_s = (context.now + context.validity).unix_ms() / 1000,
  };
  Enrolment out;
  TRY(out.certificate,
      issue_certificate(request.certificate_request, context.authority_certificate_pem,
                        context.authority_private_key_pem, order));
  out.tenant = request.tenant;
  out.device = request.device;
  out.certificate_authority = context.authority_certificate_der;
  out.collector_algorithm = collector.public_key().algorithm();
  out.collector_public_key = collector.public_key().der();
  if (kept != nullptr) out.grants.push_back(kept->signed_grant);
  for (const auto& stream : streams) out.grants.push_back(stream.signed_grant);
  return sign(payload_type::kEnrolment, encode(out), collector);
}

}  // namespace

std::string device_identity(const std::string& tenant, const std::string& device) {
  return tenant + "." + device;
}

uint8_t partition_of(const std::string& tenant, const std::string& device) {
  return sha256({bytes_of(tenant), bytes_of("/"), bytes_of(device)}).view()[0];
}

Result<EnrolmentRequest> open_enrolment_request(ByteView signed_request) {
  TRY(const auto message, open_signed(signed_request, payload_type::kEnrolmentRequest));
  TRY(auto request, decode_enrolment_request(message.body));
  TRY_VOID(check_names(request));
  TRY_VOID(check_classes(request));
  TRY(const auto key, PublicKey::from_der(request.algorithm, request.public_key));
  if (!verify(message, key)) {
    return fail(Errc::reject, "the request is not signed by the key it asks for");
  }
  return request;
}

Result<EnrolmentPlan> plan_enrolment(const EnrolmentRequest& request,
                                     const EnrolmentContext& context, Signer& collector) {
  CHECK_INVARIANT(context.new_streams.size() == request.classes.size());
  TRY(const auto key, PublicKey::from_der(request.algorithm, request.public_key));
  const std::optional<KeyId> in_use = key_in_use(context.streams);
  TRY_VOID(check_replacement(request, context, in_use, key.id()));
  TRY(const StreamRow* const kept, kept_billing(request, context, key.id()));
  EnrolmentPlan out;
  if (in_use && *in_use != key.id()) out.replaces = in_use;
  out.key = {request.algorithm, key.id(), request.public_key, context.now, std::nullopt, {}};
  if (const DeviceKey* known = context.device ? find_key(*context.device, key.id()) : nullptr) {
    if (known->revoked_at) {
      return fail(Error(Errc::reject, "this key was revoked: the device needs a new one")
                      .with("reason", known->revoke_reason));
    }
    out.key = *known;
  }
  for (size_t i = 0; i < request.classes.size(); ++i) {
    TRY(auto granted, grant_stream(request, out.key, request.classes[i], context.new_streams[i],
                                   context, collector));
    out.streams.push_back(std::move(granted));
    for (const auto& stream : context.streams) {
      if (stream.grant.stream_class == request.classes[i] &&
          stream.status != StreamStatus::closed) {
        out.closes.push_back(stream.grant.stream);
      }
    }
  }
  TRY(out.enrolment, make_enrolment(request, kept, out.streams, context, collector));
  return out;
}

bool key_is_active(const DeviceKey& key, Timestamp at) {
  return !key.revoked_at || at < *key.revoked_at;
}

const DeviceKey* find_key(const DeviceRow& device, const KeyId& key) {
  const auto found = std::find_if(device.keys.begin(), device.keys.end(),
                                  [&](const DeviceKey& candidate) { return candidate.id == key; });
  return found == device.keys.end() ? nullptr : &*found;
}

std::string access_list(const std::vector<DeviceRow>& devices, Timestamp now) {
  std::string out =
      "# Written by ledgerline-collector from its store at each enroll and revoke; do not edit.\n"
      "# A user is the common name of a certificate (use_identity_as_username true).\n\nuser ";
  out.append(kCollectorIdentity).append("\n");
  for (const auto leaf : {TopicLeaf::batch, TopicLeaf::heartbeat, TopicLeaf::resume}) {
    out += "topic read " + topic_filter(leaf) + "\n";
  }
  for (const auto leaf : {TopicLeaf::receipt, TopicLeaf::answer})
    out += "topic write " + topic_filter(leaf) + "\n";
  for (const auto& device : devices) {
    const bool active = std::any_of(device.keys.begin(), device.keys.end(),
                                    [&](const DeviceKey& key) { return key_is_active(key, now); });
    if (!active) continue;
    const auto line = [&](const char* right, TopicLeaf leaf) {
      const Topic topic{device.tenant, partition_of(device.tenant, device.device), device.device,
                        leaf};
      out += std::string("topic ") + right + " " + topic.text() + "\n";
    };
    out += "\nuser " + device_identity(device.tenant, device.device) + "\n";
    for (const auto leaf : {TopicLeaf::batch, TopicLeaf::heartbeat, TopicLeaf::resume})
      line("write", leaf);
    for (const auto leaf : {TopicLeaf::receipt, TopicLeaf::answer}) line("read", leaf);
  }
  return out;
}

std::string kept_entries(const std::string& list, const std::vector<DeviceRow>& devices) {
  static constexpr std::string_view kEntry = "\nuser ";
  std::set<std::string> known{kCollectorIdentity};
  for (const auto& row : devices) known.insert(device_identity(row.tenant, row.device));
  std::string out;
  for (size_t at = list.find(kEntry); at != std::string::npos;) {
    const size_t next = list.find(kEntry, at + 1);
    const std::string entry = list.substr(at, next == std::string::npos ? next : next - at);
    const size_t name = kEntry.size();
    if (!known.contains(entry.substr(name, entry.find('\n', name) - name))) out += entry;
    at = next;
  }
  return out;
}

}  // namespace ledgerline::collector
