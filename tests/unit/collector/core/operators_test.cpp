#include "collector/core/operators.h"

#include <catch2/catch.hpp>

namespace ledgerline::collector {

namespace {

std::unique_ptr<Signer> new_signer(KeyAlgorithm algorithm) {
  return *signer_from_pem(*generate_private_key_pem(algorithm));
}

OperatorRow row(const std::string& name, const Signer& signer, int64_t added,
                std::optional<int64_t> revoked = {}) {
  OperatorRow out = new_operator(name, signer.public_key(), Timestamp(added));
  if (revoked) out.revoked_at = Timestamp(*revoked);
  return out;
}

}  // namespace

TEST_CASE("an operator statement is read back as it was written", "[statement]") {
  for (const auto algorithm : {KeyAlgorithm::ed25519, KeyAlgorithm::ecdsa_p256_sha256}) {
    const auto signer = new_signer(algorithm);
    OperatorRow ann = row("ann", *signer, 1'700'000'000'000);
    const OperatorStatement added = statement_of(ann, "");
    ann.revoked_at = Timestamp(1'700'000'001'000);
    const OperatorStatement revoked = statement_of(ann, "left \"us\"");
    CHECK((added.at == ann.added_at && !added.revoked && added.by == kByCollector));
    CHECK((revoked.at == ann.revoked_at && revoked.revoked));
    for (const OperatorStatement& one : {added, revoked}) {
      const auto again = OperatorStatement::parse(one.json());
      REQUIRE(again);
      CHECK(again->json() == one.json());
      CHECK(again->public_key == signer->public_key().der());
      CHECK(again->algorithm == algorithm);
    }
  }
}

TEST_CASE("an operator statement that is not one is refused", "[statement]") {
  const auto signer = new_signer(KeyAlgorithm::ed25519);
  const std::string json = statement_of(row("ann", *signer, 1), "new").json();
  const auto refused = [&](const std::string& from, const std::string& to) {
    std::string damaged = json;
    damaged.replace(damaged.find(from), from.size(), to);
    const auto result = OperatorStatement::parse(damaged);
    REQUIRE_FALSE(result);
    return result.error().text();
  };
  CHECK_THAT(refused("ed25519", "rsa"), Catch::Contains("rsa"));
  CHECK_THAT(refused("\"302a", "\"302A"), Catch::Contains("canonical"));
  CHECK_THAT(refused("\"302a", "\"30zz"), Catch::Contains("public_key"));
  CHECK_THAT(refused("false", "0"), Catch::Contains("revoked"));
}

TEST_CASE("a signature counts from the key's registration until it is revoked", "[statement]") {
  const auto signer = new_signer(KeyAlgorithm::ed25519);
  const OperatorRow ann = row("ann", *signer, 100, 200);
  CHECK_FALSE(in_force_at(ann, Timestamp(99)));
  CHECK(in_force_at(ann, Timestamp(100)));
  CHECK(in_force_at(ann, Timestamp(199)));
  CHECK_FALSE(in_force_at(ann, Timestamp(200)));
  CHECK(in_force_at(row("ann", *signer, 100), Timestamp(200)));
}

TEST_CASE("of the rows of a key the one in force is found", "[statement]") {
  const auto key = new_signer(KeyAlgorithm::ed25519);
  const auto other = new_signer(KeyAlgorithm::ed25519);
  const std::vector<OperatorRow> rows = {row("ann", *key, 1, 2), row("bob", *key, 3),
                                         row("cem", *other, 1, 2)};
  CHECK(find_operator(rows, key->public_key().id())->name == "bob");
  CHECK(find_operator(rows, other->public_key().id())->name == "cem");
  CHECK(find_operator(rows, new_signer(KeyAlgorithm::ed25519)->public_key().id()) == nullptr);
}

TEST_CASE("a public key in PEM is one of the two kinds", "[statement]") {
  for (const auto algorithm : {KeyAlgorithm::ed25519, KeyAlgorithm::ecdsa_p256_sha256}) {
    const auto signer = new_signer(algorithm);
    const auto key = public_key_from_pem(public_key_pem(signer->public_key().der()));
    REQUIRE(key);
    CHECK(key->id() == signer->public_key().id());
    CHECK(key->algorithm() == algorithm);
  }
  CHECK(public_key_from_pem("nothing").error().code() == Errc::config);
  CHECK(public_key_from_pem(public_key_pem(Bytes(44, 1))).error().code() == Errc::config);
  CHECK_FALSE(public_key_from_pem(*generate_private_key_pem(KeyAlgorithm::ed25519)));
}

}  // namespace ledgerline::collector
