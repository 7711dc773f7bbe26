#include "collector/core/bundle.h"

#include <catch2/catch.hpp>
#include <map>

namespace ledgerline::collector {

namespace {

std::unique_ptr<Signer> new_signer() {
  return *signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519));
}

Bundle example() {
  Bundle out;
  out.question = {"bs-1", 1, 2};
  out.documents = {"{\"format\":1}"};
  out.checkpoint = "origin\n1\nroot\n";
  out.statements.push_back({LeafKind::close, {9, {Digest()}}, Bytes(40, 1)});
  out.statements.push_back({LeafKind::catalog_version, {3, {}}, Bytes(41, 2)});
  out.entries.push_back({Digest(), {0, {Digest()}}, {EntrySalt(), "{\"kind\":\"meter\"}"}});
  out.grants.push_back(Bytes(50, 3));
  const StreamId stream = *StreamId::from(Bytes(16, 0x11));
  out.batches.push_back({stream, 8, Timestamp(5), InclusionPath{4, {Digest()}}, Bytes(60, 4)});
  out.batches.push_back({stream, 7, Timestamp(4), std::nullopt, Bytes(61, 5)});
  out.heartbeats.push_back({stream, Bytes(30, 6)});
  return out;
}

}  // namespace

TEST_CASE("a bundle is read back in its one order", "[bundle]") {
  const auto signer = new_signer();
  const auto bytes = write_bundle(example(), Timestamp(1000), *signer);
  REQUIRE(bytes);
  const auto bundle = open_bundle(*bytes, {signer->public_key()});
  INFO((bundle ? "" : bundle.error().text()));
  REQUIRE(bundle);
  CHECK(bundle->question == example().question);
  CHECK(bundle->documents == example().documents);
  CHECK(bundle->statements[0].kind == LeafKind::catalog_version);
  CHECK(bundle->statements[1].path == example().statements[0].path);
  CHECK(bundle->entries[0].entry == example().entries[0].entry);
  CHECK(bundle->batches[0].number == 7);
  CHECK(bundle->batches[1].path == example().batches[0].path);
  CHECK(bundle->batches[1].sealed == Bytes(60, 4));
  CHECK(bundle->heartbeats[0].signed_bytes == Bytes(30, 6));
  CHECK(*write_bundle(*bundle, Timestamp(1000), *signer) == *bytes);
}

TEST_CASE("every byte of a bundle counts, and the part that was changed is named", "[bundle]") {
  const auto signer = new_signer();
  const Bytes bytes = *write_bundle(example(), Timestamp(1000), *signer);
  const std::vector<PublicKey> keys{signer->public_key()};
  std::map<std::string, size_t> named;
  for (const uint8_t mask : {uint8_t{0x01}, uint8_t{0x80}}) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      Bytes damaged = bytes;
      damaged[i] ^= mask;
      const auto result = open_bundle(damaged, keys);
      INFO("byte " << i);
      REQUIRE_FALSE(result);
      ++named[result.error().message()];
    }
  }
  for (const auto& [message, count] : named) INFO(message << ": " << count);
  CHECK(named["batch 7 of stream 11111111 of the bundle is damaged"] >= 61 * 2);
  CHECK(named["statement catalog-version at leaf 3 of the bundle is damaged"] >= 41 * 2);
  CHECK(named["the table of parts of the bundle is damaged"] > 2 * 70);
  CHECK(named["the seal of the bundle is damaged"] > 2 * 64);
}

TEST_CASE("a bundle that was cut, lengthened or sealed by somebody else is refused", "[bundle]") {
  const auto signer = new_signer();
  Bytes bytes = *write_bundle(example(), Timestamp(1000), *signer);
  const std::vector<PublicKey> keys{signer->public_key()};
  CHECK_FALSE(open_bundle(bytes, {new_signer()->public_key()}));
  for (size_t size = 0; size < bytes.size(); ++size)
    REQUIRE_FALSE(open_bundle(ByteView(bytes).first(size), keys));
  bytes.push_back(0);
  CHECK_FALSE(open_bundle(bytes, keys));
}

TEST_CASE("no part is sealed twice", "[bundle]") {
  const auto signer = new_signer();
  Bundle twice = example();
  twice.batches.push_back(twice.batches[0]);
  CHECK_FALSE(write_bundle(twice, Timestamp(1000), *signer));
}

}  // namespace ledgerline::collector
