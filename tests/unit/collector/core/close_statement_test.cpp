#include "collector/core/close_statement.h"

#include <catch2/catch.hpp>

namespace ledgerline::collector {

namespace {

CloseStatement example() {
  CloseStatement out;
  out.tenant = "demo";
  out.contract = "aqua";
  out.period = {Timestamp(1'700'000'000'000), Timestamp(1'700'000'060'000)};
  out.revision = 2;
  out.log_leaves = 17;
  out.catalog = sha256(bytes_of(std::string_view("catalog")));
  out.zone_database = "2025b";
  out.streams.push_back({.stream = *StreamId::from(Bytes(16, 0xab)),
                         .device = "gw-1",
                         .batch = 4,
                         .batch_id = *BatchId::from(Bytes(32, 0xcd)),
                         .next_seq = 101,
                         .complete_through = Timestamp(1'700'000'060'000)});
  out.streams.push_back({.stream = {}, .device = "gw-2", .complete_through = std::nullopt});
  out.gaps.push_back(sha256(bytes_of(std::string_view("gap"))));
  out.lines.push_back(
      {"api", "requests", "1", *Decimal::parse("1250.50"), 100, *Decimal::parse("12.5")});
  out.document = {"bs-1", 1, sha256(bytes_of(std::string_view("body")))};
  out.by = "collector";
  out.at = Timestamp(1'700'000'061'000);
  return out;
}

}  // namespace

TEST_CASE("a close statement is read back as it was written", "[statement]") {
  const std::string json = example().json();
  CHECK(json.find("\"quantity\":\"1250.5\",\"readings\":100,\"amount\":\"12.5\"") !=
        std::string::npos);
  const auto again = CloseStatement::parse(json);
  REQUIRE(again);
  CHECK(again->json() == json);
  CHECK(again->streams == example().streams);
  CHECK(again->document == example().document);
  CHECK_FALSE(again->mapping);
}

TEST_CASE("a statement has one encoding, and says which member is wrong", "[statement]") {
  const std::string json = example().json();
  const auto refused = [&](const std::string& from, const std::string& to) {
    std::string damaged = json;
    damaged.replace(damaged.find(from), from.size(), to);
    const auto result = CloseStatement::parse(damaged);
    REQUIRE_FALSE(result);
    return result.error().text();
  };
  CHECK(refused("\"1250.5\"", "\"1250.50\"").find("canonical") != std::string::npos);
  CHECK(refused("\"format\":1", "\"format\":2").find("format") != std::string::npos);
  CHECK(refused("{\"format\"", "{ \"format\"").find("canonical") != std::string::npos);
  CHECK(refused("\"tenant\":\"demo\",", "").find("tenant") != std::string::npos);
  CHECK(refused("\"by\":", "\"b\":").find("by") != std::string::npos);
  CHECK(refused("\"revision\":2", "\"revision\":-2").find("revision") != std::string::npos);
  CHECK(refused("\"gw-1\",\"batch\":4", "\"gw-1\",\"batch\":\"4\"").find("batch") !=
        std::string::npos);
  CHECK(refused("\"at\":\"2023", "\"more\":1,\"at\":\"2023").find("at") != std::string::npos);
}

TEST_CASE("a signed statement passes for no other kind and no other key", "[statement]") {
  const auto signer = *signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519));
  const auto other = *signer_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519));
  const auto made = sign_statement(LeafKind::close, example().json(), *signer);
  REQUIRE(made);
  const auto open = open_statement(LeafKind::close, made->bytes);
  REQUIRE(open);
  CHECK(open->id == made->id);
  CHECK(open->json == example().json());
  CHECK(verify(open->message, signer->public_key()));
  CHECK_FALSE(verify(open->message, other->public_key()));
  CHECK_FALSE(open_statement(LeafKind::approval, made->bytes));
  CHECK(statement_id(LeafKind::approval, open->message.body) != made->id);
}

}  // namespace ledgerline::collector
