#pragma once
// Who may send what: checks a device's enrolment request and makes the answer, and writes the
// broker's access list. Pure: what is stored comes in, what is to be stored goes out; random bytes
// and the time are passed in.

#include <optional>
#include <string>
#include <vector>

#include "collector/core/records.h"
#include "common/crypto.h"
#include "common/messages.h"

namespace ledgerline::collector {

/// The collector's own identity at the broker: client id and common name of its certificate.
inline constexpr const char* kCollectorIdentity = "ledgerline-collector";

/// "<tenant>.<device>": client id, common name of the certificate, user in the broker's access
/// list.
std::string device_identity(const std::string& tenant, const std::string& device);
/// First byte of SHA-256(tenant "/" device).
uint8_t partition_of(const std::string& tenant, const std::string& device);

/// A request whose own signature is right. Errc::reject says what is wrong, for the person who
/// enrols.
Result<EnrolmentRequest> open_enrolment_request(ByteView signed_request);

struct EnrolmentContext {
  std::optional<DeviceRow> device;    // as stored; absent: a new device
  std::vector<StreamRow> streams;     // of the device
  std::vector<StreamId> new_streams;  // random, one per class asked for
  uint32_t epoch = 1;                 // of the evidence log
  Timestamp now;
  bool replace = false;        // the operator lets another key take the device over
  std::string replace_reason;  // the operator's, kept in the grant; bounded, see plan_enrolment
  std::string authority_certificate_pem;
  std::string authority_private_key_pem;
  Bytes authority_certificate_der;
  Duration validity = std::chrono::hours(24 * 365);
};

struct GrantedStream {
  StreamGrant grant;
  Bytes signed_grant;
  BatchId grant_id;
};

struct EnrolmentPlan {
  DeviceKey key;
  std::optional<KeyId> replaces;  // the key that signed until now, where it is another one
  std::vector<GrantedStream> streams;
  std::vector<StreamId> closes;  // predecessors
  Bytes enrolment;               // Signed Enrolment: the answer
};

/// A request for a diagnostic stream alone, of a device with the same key, leaves its billing
/// stream as it is; the answer names both. Errc::reject: a name that may not be, a revoked key, a
/// second enrolment without a reason, an operator's reason beyond 400 bytes. Errc::conflict:
/// another key for an enrolled device without the operator's `replace`; the request's own reason
/// does not count there, because whoever made the request wrote it. An enrolled device that asks
/// again gets new streams that name their predecessors.
Result<EnrolmentPlan> plan_enrolment(const EnrolmentRequest& request,
                                     const EnrolmentContext& context, Signer& collector);

/// The key that signs in the device's streams and is not revoked.
bool key_is_active(const DeviceKey& key, Timestamp at);
const DeviceKey* find_key(const DeviceRow& device, const KeyId& key);

/// mosquitto's acl_file: each device with an active key may use its own branch, the collector the
/// other ends. A device that is not in the list may do nothing.
std::string access_list(const std::vector<DeviceRow>& devices, Timestamp now);
/// The entries of a list written before for devices that are not among `devices`: while the store
/// does not know every device yet, those keep their topics.
std::string kept_entries(const std::string& list, const std::vector<DeviceRow>& devices);

}  // namespace ledgerline::collector
