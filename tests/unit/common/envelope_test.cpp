#include "common/envelope.h"

#include <catch2/catch.hpp>

#include "common/compress.h"
#include "common/messages.h"

using namespace ledgerline;

namespace {

MeterTable table() {
  return {.number = 1,
          .rows = {{.number = 1, .name = "api.requests", .unit = "1", .kind = MeterKind::delta},
                   {.number = 2,
                    .name = "host.cpu.seconds",
                    .unit = "s",
                    .scale = 2,
                    .kind = MeterKind::register_},
                   {.number = 3,
                    .name = "job.done",
                    .unit = "1",
                    .kind = MeterKind::event,
                    .forward_ids = true}}};
}

Columns sample(Seq first_seq, size_t count) {
  ColumnsBuilder builder(first_seq);
  builder.add(BootRecord{.boot_id = {}, .software = "test 1", .configuration_hash = {}});
  builder.add(table());
  builder.add(
      ClockAnchor{.monotonic = {5}, .wall = Timestamp(1'800'000'000'000), .synchronised = true});
  builder.add(Coarsened{.readings = 2,
                        .measurements = 9,
                        .from = Timestamp(1'800'000'000'000),
                        .to = Timestamp(1'800'000'900'000),
                        .step = std::chrono::minutes(15)});
  for (size_t i = 0; i < count; ++i) {
    const auto n = static_cast<int64_t>(i);
    Reading reading{.meter = static_cast<uint32_t>(1 + i % 3),
                    .subject = i % 4 == 0 ? "" : "customer-" + std::to_string(i % 4),
                    .time_ms = 1'800'000'000'000 + n * 37 - (n % 5) * 1000,
                    .monotonic_time = i % 7 == 0,
                    .late = i % 11 == 0,
                    .value = n * n - 50};
    if (i % 2 == 0) reading.dimensions = {{"region", "eu"}, {"tier", std::to_string(i % 3)}};
    if (reading.meter == 2) reading.register_value = 1000 + n;
    if (reading.meter == 3) reading.id = "id-" + std::to_string(i);
    builder.add(reading);
  }
  return builder.take();
}

std::unique_ptr<Signer> key(KeyAlgorithm algorithm = KeyAlgorithm::ed25519) {
  return *signer_from_pem(*generate_private_key_pem(algorithm));
}

SealedBatch sealed(Signer& signer, const Columns& columns) {
  const Bytes salt(16, 7);
  const SealOptions options{
      .number = 3,
      .totals = {{1, Int128(-5)}, {2, Int128("170141183460469231731687303715884105727")}},
      .meter_table = 1};
  return *seal(columns, {}, options, salt, signer);
}

}  // namespace

TEST_CASE("readings survive their columns") {
  for (const size_t count : {0U, 1U, 2U, 100U, 4096U}) {
    const Columns before = sample(42, count);
    const auto after = decode_section(encode_section(before, {}), 42, {});
    REQUIRE(after);
    CHECK(*after == before);
  }
}

TEST_CASE("runs that are joined read as if they had been one") {
  Columns all = sample(1, 60);
  ColumnsBuilder joined(1);
  for (size_t from = 0; from < 60; from += 20) {
    ColumnsBuilder part(1 + from);
    if (from == 0) {
      for (const auto& record : all.records) part.add(record.kind);
    }
    for (size_t i = from; i < from + 20; ++i) part.add(all.reading(i));
    joined.append(part.columns());
  }
  REQUIRE(joined.size() == 60);
  for (size_t i = 0; i < 60; ++i) CHECK(joined.columns().reading(i) == all.reading(i));
  CHECK(joined.columns().records == all.records);
}

