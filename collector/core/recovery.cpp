#include "collector/core/recovery.h"

#include <algorithm>
#include <map>

#include "collector/core/exceptions.h"

namespace ledgerline::collector {

namespace {

namespace kind = exception_kind;

ExceptionRow about_stream(std::string_view kind, const StreamGrant& grant, Timestamp now) {
  ExceptionRow out = new_exception(kind, {grant.stream.hex()}, grant.tenant, now);
  out.device = grant.device;
  return out;
}

ExceptionUpsert cleared(std::string_view kind, const StreamGrant& grant, std::string how,
                        Timestamp now) {
  ExceptionRow row = about_stream(kind, grant, now);
  row.detail = std::move(how);
  return {UpsertMode::clear, std::move(row)};
}

std::string batches(BatchNumber first, BatchNumber last) {
  if (first == last) return "batch " + std::to_string(first);
  return "batches " + std::to_string(first) + " to " + std::to_string(last);
}

std::string name_of(const StreamGrant& grant) {
  return std::string(to_string(grant.stream_class)) + " stream " + grant.stream.hex();
}

BatchNumber held_upto(const StreamRow& row) {
  return row.parked.empty() ? row.head_number : std::max(row.head_number, row.parked.back());
}

}  // namespace

std::optional<Receipt> shown_receipt(const Resume& resume, const PublicKey& collector) {
  if (resume.receipt.empty()) return std::nullopt;
  const auto message = open_signed(resume.receipt, payload_type::kReceipt);
  if (!message || !verify(*message, collector)) return std::nullopt;
  auto receipt = decode_receipt(message->body);
  if (!receipt || receipt->stream != resume.stream) return std::nullopt;
  return std::move(*receipt);
}

// ---- Of this store
// ------------------------------------------------------------------------------

ExceptionUpsert recovery_opened(const StreamRow& row, const Receipt& shown, Timestamp now) {
  ExceptionRow out = about_stream(kind::kRecovery, row.grant, now);
  out.count = shown.linked_upto - row.head_number;
  out.detail = "this collector lost " + batches(row.head_number + 1, shown.linked_upto) + " of " +
               name_of(row.grant) + ": the device shows receipt " + std::to_string(shown.number) +
               " of " + to_rfc3339(shown.issued_at) +
               " for them. They are asked for again; until they are here, no period that needs the "
               "device closes";
  return {UpsertMode::replace, std::move(out)};
}

ExceptionUpsert recovery_ended(const StreamRow& row, const std::string& how, Timestamp now) {
  return cleared(kind::kRecovery, row.grant, how, now);
}

// ---- Of the device
// ------------------------------------------------------------------------------

ExceptionUpsert rollback_opened(const StreamRow& row, const Resume& resume, Timestamp now) {
  ExceptionRow out = about_stream(kind::kRollback, row.grant, now);
  const BatchNumber held = held_upto(row);
  out.count = held > resume.head_batch ? held - resume.head_batch : 1;
  out.detail = held > resume.head_batch
                   ? "the device shows " + name_of(row.grant) + " up to batch " +
                         std::to_string(resume.head_batch) + " and receipt " +
                         std::to_string(resume.receipt_number) + ", the collector holds " +
                         batches(resume.head_batch + 1, held) + " beyond that and receipt " +
                         std::to_string(row.receipt_number)
                   : "the device shows another batch " + std::to_string(resume.head_batch) +
                         " of " + name_of(row.grant) + " than the collector holds";
  out.detail +=
      ". What the collector holds is kept and billed. The device may not go on with this stream: "
      "what it still had unsent when its image was made is there, what it recorded between the "
      "image and now and never sent is gone with it";
  return {UpsertMode::replace, std::move(out)};
}

ExceptionUpsert rollback_ended(const StreamRow& row, Timestamp now) {
  return cleared(kind::kRollback, row.grant, "the device has gone on with the stream", now);
}

ExceptionUpsert fork_opened(const StreamRow& row, const ForkFacts& fork, Timestamp now) {
  ExceptionRow out = about_stream(kind::kFork, row.grant, now);
  out.count = 1;
  out.detail = "two journals wrote " + name_of(row.grant) + ": batch " +
               std::to_string(fork.number) +
               " came with other contents than its place in the chain allows; both agree up to "
               "batch " +
               std::to_string(fork.agree_upto) + " at most, linked up to " +
               std::to_string(fork.linked_upto) + "; ";
  out.detail +=
      std::to_string(fork.boots.size()) + " starts of the agent are known to have written it";
  const char* before = " (boot ids ";
  for (const BootId& boot : fork.boots) {
    out.detail += before + boot.hex().substr(0, 8);
    before = ", ";
  }
  if (!fork.boots.empty()) out.detail += ")";
  out.detail +=
      "; nothing links any more, and the device's other streams are frozen with it. Both branches "
      "are kept; what is linked is billed, the other branch is not";
  return {UpsertMode::add, std::move(out)};
}

// ---- Introductions
// ------------------------------------------------------------------------------

Result<Introduced> open_introduction(ByteView signed_message, const Topic& topic,
                                     const PublicKey& collector) {
  TRY(const auto message, open_signed(signed_message, payload_type::kIntroduction));
  TRY(const Introduction introduction, decode_introduction(message.body));
  TRY(const PublicKey key, PublicKey::from_der(introduction.algorithm, introduction.public_key));
  TRY_VOID(verify(message, key));
  TRY(const auto grant_message, open_signed(introduction.grant, payload_type::kGrant));
  TRY_VOID(verify(grant_message, collector));
  TRY(StreamGrant grant, decode_grant(grant_message.body));
  if (grant.key != key.id() || grant.algorithm != introduction.algorithm)
    return fail(Errc::reject, "the grant is for another key");
  if (grant.tenant != topic.tenant || grant.device != topic.device ||
      grant.partition != topic.partition) {
    return fail(Errc::reject, "the grant is for another topic");
  }
  DeviceKey row{.algorithm = introduction.algorithm,
                .id = key.id(),
                .public_key = introduction.public_key,
                .added_at = grant.issued_at,
                .revoked_at = std::nullopt,
                .revoke_reason = {}};
  return Introduced{.grant = std::move(grant),
                    .signed_grant = introduction.grant,
                    .grant_id = grant_id(grant_message.body),
                    .key = std::move(row)};
}

const StreamRow* successor_of(const StreamGrant& grant, const std::vector<StreamRow>& streams) {
  for (const StreamRow& row : streams) {
    if (row.grant.stream_class == grant.stream_class && row.grant.issued_at > grant.issued_at)
      return &row;
  }
  return nullptr;
}

std::vector<const StreamRow*> replaced_by(const StreamGrant& grant,
                                          const std::vector<StreamRow>& streams) {
  std::vector<const StreamRow*> out;
  for (const StreamRow& row : streams) {
    if (row.grant.stream_class == grant.stream_class && row.status != StreamStatus::closed &&
        row.grant.issued_at < grant.issued_at)
      out.push_back(&row);
  }
  return out;
}

ExceptionUpsert unknown_stream(const StreamGrant& grant, const std::string& why, Timestamp now) {
  ExceptionRow out = about_stream(kind::kUnknownStream, grant, now);
  out.count = 1;
  out.detail = "device " + grant.tenant + "/" + grant.device +
               " shows a grant that this collector signed at " + to_rfc3339(grant.issued_at) +
               " for " + name_of(grant) + ", which is not in this store: " + why +
               ". Nothing of it is lost: the device keeps its readings and asks again";
  return {UpsertMode::add, std::move(out)};
}

ExceptionUpsert unknown_stream_ended(const StreamGrant& grant, Timestamp now) {
  return cleared(kind::kUnknownStream, grant, "the device was let in by its grant", now);
}

ExceptionUpsert let_in(const Introduced& introduced, Timestamp now) {
  ExceptionRow out = about_stream(kind::kIntroduced, introduced.grant, now);
  out.count = 1;
  out.detail = "let in by its grant of " + to_rfc3339(introduced.grant.issued_at) + ": " +
               name_of(introduced.grant) + ", key " + introduced.key.id.hex() +
               ". Whether that key was revoked since is not known here any more";
  return {UpsertMode::add, std::move(out)};
}

// ---- A stream's end
// -----------------------------------------------------------------------------

namespace {

std::string meter_name(uint32_t number, const MeterRows& meters) {
  const auto found = meters.find(number);
  return found == meters.end() ? "meter number " + std::to_string(number) : found->second.name;
}

Decimal quantity(const Int128& sum, uint32_t number, const MeterRows& meters) {
  const auto found = meters.find(number);
  return {sum, found == meters.end() ? 0 : static_cast<int>(found->second.scale)};
}

std::string unit_of(uint32_t number, const MeterRows& meters) {
  const auto found = meters.find(number);
  return found == meters.end() ? std::string() : found->second.unit;
}

bool is_gauge(uint32_t number, const MeterRows& meters) {
  const auto found = meters.find(number);
  return found != meters.end() && found->second.kind == MeterKind::gauge;
}

/// "api.requests 12 1, power.energy 3.5 kWh"; a sum of levels means nothing.
std::string totals_text(const Totals& totals, const MeterRows& meters) {
  std::string out;
  for (const auto& [number, sum] : totals) {
    if (is_gauge(number, meters)) continue;
    out += (out.empty() ? "" : ", ") + meter_name(number, meters) + " " +
           quantity(sum, number, meters).text() + " " + unit_of(number, meters);
  }
  return out.empty() ? "none" : out;
}

}  // namespace

std::vector<ExceptionUpsert> stream_replaced(const StreamRow& row, const StreamEnd& end,
                                             const StreamId& successor, const std::string& why,
                                             Timestamp now) {
  const Heartbeat& beat = row.heartbeats.newest;
  const bool heard = beat.number != 0;
  const Seq lost = heard && beat.next_seq > end.next_seq ? beat.next_seq - end.next_seq : 0;
  ExceptionRow whole = about_stream(kind::kStreamReplaced, row.grant, now);
  whole.count = lost;
  whole.detail = name_of(row.grant) + " ended at batch " + std::to_string(row.head_number) +
                 ", seq " + std::to_string(end.next_seq - 1) + "; stream " + successor.hex() +
                 " took its place (" + why +
                 "). Totals at its end: " + totals_text(end.totals, end.meters);
  if (heard) {
    whole.detail +=
        ". Its last heartbeat, received " + to_rfc3339(row.heartbeats.newest_received_at) +
        ", said: " + totals_text(beat.totals, end.meters) + "; " + std::to_string(lost) +
        " readings recorded by then never came. What was recorded after it is not known";
  } else {
    whole.detail += ". It never sent a heartbeat, so what it recorded beyond that is not known";
  }
  std::vector<ExceptionUpsert> out{{UpsertMode::replace, whole}};
  std::map<uint32_t, Int128> tails;
  for (const auto& [number, sum] : beat.totals) tails[number] = sum;
  for (const auto& [number, sum] : end.totals) {
    if (lost == 0 || !tails.contains(number)) continue;
    tails[number] = checked_add(tails[number], -sum).value_or(Int128(0));
  }
  for (const auto& [number, tail] : tails) {
    if (lost == 0 || tail == 0 || is_gauge(number, end.meters)) continue;
    ExceptionRow part = new_exception(
        kind::kStreamReplaced, {row.grant.stream.hex(), "meter", meter_name(number, end.meters)},
        row.grant.tenant, now);
    part.device = row.grant.device;
    part.meter = meter_name(number, end.meters);
    part.count = lost;
    part.value = quantity(tail, number, end.meters);
    part.unit = unit_of(number, end.meters);
    part.detail = "recorded on stream " + row.grant.stream.hex() +
                  " and never received before the stream was replaced: " + part.value.text() + " " +
                  part.unit + " of " + part.meter + ", in usage of no period";
    out.push_back({UpsertMode::replace, std::move(part)});
  }
  return out;
}

}  // namespace ledgerline::collector
