// Operators: their keys made, registered, revoked and exported; who acts is the key's owner.

#include <sys/stat.h>

#include "collector/api/operator_key.h"
#include "collector/core/operators.h"
#include "office.h"

namespace ledgerline::collector {
namespace {

struct Registry : Office {
  Result<int> add(const std::string& name, const std::string& file) {
    options = {};
    options.name = name;
    options.out = file;
    return add_operator(config, options, clock, out);
  }
  Result<int> add_public(const std::string& name, const std::string& pem) {
    options = {};
    options.name = name;
    options.public_key = path("public.pem");
    REQUIRE(io::write_file_durably(options.public_key, pem));
    return add_operator(config, options, clock, out);
  }
  Result<int> revoke(const std::string& name) {
    options = {};
    options.name = name;
    options.reason = "left";
    return revoke_operator(config, options, clock, out);
  }
  Result<ActingOperator> acting(const std::string& file) {
    return acting_operator(config, *open_store(config).value(), file, clock.now());
  }
  std::string path(const std::string& name) const { return folder() + "/" + name; }
};

}  // namespace

TEST_CASE("an operator's key is made once, readable by its owner only") {
  Registry registry;
  const std::string file = registry.path("ann.key");

  REQUIRE(registry.add("ann", file));

  struct stat info {};
  REQUIRE(::stat(file.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777U) == 0600U);
  const auto ann = registry.acting(file);
  REQUIRE(ann);
  CHECK(ann->name == "ann");

  const std::string before = text_of(file);
  CHECK(registry.add("bob", file).error().code() == Errc::conflict);
  CHECK(text_of(file) == before);
}

TEST_CASE("nobody signs before the registration of the key: it would not count") {
  Registry registry;
  REQUIRE(registry.add("ann", registry.path("ann.key")));
  const auto early = acting_operator(registry.config, *open_store(registry.config).value(),
                                     registry.path("ann.key"), registry.clock.now() - Duration(1));
  REQUIRE_FALSE(early);
  CHECK(early.error().code() == Errc::retry);
  CHECK_THAT(early.error().text(), Catch::Contains("clock"));
}

TEST_CASE("a key that the store refuses is not left lying about") {
  Registry registry;
  REQUIRE(registry.add("ann", registry.path("1")));
  CHECK(registry.add("ann", registry.path("2")).error().code() == Errc::conflict);
  CHECK_FALSE(fs::exists(registry.path("2")));
}

TEST_CASE("names that mean nobody, or no file, are no operator's") {
  Registry registry;
  for (const char* name : {"collector", "auto", "Ann Other", ""}) {
    const auto refused = registry.add(name, registry.path("key"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::reject);
    CHECK_FALSE(fs::exists(registry.path("key")));
  }
}

TEST_CASE("who acts is found by the key alone, and what is wrong says what to do") {
  Registry registry;
  REQUIRE(registry.add("ann", registry.path("ann.key")));
  const auto refused = [&](const std::string& file) {
    const auto result = registry.acting(file);
    REQUIRE_FALSE(result);
    return result.error();
  };

  CHECK(refused("").code() == Errc::config);
  CHECK_THAT(refused("").text(), Catch::Contains("LEDGERLINE_OPERATOR_KEY"));
  CHECK(refused(registry.path("none")).code() == Errc::not_found);
  CHECK_THAT(refused(registry.path("none")).text(), Catch::Contains("operator add"));

  const std::string stranger = registry.path("stranger.key");
  const std::string pem = *generate_private_key_pem(KeyAlgorithm::ed25519);
  REQUIRE(io::write_file_durably(stranger, pem, 0600));
  CHECK(refused(stranger).code() == Errc::reject);
  CHECK_THAT(refused(stranger).text(), Catch::Contains("--public-key"));
  REQUIRE(::chmod(stranger.c_str(), 0640) == 0);
  CHECK_THAT(refused(stranger).text(), Catch::Contains("chmod 600"));

  REQUIRE(io::write_file_durably(stranger, "no key", 0600));
  CHECK_THAT(refused(stranger).text(), Catch::Contains("stranger.key"));

  REQUIRE(registry.revoke("ann"));
  CHECK_THAT(refused(registry.path("ann.key")).text(), Catch::Contains("was revoked"));
}

TEST_CASE("a key made elsewhere is registered by its public half") {
  for (const auto algorithm : {KeyAlgorithm::ed25519, KeyAlgorithm::ecdsa_p256_sha256}) {
    Registry registry;
    const std::string pem = *generate_private_key_pem(algorithm);
    const auto signer = *signer_from_pem(pem);
    REQUIRE(io::write_file_durably(registry.path("own.key"), pem, 0600));
    REQUIRE(registry.add_public("ann", public_key_pem(signer->public_key().der())));
    CHECK(registry.acting(registry.path("own.key"))->name == "ann");
    CHECK(registry.add_public("bob", public_key_pem(signer->public_key().der())).error().code() ==
          Errc::conflict);
    CHECK(registry.add_public("bob", pem).error().code() == Errc::config);
  }
}

TEST_CASE("the log says whose key was good when, signed by the collector") {
  Registry registry;
  REQUIRE(registry.add("ann", registry.path("1")));
  REQUIRE(registry.revoke("ann"));
  CHECK(registry.revoke("ann").error().code() == Errc::not_found);
  REQUIRE(registry.add("ann", registry.path("2")));

  const auto signer = load_or_make_signer(registry.config).value();
  const auto entries = open_store(registry.config).value()->statements(LeafKind::operator_key);
  REQUIRE(entries->size() == 3);
  std::vector<bool> revoked;
  for (const LogEntry& entry : *entries) {
    const auto open = open_statement(LeafKind::operator_key, entry.sealed);
    REQUIRE(open);
    CHECK(open->id == entry.data);
    CHECK(verify(open->message, signer->public_key()));
    const auto statement = OperatorStatement::parse(open->json);
    REQUIRE(statement);
    CHECK(statement->name == "ann");
    revoked.push_back(statement->revoked);
  }
  CHECK(revoked == std::vector<bool>{false, true, false});
}

TEST_CASE("operators are listed, revoked ones too") {
  Registry registry;
  REQUIRE(registry.add("ann", registry.path("1")));
  REQUIRE(registry.revoke("ann"));
  REQUIRE(registry.add("bob", registry.path("2")));
  registry.out.str("");
  registry.options = {};
  REQUIRE(list_operators(registry.config, registry.options, registry.out));
  CHECK_THAT(registry.out.str(), Catch::Contains("ann") && Catch::Contains("bob"));

  registry.out.str("");
  registry.options.json = true;
  REQUIRE(list_operators(registry.config, registry.options, registry.out));
  const auto json = parse_json(registry.out.str());
  REQUIRE(json->items().size() == 2);
  CHECK(json->items()[0].find("revoked_at")->text() == "2027-01-15T08:00:00.000Z");
  CHECK(json->items()[1].find("revoked_at")->is(Json::Kind::null));
}

TEST_CASE("every public key is exported, the one in force under the plain name") {
  Registry registry;
  registry.make_authority();
  registry.options.file = registry.request_file("gw-1");
  REQUIRE(enroll(registry.config, registry.options, registry.clock, registry.out));
  REQUIRE(registry.add("ann", registry.path("1")));
  const KeyId old_key = registry.acting(registry.path("1"))->signer->public_key().id();
  REQUIRE(registry.revoke("ann"));
  REQUIRE(registry.add("ann", registry.path("2")));
  const KeyId new_key = registry.acting(registry.path("2"))->signer->public_key().id();

  registry.options = {};
  registry.options.out = registry.path("keys");
  REQUIRE(export_keys(registry.config, registry.options, registry.out));

  const auto id_in = [&](const std::string& file) {
    return public_key_from_pem(text_of(registry.path("keys/" + file)))->id();
  };
  CHECK(id_in("collector.pem") == load_or_make_signer(registry.config).value()->public_key().id());
  CHECK(id_in("operators/ann.pem") == new_key);
  CHECK(id_in("operators/ann." + old_key.hex().substr(0, 8) + ".pem") == old_key);
  CHECK(id_in("devices/demo.gw-1.pem") == registry.device_key->public_key().id());
}

}  // namespace ledgerline::collector