TEST_CASE("a batch opens to what was sealed") {
  const auto algorithm = GENERATE(KeyAlgorithm::ed25519, KeyAlgorithm::ecdsa_p256_sha256);
  const auto signer = key(algorithm);
  const Columns columns = sample(7, 500);
  const SealedBatch batch = sealed(*signer, columns);

  const auto open = open_envelope(batch.bytes);

  REQUIRE(open);
  CHECK(open->id == batch.id);
  CHECK(open->manifest.first_seq == 7);
  CHECK(open->manifest.last_seq == 506);
  CHECK(open->manifest.totals.size() == 2);
  CHECK(verify_envelope(*open, signer->public_key()));
  CHECK(*open_columns(*open, {}) == columns);
  CHECK_FALSE(verify_envelope(*open, key(algorithm)->public_key()));
}

TEST_CASE("a batch with any byte changed is refused, or opens to the very same statement") {
  const auto signer = key();
  const SealedBatch batch = sealed(*signer, sample(1, 5));
  for (const uint8_t mask : {uint8_t{0x01}, uint8_t{0x80}}) {
    for (size_t i = 0; i < batch.bytes.size(); ++i) {
      Bytes damaged = batch.bytes;
      damaged[i] ^= mask;
      const auto open = open_envelope(damaged);
      const bool accepted = open && verify_envelope(*open, signer->public_key());
      INFO(i);
      CHECK_FALSE(accepted);
    }
  }
}

TEST_CASE("a section that lies about its size is refused before memory is spent") {
  const Bytes bomb = compress(Bytes(64 << 20, 0));
  CHECK_FALSE(decompress(bomb, 1000));
  CHECK(decompress(bomb, 64 << 20));
  Bytes trailing = compress(bytes_of("abc"));
  trailing.push_back(0);
  CHECK_FALSE(decompress(trailing, 3));
  CHECK_FALSE(decompress(ByteView(trailing).first(5), 3));
}

TEST_CASE("statements of one type never pass for another") {
  const auto signer = key();
  const Resume resume{.nonce = {}, .head_batch = 4};
  const Bytes bytes = *sign(payload_type::kResume, encode(resume), *signer);
  CHECK(open_signed(bytes, payload_type::kResume));
  CHECK_FALSE(open_signed(bytes, payload_type::kHeartbeat));
  const auto opened = open_signed(bytes, payload_type::kResume);
  CHECK(verify(*opened, signer->public_key()));
  auto retyped = *opened;
  retyped.type = std::string(payload_type::kHeartbeat);
  CHECK_FALSE(verify(retyped, signer->public_key()));
}

TEST_CASE("the pre-authentication encoding is DSSE's") {
  // The example of the DSSE protocol document (secure-systems-lab/dsse, protocol.md).
  CHECK(text_of(pre_authentication_encoding("http://example.com/HelloWorld",
                                            bytes_of("hello world"))) ==
        "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

TEST_CASE("Ed25519 agrees with RFC 8032") {
  // RFC 8032 section 7.1, TEST 2.
  const Bytes prefix = *from_hex("302a300506032b6570032100");
  Bytes der = prefix;
  const Bytes point = *from_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  der.insert(der.end(), point.begin(), point.end());
  const auto public_key = PublicKey::from_der(KeyAlgorithm::ed25519, der);
  REQUIRE(public_key);
  const Bytes signature = *from_hex(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
      "1d8c387b2eaeb4302aeeb00d291612"
      "bb0c00");
  CHECK(public_key->verify(Bytes{0x72}, signature));
  CHECK_FALSE(public_key->verify(Bytes{0x73}, signature));
  CHECK_FALSE(PublicKey::from_der(KeyAlgorithm::ecdsa_p256_sha256, der));
}

TEST_CASE("names fit topics, certificates and files") {
  for (const char* good : {"a", "0", "host-1", "a.b_c", "demo"}) CHECK(check_name("device", good));
  for (const char* bad : {"", "-a", ".", "..", "A", "a/b", "a+b", "a b", "\xc3\xa9"})
    CHECK_FALSE(check_name("device", bad));
  CHECK_FALSE(check_name("device", std::string(64, 'a')));
}
