// Bytes that were signed once must open for ever. Each released format keeps its golden batch here.

#include <catch2/catch.hpp>

#include "common/envelope.h"
#include "common/messages.h"

using namespace ledgerline;

namespace {

constexpr const char* kPublicKey =
    "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";  // RFC 8032 TEST 1
constexpr const char* kPrivateKey =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";

Columns readings() {
  ColumnsBuilder builder(1);
  builder.add(MeterTable{
      .number = 1,
      .rows = {{.number = 1, .name = "api.requests", .unit = "1", .kind = MeterKind::delta},
               {.number = 2,
                .name = "host.cpu.seconds",
                .unit = "s",
                .scale = 2,
                .kind = MeterKind::register_}}});
  builder.add({.meter = 1,
               .subject = "aqua",
               .dimensions = {{"region", "eu"}},
               .time_ms = 1'800'000'000'000,
               .value = 7});
  builder.add({.meter = 2, .time_ms = 1'800'000'001'000, .value = 125, .register_value = 100125});
  return builder.take();
}

}  // namespace

TEST_CASE("the batch of format 1 is byte for byte the golden one") {
  const auto signer = *signer_from_pem(kPrivateKey);
  CHECK(to_hex(signer->public_key().der()) == kPublicKey);
  const SealOptions options{
      .stream = *StreamId::from(*from_hex("000102030405060708090a0b0c0d0e0f")),
      .number = 1,
      .previous = grant_id(bytes_of("grant")),
      .totals = {{1, Int128(7)}, {2, Int128(125)}},
      .meter_table = 1};
  const auto batch =
      seal(readings(), {}, options, *from_hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"), *signer);
  REQUIRE(batch);
  CHECK(batch->id.hex() == "7ee7f03acdb708976cb7461486b7edf66fee92a22212711bf5192a501102014a");
  const std::string golden =
      "0a7508011210000102030405060708090a0b0c0d0e0f18012001280232204844dbf260f36c2e63951b451063"
      "ccb882846d1f23922dde2eb2c1763cd654a33a270a2042dd3fb27d1c7f3952499632ff0b7516e51bb965e1e5"
      "dbf4f598b1117c41f94f108301187a420508011201074205080212017d4801122006e3fd8fda29bb60ab5955"
      "7de61edb0aecdb231134be30e75b455f8e1b792fa91a4044817e0318e06c4b1903b24a48d6ae3fa3c7a5573b"
      "e4fd9dd2a6def4bdaa7e8e86c13189f10ad17f2e991b59a8068d8899d5a0b3d409864f30ac2a7da8c6470d22"
      "98010a10f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff12830128b52ffd207ad103000801123e08011a3a08011217"
      "0801120c6170692e72657175657374731a013128023001121d08021210686f73742e6370752e7365636f6e64"
      "731a01732002280130011a0461717561220e0a0c0a06726567696f6e12026575320201023a02010042020100"
      "4a0880c0e285e368d00f52030efa015a03ba9c0c7002";
  CHECK(to_hex(batch->bytes) == golden);

  const auto open = open_envelope(*from_hex(golden));
  REQUIRE(open);
  CHECK(verify_envelope(*open, *PublicKey::from_der(KeyAlgorithm::ed25519, *from_hex(kPublicKey))));
  CHECK(*open_columns(*open, {}) == readings());
}

TEST_CASE("the batch of format 1 by subject is byte for byte the golden one") {
  const auto signer = *signer_from_pem(kPrivateKey);
  const SealOptions options{
      .stream = *StreamId::from(*from_hex("000102030405060708090a0b0c0d0e0f")),
      .number = 1,
      .previous = grant_id(bytes_of("grant")),
      .totals = {{1, Int128(19)}, {2, Int128(125)}},
      .meter_table = 1,
      .sections = Sections::by_subject};
  ColumnsBuilder builder(1);
  builder.append(readings());
  for (const char* subject : {"boot", "aqua"})
    builder.add({.meter = 1, .subject = subject, .time_ms = 1'800'000'002'000, .value = 6});
  Bytes salts(salt_size(Sections::by_subject));
  for (size_t i = 0; i < salts.size(); ++i) salts[i] = static_cast<uint8_t>(i);

  const auto batch = seal(builder.columns(), {}, options, salts, *signer);

  REQUIRE(batch);
  CHECK(batch->id.hex() == "764b6cf2bb16963cf0a351d294620e1e93db58803b54784794abde11fd0b496b");
  const std::string golden =
      "0afa0108011210000102030405060708090a0b0c0d0e0f18012001280432204844dbf260f36c2e63951b4510"
      "63ccb882846d1f23922dde2eb2c1763cd654a33a380a203e00d56b0651de5667931962a5e0d7a8fe9518a4d3"
      "12af40f4d256c20d2178ce1064185b2a1042221fdbe4a761a174bc46cd3b79ccd03a380a2027ca7d36fbaf99"
      "e1589df302b5419a338cbab7680c018f289375d4265c4180c3104118382a10d442e27fb6c1eaf7216ace9c9a"
      "306bd73a380a2054ef9e79750f3242d4b576d5c1983e32e91c36e6f7547150b26906e387412a1f1027181e2a"
      "10707b5147f86f1de6663bb2cd7c84e721420508011201134205080212017d4801122006e3fd8fda29bb60ab"
      "59557de61edb0aecdb231134be30e75b455f8e1b792fa91a40bda3c088d65a1a593ae54625654a3751395f1e"
      "35f2a80d8c057f8d85c93fbdea6f7fa179ce43306dc6fd2b965fcda96c7ab2b1de3373a9f3695e0ce3b62c7a"
      "0522780a10000102030405060708090a0b0c0d0e0f126428b52ffd205bd902000801123e08011a3a08011217"
      "0801120c6170692e72657175657374731a013128023001121d08021210686f73742e6370752e7365636f6e64"
      "731a01732002280130012a01023201024a06d0cfe285e3685202fa015a03ba9c0c700122550a101011121314"
      "15161718191a1b1c1d1e1f124128b52ffd2038c1010008011a0461717561220e0a0c0a06726567696f6e1202"
      "65752a020103320201013a020101420201004a0880c0e285e368a01f52020e0c7002223b0a10202122232425"
      "262728292a2b2c2d2e2f122728b52ffd201ef1000008011a04626f6f742a01033201013a01014a06a0dfe285"
      "e36852010c7001";
  CHECK(to_hex(batch->bytes) == golden);

  const auto open = open_envelope(*from_hex(golden));
  REQUIRE(open);
  CHECK(verify_envelope(*open, signer->public_key()));
  CHECK(*open_columns(*open, {}) == builder.columns());

  const auto shown = withhold_others(batch->bytes, {subject_tag(options.stream, "aqua")});
  REQUIRE(shown);
  CHECK(sha256(*shown).hex() == "73ff6726e2a93837a48547ec7cb15a69a2c444eb5ee9818e138f20f9777d8e66");
}
