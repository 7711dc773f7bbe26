#pragma once
// The signed statements between agent and collector (PROTOCOL.md "Statements"). encode_x gives the
// body, sign() wraps it, open_signed() and verify() take it apart, decode_x reads a body that was
// verified. Pure.

#include <optional>
#include <string>
#include <vector>

#include "common/crypto.h"
#include "common/envelope.h"
#include "common/meter.h"
#include "common/time.h"

namespace ledgerline {

/// The payload types of the pre-authentication encoding: a signature for one can never pass for
/// another.
namespace payload_type {
inline constexpr std::string_view kManifest = "application/vnd.ledgerline.manifest.v1+protobuf";
inline constexpr std::string_view kEnrolmentRequest =
    "application/vnd.ledgerline.enrolment-request.v1+protobuf";
inline constexpr std::string_view kEnrolment = "application/vnd.ledgerline.enrolment.v1+protobuf";
inline constexpr std::string_view kGrant = "application/vnd.ledgerline.grant.v1+protobuf";
inline constexpr std::string_view kReceipt = "application/vnd.ledgerline.receipt.v1+protobuf";
inline constexpr std::string_view kTombstone = "application/vnd.ledgerline.tombstone.v1+protobuf";
inline constexpr std::string_view kHeartbeat = "application/vnd.ledgerline.heartbeat.v1+protobuf";
inline constexpr std::string_view kResume = "application/vnd.ledgerline.resume.v1+protobuf";
inline constexpr std::string_view kIntroduction =
    "application/vnd.ledgerline.introduction.v1+protobuf";
inline constexpr std::string_view kAnswer = "application/vnd.ledgerline.answer.v1+protobuf";
inline constexpr std::string_view kCheckpointRequest =
    "application/vnd.ledgerline.checkpoint-request.v1+protobuf";
inline constexpr std::string_view kCheckpointAnswer =
    "application/vnd.ledgerline.checkpoint-answer.v1+protobuf";
}  // namespace payload_type

/// DSSE v1: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body, lengths in decimal.
Bytes pre_authentication_encoding(std::string_view type, ByteView body);

struct SignedMessage {
  std::string type;
  Bytes body;
  KeyId key;
  Bytes signature;
};

/// A Signed message as bytes.
Result<Bytes> sign(std::string_view type, ByteView body, Signer& signer);
/// Errc::corrupt where it does not parse or is of another type. The signature is not checked yet.
Result<SignedMessage> open_signed(ByteView bytes, std::string_view type);
/// Errc::corrupt where the key is another one or the signature is wrong.
Status verify(const SignedMessage& message, const PublicKey& key);

struct EnrolmentRequest {
  std::string tenant;
  std::string device;
  KeyAlgorithm algorithm = KeyAlgorithm::ed25519;
  Bytes public_key;           // DER SubjectPublicKeyInfo
  Bytes certificate_request;  // DER PKCS#10
  std::vector<StreamClass> classes;
  Timestamp created_at;
  std::string reason;
};

struct StreamGrant {
  std::string tenant;
  std::string device;
  StreamClass stream_class = StreamClass::billing;
  StreamId stream;
  uint8_t partition = 0;
  KeyId key;
  KeyAlgorithm algorithm = KeyAlgorithm::ed25519;
  uint32_t epoch = 1;
  std::optional<StreamId> predecessor;
  std::string reason;
  Timestamp issued_at;
};

struct Enrolment {
  std::string tenant;
  std::string device;
  Bytes certificate;
  Bytes certificate_authority;
  KeyAlgorithm collector_algorithm = KeyAlgorithm::ed25519;
  Bytes collector_public_key;
  std::vector<Bytes> grants;  // Signed StreamGrant
};

enum class StreamStatus : uint8_t { open = 1, frozen = 2, closed = 3 };

struct Receipt {
  static constexpr size_t kParkedMax = 64;
  StreamId stream;
  uint64_t number = 0;
  BatchNumber linked_upto = 0;
  BatchId chain_value;
  std::vector<BatchNumber> parked;  // ascending
  StreamStatus status = StreamStatus::open;
  uint32_t epoch = 1;
  Timestamp issued_at;
};

/// Stands for whole batches that the device has no more: of a diagnostic stream those it gave up
/// for lack of room, of either those under a receipt that a restored collector asks for again.
struct Tombstone {
  StreamId stream;
  BatchNumber first_batch = 1;
  BatchNumber last_batch = 1;
  Seq first_seq = 1;
  Seq last_seq = 0;  // first_seq - 1 where the batches held records only
  BatchId previous;  // chain value at first_batch - 1
  BatchId last_id;   // chain value at last_batch
  Totals totals;     // after last_seq
  std::string reason;
  Timestamp from;               // wall clock when the first of the batches was sealed
  Timestamp created_at;         // when the last of them was given up
  std::vector<Record> records;  // what a reader needs to read on from last_seq + 1
};

struct Heartbeat {
  StreamId stream;
  uint64_t number = 0;
  Seq next_seq = 1;
  BatchNumber head_batch = 0;
  BatchId head_id;
  Totals totals;
  BootId boot_id;
  BatchNumber acked_upto = 0;
  uint64_t receipt_number = 0;
  Timestamp complete_through;
  uint64_t free_bytes = 0;
  Timestamp sent_at;
  Monotonic monotonic;
  bool coarsening = false;  // the journal is full: what stands before next_seq may still grow
};

using Nonce = FixedId<struct NonceTag, 16>;
/// What a collector must hear back before it believes that a resume is of now.
using Challenge = FixedId<struct ChallengeTag, 16>;

struct Resume {
  StreamId stream;
  Nonce nonce;
  BatchNumber head_batch = 0;
  BatchId head_id;  // the grant's id where head_batch is 0
  BatchNumber acked_upto = 0;
  uint64_t receipt_number = 0;
  Bytes receipt;  // Signed Receipt, the newest that the device keeps; empty before the first
  std::optional<Challenge> challenge = {};  // of the newest answer that had one
};

/// Of a stream that its collector does not know any more, signed with the key in it.
struct Introduction {
  Bytes grant;  // Signed StreamGrant
  KeyAlgorithm algorithm = KeyAlgorithm::ed25519;
  Bytes public_key;  // DER SubjectPublicKeyInfo
};

enum class Verdict : uint8_t {
  continue_ = 1,
  unknown_stream = 2,
  rollback = 3,
  stream_frozen = 4,
  key_revoked = 5,
};
std::string_view to_string(Verdict verdict);
std::string_view to_string(StreamStatus status);

struct Answer {
  StreamId stream;
  Nonce nonce;
  Verdict verdict = Verdict::continue_;
  Bytes receipt;  // Signed Receipt, or empty
  std::string detail;
  std::optional<Challenge> challenge = {};  // the device is to ask again and repeat it
};

struct CheckpointRequest {
  StreamId stream;
  Nonce nonce;
  uint64_t known_size = 0;  // leaves of the newest checkpoint that the device holds; 0: none
  std::string known = {};   // its note; empty: none, or from an older device
};

struct CheckpointAnswer {
  StreamId stream;
  Nonce nonce;
  std::string note;                 // checkpoint.h
  std::vector<Digest> consistency;  // from known_size to the note's size
};

Bytes encode(const EnrolmentRequest& value);
Bytes encode(const StreamGrant& value);
Bytes encode(const Enrolment& value);
Bytes encode(const Receipt& value);
/// `meters`: those of the stream.
Bytes encode(const Tombstone& value, const MeterRows& meters);
Bytes encode(const Heartbeat& value);
Bytes encode(const Resume& value);
Bytes encode(const Introduction& value);
Bytes encode(const Answer& value);
Bytes encode(const CheckpointRequest& value);
Bytes encode(const CheckpointAnswer& value);
/// The retained message of a receipt topic, from at most kReceiptSetMax Signed receipts.
inline constexpr size_t kReceiptSetMax = 16;
Bytes encode_receipt_set(const std::vector<Bytes>& receipts);

/// Errc::corrupt names the field that is missing, too long or out of range.
Result<EnrolmentRequest> decode_enrolment_request(ByteView body);
Result<StreamGrant> decode_grant(ByteView body);
Result<Enrolment> decode_enrolment(ByteView body);
Result<Receipt> decode_receipt(ByteView body);
/// `meters`: those of the stream as known before it. Errc::reject for a format that this version
/// does not understand.
Result<Tombstone> decode_tombstone(ByteView body, const MeterRows& meters = {});
Result<Heartbeat> decode_heartbeat(ByteView body);
Result<Resume> decode_resume(ByteView body);
Result<Introduction> decode_introduction(ByteView body);
Result<Answer> decode_answer(ByteView body);
Result<CheckpointRequest> decode_checkpoint_request(ByteView body);
/// The note is not read yet.
Result<CheckpointAnswer> decode_checkpoint_answer(ByteView body);
Result<std::vector<Bytes>> decode_receipt_set(ByteView bytes);

/// The leaf of a close.
struct SealedClose {
  Bytes statement;                // Signed close statement
  std::vector<Bytes> heartbeats;  // Signed heartbeats that promised what it relies on
};
/// Errc::corrupt where a part is no Signed message.
Result<Bytes> encode_sealed_close(const SealedClose& value);
Result<SealedClose> decode_sealed_close(ByteView bytes);

/// SHA-256("ledgerline/tombstone/v1\0" || body)
Digest tombstone_id(ByteView body);

/// Tenant and device names: 1 to 63 of a-z, 0-9, '-', '.', '_', beginning with a letter or digit.
/// They appear in topics, certificates and file names, so nothing else is let in. Errc::reject.
Status check_name(std::string_view what, std::string_view name);

}  // namespace ledgerline
