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
