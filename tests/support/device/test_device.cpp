#include "tests/support/device/test_device.h"

#include <algorithm>

#include "common/check.h"

namespace ledgerline::test {

std::unique_ptr<Signer> new_signer() {
  const auto pem = generate_private_key_pem(KeyAlgorithm::ed25519);
  CHECK_INVARIANT(pem.has_value());
  auto made = signer_from_pem(*pem);
  CHECK_INVARIANT(made.has_value());
  return std::move(*made);
}

TestDevice::TestDevice(std::string tenant, std::string device, StreamClass stream_class)
    : signer(new_signer()) {
  std::array<uint8_t, StreamId::kSize> stream{};
  random_bytes(stream);
  grant.partition = sha256({bytes_of(tenant), bytes_of("/"), bytes_of(device)}).view()[0];
  grant.stream_class = stream_class;
  grant.tenant = std::move(tenant);
  grant.device = std::move(device);
  grant.stream = StreamId(stream);
  grant.key = signer->public_key().id();
  grant.algorithm = signer->public_key().algorithm();
  grant.issued_at = Timestamp(1'770'000'000'000);
  grant_id = ledgerline::grant_id(encode(grant));
}

SealedBatch TestDevice::seal_batch(BatchNumber number, const BatchId& previous,
                                   int64_t value) const {
  const MeterRow meter{.number = 1, .name = "api.requests", .unit = "1"};
  ColumnsBuilder columns(number * 2 - 1);
  if (number == 1) {
    columns.add(BootRecord{.boot_id = {}, .software = "test", .configuration_hash = {}});
    columns.add(MeterTable{.number = 1, .rows = {meter}});
  }
  for (int i = 0; i < 2; ++i) {
    columns.add(
        Reading{.meter = 1, .subject = "aqua", .time_ms = 1'770'000'000'000, .value = value});
  }
  const SealOptions options{.stream = grant.stream,
                            .number = number,
                            .previous = previous,
                            .totals = {{1, Int128(static_cast<int64_t>(number) * 2 * value)}},
                            .meter_table = 1};
  std::array<uint8_t, 16> salt{};
  random_bytes(salt);
  auto sealed = seal(columns.columns(), {{1, meter}}, options, salt, *signer);
  CHECK_INVARIANT(sealed.has_value());
  return std::move(*sealed);
}

std::vector<SealedBatch> TestDevice::chain(size_t count, int64_t value) const {
  std::vector<SealedBatch> out;
  BatchId previous = grant_id;
  for (size_t i = 1; i <= count; ++i) {
    out.push_back(seal_batch(i, previous, value));
    previous = out.back().id;
  }
  return out;
}

Bytes TestDevice::tombstone(BatchNumber first, BatchNumber last, const BatchId& previous,
                            const BatchId& last_id) const {
  Tombstone tombstone{.stream = grant.stream,
                      .first_batch = first,
                      .last_batch = last,
                      .first_seq = first * 2 - 1,
                      .last_seq = last * 2,
                      .previous = previous,
                      .last_id = last_id,
                      .totals = {{1, Int128(static_cast<int64_t>(last) * 2)}},
                      .reason = "no room",
                      .from = Timestamp(1'770'000'000'000),
                      .created_at = Timestamp(1'770'000'060'000),
                      .records = {}};
  const MeterRow meter{.number = 1, .name = "api.requests", .unit = "1"};
  tombstone.records.push_back({last * 2 + 1, MeterTable{.number = 1, .rows = {meter}}});
  auto out = sign(payload_type::kTombstone, encode(tombstone, {}), *signer);
  CHECK_INVARIANT(out.has_value());
  return std::move(*out);
}

std::string TestDevice::topic(TopicLeaf leaf) const {
  return Topic{grant.tenant, grant.partition, grant.device, leaf}.text();
}

Bytes TestDevice::resume(const Resume& resume) const {
  auto out = sign(payload_type::kResume, encode(resume), *signer);
  CHECK_INVARIANT(out.has_value());
  return std::move(*out);
}

Bytes TestDevice::heartbeat(uint64_t number, Seq next_seq) const {
  Heartbeat beat;
  beat.stream = grant.stream;
  beat.number = number;
  beat.next_seq = next_seq;
  beat.head_id = grant_id;
  beat.complete_through = Timestamp(1'770'000'000'000 + static_cast<int64_t>(number));
  beat.sent_at = Timestamp(1'770'000'000'000 + static_cast<int64_t>(number));
  auto out = sign(payload_type::kHeartbeat, encode(beat), *signer);
  CHECK_INVARIANT(out.has_value());
  return std::move(*out);
}

namespace {
Bytes flipped(Bytes sealed, ByteView part) {
  const auto at = std::search(sealed.begin(), sealed.end(), part.begin(), part.end());
  CHECK_INVARIANT(at != sealed.end());
  at[static_cast<ptrdiff_t>(part.size() / 2)] ^= 1;
  return sealed;
}
}  // namespace

Bytes with_wrong_signature(const Bytes& sealed) {
  const auto open = open_envelope(sealed);
  CHECK_INVARIANT(open.has_value());
  return flipped(sealed, open->signature);
}

Bytes with_wrong_section(const Bytes& sealed) {
  const auto open = open_envelope(sealed);
  CHECK_INVARIANT(open.has_value());
  return flipped(sealed, open->sections.back().compressed);
}

}  // namespace ledgerline::test
