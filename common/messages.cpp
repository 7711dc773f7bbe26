#include "common/messages.h"

#include <algorithm>

#include "common/check.h"
#include "common/checkpoint.h"
#include "common/protobuf_log.h"
#include "proto/ledgerline.pb.h"

namespace ledgerline {

namespace {

using namespace std::string_view_literals;

constexpr uint32_t kFormat = 1;
constexpr size_t kDetailMax = 1024;
constexpr int kGrantsMax = 8;
constexpr int kTotalsMax = 4096;             // as in a manifest
constexpr uint32_t kTombstoneKnownMax = 13;  // tombstone fields 1 to 13 are understood

tl::unexpected<Error> bad(const char* field) {
  return fail(
      Error(Errc::corrupt, "a statement's field is missing or out of range").with("field", field));
}

template <class Message>
Bytes serialised(const Message& message) {
  Bytes out(message.ByteSizeLong());
  CHECK_INVARIANT(message.SerializeToArray(out.data(), static_cast<int>(out.size())));
  return out;
}

template <class Message>
Result<Message> parsed(ByteView body) {
  Message message;
  if (body.size() > INT32_MAX ||
      !message.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return fail(Errc::corrupt, "a statement does not parse");
  }
  return message;
}

std::string str(const Bytes& bytes) { return string_of(bytes); }
Bytes bytes(const std::string& text) { return copy_of(bytes_of(text)); }

Result<std::optional<Challenge>> challenge_of(const std::string& bytes) {
  if (bytes.empty()) return std::nullopt;
  return Challenge::from(bytes);
}

Result<KeyAlgorithm> algorithm_of(v1::KeyAlgorithm value) {
  if (value != v1::ED25519 && value != v1::ECDSA_P256_SHA256) return bad("algorithm");
  return static_cast<KeyAlgorithm>(value);
}

Result<StreamClass> class_of(int value) {
  if (value != v1::BILLING && value != v1::DIAGNOSTIC) return bad("class");
  return static_cast<StreamClass>(value);
}

template <class Message>
Status check_owner(const Message& in) {
  TRY_VOID(check_name("tenant", in.tenant()));
  return check_name("device", in.device());
}

template <class Fields>
void write_totals(const Totals& totals, Fields* out) {
  for (const auto& [meter, sum] : totals) {
    auto& total = *out->Add();
    total.set_meter(meter);
    total.set_sum(int128_to_bytes(sum));
  }
}

template <class Fields>
Result<Totals> read_totals(const Fields& in) {
  Totals out;
  if (in.size() > kTotalsMax) return bad("totals");
  for (const auto& total : in) {
    if (!out.empty() && total.meter() <= out.back().first) return bad("totals");
    TRY(auto sum, int128_from_bytes(total.sum()));
    out.emplace_back(total.meter(), sum);
  }
  return out;
}

bool understood(const v1::Tombstone& in) {
  const auto& critical = in.critical();
  return in.format() == kFormat &&
         std::all_of(critical.begin(), critical.end(),
                     [](uint32_t field) { return field <= kTombstoneKnownMax; });
}

}  // namespace

Bytes pre_authentication_encoding(std::string_view type, ByteView body) {
  std::string head("DSSEv1 ");
  head.append(std::to_string(type.size())).append(" ").append(type).append(" ");
  head.append(std::to_string(body.size())).append(" ");
  Bytes out = copy_of(bytes_of(head));
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

Result<Bytes> sign(std::string_view type, ByteView body, Signer& signer) {
  TRY(const Bytes signature, signer.sign(pre_authentication_encoding(type, body)));
  v1::Signed out;
  out.set_type(std::string(type));
  out.set_body(body.data(), body.size());
  out.set_key_id(signer.public_key().id().str());
  out.set_signature(signature.data(), signature.size());
  return serialised(out);
}

Result<SignedMessage> open_signed(ByteView signed_bytes, std::string_view type) {
  TRY(const auto in, parsed<v1::Signed>(signed_bytes));
  if (in.type() != type) {
    return fail(
        Error(Errc::corrupt, "a statement is of another type").with("expected", std::string(type)));
  }
  SignedMessage out{
      .type = in.type(), .body = bytes(in.body()), .key = {}, .signature = bytes(in.signature())};
  TRY(out.key, KeyId::from(in.key_id()));
  return out;
}

Status verify(const SignedMessage& message, const PublicKey& key) {
  if (message.key != key.id()) return fail(Errc::corrupt, "a statement is signed with another key");
  if (!key.verify(pre_authentication_encoding(message.type, message.body), message.signature)) {
    return fail(Errc::corrupt, "a statement's signature is wrong");
  }
  return {};
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::continue_:
      return "continue";
    case Verdict::unknown_stream:
      return "unknown stream";
    case Verdict::rollback:
      return "rollback";
    case Verdict::stream_frozen:
      return "stream frozen";
    case Verdict::key_revoked:
      return "key revoked";
  }
  return "unknown";
}

std::string_view to_string(StreamStatus status) {
  switch (status) {
    case StreamStatus::open:
      return "open";
    case StreamStatus::frozen:
      return "frozen";
    case StreamStatus::closed:
      return "closed";
  }
  return "unknown";
}

Bytes encode(const EnrolmentRequest& value) {
  v1::EnrolmentRequest out;
  out.set_format(kFormat);
  out.set_tenant(value.tenant);
  out.set_device(value.device);
  out.set_algorithm(static_cast<v1::KeyAlgorithm>(value.algorithm));
  out.set_public_key(str(value.public_key));
  out.set_certificate_request(str(value.certificate_request));
  for (const StreamClass c : value.classes) out.add_classes(static_cast<v1::StreamClass>(c));
  out.set_created_at_ms(value.created_at.unix_ms());
  out.set_reason(value.reason);
  return serialised(out);
}

Result<EnrolmentRequest> decode_enrolment_request(ByteView body) {
  TRY(const auto in, parsed<v1::EnrolmentRequest>(body));
  if (in.format() != kFormat) return bad("format");
  TRY_VOID(check_owner(in));
  EnrolmentRequest out{.tenant = in.tenant(), .device = in.device()};
  TRY(out.algorithm, algorithm_of(in.algorithm()));
  out.public_key = bytes(in.public_key());
  out.certificate_request = bytes(in.certificate_request());
  for (const int c : in.classes()) {
    TRY(const StreamClass stream_class, class_of(c));
    if (std::find(out.classes.begin(), out.classes.end(), stream_class) != out.classes.end())
      return bad("classes");
    out.classes.push_back(stream_class);
  }
  if (out.classes.empty()) return bad("classes");
  out.created_at = Timestamp(in.created_at_ms());
  if (in.reason().size() > kDetailMax || !is_utf8(in.reason())) return bad("reason");
  out.reason = in.reason();
  return out;
}

Bytes encode(const StreamGrant& value) {
  v1::StreamGrant out;
  out.set_format(kFormat);
  out.set_tenant(value.tenant);
  out.set_device(value.device);
  out.set_stream_class(static_cast<v1::StreamClass>(value.stream_class));
  out.set_stream(value.stream.str());
  out.set_partition(value.partition);
  out.set_key_id(value.key.str());
  out.set_algorithm(static_cast<v1::KeyAlgorithm>(value.algorithm));
  out.set_epoch(value.epoch);
  if (value.predecessor) out.set_predecessor(value.predecessor->str());
  out.set_reason(value.reason);
  out.set_issued_at_ms(value.issued_at.unix_ms());
  return serialised(out);
}

Result<StreamGrant> decode_grant(ByteView body) {
  TRY(const auto in, parsed<v1::StreamGrant>(body));
  if (in.format() != kFormat) return bad("format");
  TRY_VOID(check_owner(in));
  StreamGrant out{.tenant = in.tenant(), .device = in.device()};
  TRY(out.stream_class, class_of(in.stream_class()));
  TRY(out.stream, StreamId::from(in.stream()));
  if (in.partition() > UINT8_MAX) return bad("partition");
  out.partition = static_cast<uint8_t>(in.partition());
  TRY(out.key, KeyId::from(in.key_id()));
  TRY(out.algorithm, algorithm_of(in.algorithm()));
  if (in.epoch() == 0) return bad("epoch");
  out.epoch = in.epoch();
  if (!in.predecessor().empty()) {
    TRY(out.predecessor, StreamId::from(in.predecessor()));
  }
  out.reason = in.reason();
  out.issued_at = Timestamp(in.issued_at_ms());
  return out;
}

Bytes encode(const Enrolment& value) {
  v1::Enrolment out;
  out.set_format(kFormat);
  out.set_tenant(value.tenant);
  out.set_device(value.device);
  out.set_certificate(str(value.certificate));
  out.set_certificate_authority(str(value.certificate_authority));
  out.set_collector_algorithm(static_cast<v1::KeyAlgorithm>(value.collector_algorithm));
  out.set_collector_public_key(str(value.collector_public_key));
  for (const Bytes& grant : value.grants)
    CHECK_INVARIANT(out.add_grants()->ParseFromString(str(grant)));
  return serialised(out);
}

Result<Enrolment> decode_enrolment(ByteView body) {
  TRY(const auto in, parsed<v1::Enrolment>(body));
  if (in.format() != kFormat) return bad("format");
  TRY_VOID(check_owner(in));
  Enrolment out{.tenant = in.tenant(),
                .device = in.device(),
                .certificate = bytes(in.certificate()),
                .certificate_authority = bytes(in.certificate_authority())};
  TRY(out.collector_algorithm, algorithm_of(in.collector_algorithm()));
  out.collector_public_key = bytes(in.collector_public_key());
  if (in.grants_size() == 0 || in.grants_size() > kGrantsMax) return bad("grants");
  for (const auto& grant : in.grants()) out.grants.push_back(serialised(grant));
  return out;
}

Bytes encode(const Receipt& value) {
  v1::Receipt out;
  out.set_stream(value.stream.str());
  out.set_number(value.number);
  out.set_linked_upto(value.linked_upto);
  out.set_chain_value(value.chain_value.str());
  for (const BatchNumber n : value.parked) out.add_parked(n);
  out.set_status(static_cast<v1::StreamStatus>(value.status));
  out.set_epoch(value.epoch);
  out.set_issued_at_ms(value.issued_at.unix_ms());
  return serialised(out);
}

Result<Receipt> decode_receipt(ByteView body) {
  TRY(const auto in, parsed<v1::Receipt>(body));
  Receipt out;
  TRY(out.stream, StreamId::from(in.stream()));
  TRY(out.chain_value, BatchId::from(in.chain_value()));
  out.number = in.number();
  out.linked_upto = in.linked_upto();
  out.parked.assign(in.parked().begin(), in.parked().end());
  if (out.parked.size() > Receipt::kParkedMax ||
      !std::is_sorted(out.parked.begin(), out.parked.end()))
    return bad("parked");
  if (in.status() < v1::OPEN || in.status() > v1::CLOSED) return bad("status");
  out.status = static_cast<StreamStatus>(in.status());
  out.epoch = in.epoch();
  out.issued_at = Timestamp(in.issued_at_ms());
  return out;
}

Bytes encode(const Tombstone& value, const MeterRows& meters) {
  Columns records;
  records.first_seq = value.last_seq + 1;
  records.records = value.records;
  const Bytes section = encode_section(records, meters);
  v1::Tombstone out;
  out.set_format(kFormat);
  out.set_stream(value.stream.str());
  out.set_first_batch(value.first_batch);
  out.set_last_batch(value.last_batch);
  out.set_first_seq(value.first_seq);
  out.set_last_seq(value.last_seq);
  out.set_previous_batch_id(value.previous.str());
  out.set_last_batch_id(value.last_id.str());
  write_totals(value.totals, out.mutable_totals());
  out.set_reason(value.reason);
  out.set_from_ms(value.from.unix_ms());
  out.set_created_at_ms(value.created_at.unix_ms());
  out.set_records(section.data(), section.size());
  return serialised(out);
}

Result<Tombstone> decode_tombstone(ByteView body, const MeterRows& meters) {
  TRY(const auto in, parsed<v1::Tombstone>(body));
  if (!understood(in)) {
    return fail(Error(Errc::reject, "a tombstone is of a format this version does not understand")
                    .with("format", std::to_string(in.format())));
  }
  Tombstone out;
  TRY(out.stream, StreamId::from(in.stream()));
  TRY(out.previous, BatchId::from(in.previous_batch_id()));
  TRY(out.last_id, BatchId::from(in.last_batch_id()));
  out.first_batch = in.first_batch();
  out.last_batch = in.last_batch();
  if (out.first_batch == 0 || out.last_batch < out.first_batch || out.last_batch == UINT64_MAX)
    return bad("last_batch");
  out.first_seq = in.first_seq();
  out.last_seq = in.last_seq();
  if (out.first_seq == 0 || out.last_seq < out.first_seq - 1 || out.last_seq == UINT64_MAX)
    return bad("last_seq");
  TRY(out.totals, read_totals(in.totals()));
  if (in.reason().size() > kDetailMax || !is_utf8(in.reason())) return bad("reason");
  out.reason = in.reason();
  out.from = Timestamp(in.from_ms());
  out.created_at = Timestamp(in.created_at_ms());
  TRY(auto section, decode_section(bytes_of(in.records()), out.last_seq + 1, meters));
  if (section.size() != 0) return bad("records");
  out.records = std::move(section.records);
  return out;
}

Digest tombstone_id(ByteView body) {
  return sha256({bytes_of("ledgerline/tombstone/v1\0"sv), body});
}

Bytes encode(const Heartbeat& value) {
  v1::Heartbeat out;
  out.set_stream(value.stream.str());
  out.set_number(value.number);
  out.set_next_seq(value.next_seq);
  out.set_head_batch(value.head_batch);
  out.set_head_id(value.head_id.str());
  write_totals(value.totals, out.mutable_totals());
  out.set_boot_id(value.boot_id.str());
  out.set_acked_upto(value.acked_upto);
  out.set_receipt_number(value.receipt_number);
  out.set_complete_through_ms(value.complete_through.unix_ms());
  out.set_free_bytes(value.free_bytes);
  out.set_sent_at_ms(value.sent_at.unix_ms());
  out.set_monotonic_ms(value.monotonic.ms);
  out.set_coarsening(value.coarsening);
  return serialised(out);
}

Result<Heartbeat> decode_heartbeat(ByteView body) {
  TRY(const auto in, parsed<v1::Heartbeat>(body));
  Heartbeat out;
  TRY(out.stream, StreamId::from(in.stream()));
  TRY(out.head_id, BatchId::from(in.head_id()));
  TRY(out.boot_id, BootId::from(in.boot_id()));
  TRY(out.totals, read_totals(in.totals()));
  if (in.number() == 0) return bad("number");
  if (in.next_seq() == 0) return bad("next_seq");
  out.number = in.number();
  out.next_seq = in.next_seq();
  out.head_batch = in.head_batch();
  out.acked_upto = in.acked_upto();
  out.receipt_number = in.receipt_number();
  out.complete_through = Timestamp(in.complete_through_ms());
  out.free_bytes = in.free_bytes();
  out.sent_at = Timestamp(in.sent_at_ms());
  out.monotonic = {in.monotonic_ms()};
  out.coarsening = in.coarsening();
  return out;
}

Bytes encode(const Resume& value) {
  v1::Resume out;
  out.set_stream(value.stream.str());
  out.set_nonce(value.nonce.str());
  out.set_head_batch(value.head_batch);
  out.set_head_id(value.head_id.str());
  out.set_acked_upto(value.acked_upto);
  out.set_receipt_number(value.receipt_number);
  if (!value.receipt.empty())
    CHECK_INVARIANT(out.mutable_receipt()->ParseFromString(str(value.receipt)));
  if (value.challenge) out.set_challenge(value.challenge->str());
  return serialised(out);
}

Result<Resume> decode_resume(ByteView body) {
  TRY(const auto in, parsed<v1::Resume>(body));
  Resume out;
  TRY(out.stream, StreamId::from(in.stream()));
  TRY(out.nonce, Nonce::from(in.nonce()));
  TRY(out.head_id, BatchId::from(in.head_id()));
  out.head_batch = in.head_batch();
  out.acked_upto = in.acked_upto();
  out.receipt_number = in.receipt_number();
  if (in.has_receipt()) out.receipt = serialised(in.receipt());
  TRY(out.challenge, challenge_of(in.challenge()));
  return out;
}

Bytes encode(const Introduction& value) {
  v1::Introduction out;
  out.set_format(kFormat);
  CHECK_INVARIANT(out.mutable_grant()->ParseFromString(str(value.grant)));
  out.set_algorithm(static_cast<v1::KeyAlgorithm>(value.algorithm));
  out.set_public_key(str(value.public_key));
  return serialised(out);
}

Result<Introduction> decode_introduction(ByteView body) {
  TRY(const auto in, parsed<v1::Introduction>(body));
  if (in.format() != kFormat) return bad("format");
  if (!in.has_grant()) return bad("grant");
  Introduction out{.grant = serialised(in.grant()), .public_key = bytes(in.public_key())};
  TRY(out.algorithm, algorithm_of(in.algorithm()));
  return out;
}

Bytes encode(const Answer& value) {
  v1::Answer out;
  out.set_stream(value.stream.str());
  out.set_nonce(value.nonce.str());
  out.set_verdict(static_cast<v1::Verdict>(value.verdict));
  if (!value.receipt.empty())
    CHECK_INVARIANT(out.mutable_receipt()->ParseFromString(str(value.receipt)));
  out.set_detail(value.detail);
  if (value.challenge) out.set_challenge(value.challenge->str());
  return serialised(out);
}

Result<Answer> decode_answer(ByteView body) {
  TRY(const auto in, parsed<v1::Answer>(body));
  Answer out;
  TRY(out.stream, StreamId::from(in.stream()));
  TRY(out.nonce, Nonce::from(in.nonce()));
  if (in.verdict() < v1::CONTINUE || in.verdict() > v1::KEY_REVOKED) return bad("verdict");
  out.verdict = static_cast<Verdict>(in.verdict());
  if (in.has_receipt()) out.receipt = serialised(in.receipt());
  if (in.detail().size() > kDetailMax) return bad("detail");
  out.detail = in.detail();
  TRY(out.challenge, challenge_of(in.challenge()));
  return out;
}

Bytes encode(const CheckpointRequest& value) {
  v1::CheckpointRequest out;
  out.set_stream(value.stream.str());
  out.set_nonce(value.nonce.str());
  out.set_known_size(value.known_size);
  out.set_known(value.known);
  return serialised(out);
}

Result<CheckpointRequest> decode_checkpoint_request(ByteView body) {
  TRY(const auto in, parsed<v1::CheckpointRequest>(body));
  CheckpointRequest out;
  TRY(out.stream, StreamId::from(in.stream()));
  TRY(out.nonce, Nonce::from(in.nonce()));
  if (in.known_size() > kMerkleSizeMax) return bad("known_size");
  out.known_size = in.known_size();
  if (in.known().size() > CheckpointNote::kSizeMax) return bad("known");
  out.known = in.known();
  return out;
}

Bytes encode(const CheckpointAnswer& value) {
  v1::CheckpointAnswer out;
  out.set_stream(value.stream.str());
  out.set_nonce(value.nonce.str());
  out.set_note(value.note);
  for (const Digest& hash : value.consistency) out.add_consistency(hash.str());
  return serialised(out);
}

Result<CheckpointAnswer> decode_checkpoint_answer(ByteView body) {
  TRY(const auto in, parsed<v1::CheckpointAnswer>(body));
  CheckpointAnswer out;
  TRY(out.stream, StreamId::from(in.stream()));
  TRY(out.nonce, Nonce::from(in.nonce()));
  if (in.note().size() > CheckpointNote::kSizeMax) return bad("note");
  out.note = in.note();
  if (static_cast<size_t>(in.consistency_size()) > kMerkleProofMax) return bad("consistency");
  for (const std::string& hash : in.consistency()) {
    TRY(const Digest digest, Digest::from(hash));
    out.consistency.push_back(digest);
  }
  return out;
}

Bytes encode_receipt_set(const std::vector<Bytes>& receipts) {
  v1::ReceiptSet out;
  for (const Bytes& receipt : receipts)
    CHECK_INVARIANT(out.add_receipts()->ParseFromString(str(receipt)));
  return serialised(out);
}

Result<std::vector<Bytes>> decode_receipt_set(ByteView set) {
  TRY(const auto in, parsed<v1::ReceiptSet>(set));
  if (static_cast<size_t>(in.receipts_size()) > kReceiptSetMax) return bad("receipts");
  std::vector<Bytes> out;
  for (const auto& receipt : in.receipts()) out.push_back(serialised(receipt));
  return out;
}

Result<Bytes> encode_sealed_close(const SealedClose& value) {
  v1::SealedClose out;
  bool whole = out.mutable_statement()->ParseFromString(str(value.statement));
  for (const Bytes& heartbeat : value.heartbeats)
    whole = whole && out.add_heartbeats()->ParseFromString(str(heartbeat));
  if (!whole) return bad("statement");
  return serialised(out);
}

Result<SealedClose> decode_sealed_close(ByteView sealed) {
  TRY(const auto in, parsed<v1::SealedClose>(sealed));
  if (!in.has_statement()) return bad("statement");
  SealedClose out{.statement = serialised(in.statement()), .heartbeats = {}};
  for (const auto& heartbeat : in.heartbeats()) out.heartbeats.push_back(serialised(heartbeat));
  return out;
}

Status check_name(std::string_view what, std::string_view name) {
  constexpr size_t kNameMax = 63;
  const auto letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  const bool ok = !name.empty() && name.size() <= kNameMax && letter_or_digit(name[0]) &&
                  std::all_of(name.begin(), name.end(), [&](char c) {
                    return letter_or_digit(c) || c == '-' || c == '.' || c == '_';
                  });
  if (ok) return {};
  return fail(Error(Errc::reject,
                    "the name of a " + std::string(what) +
                        " is 1 to 63 of a-z, 0-9, '-', '.', '_' and begins with a letter or digit")
                  .with(std::string(what), std::string(name.substr(0, 80))));
}

}  // namespace ledgerline
