// replay as an operator sees it.
#include "collector/store/memory_store.h"
#include "common/exit_code.h"
#include "common/json.h"
#include "tests/unit/collector/api/office.h"

namespace ledgerline::collector {
namespace {

using Catch::Contains;
using Catch::EndsWith;

struct Answer {
  int code = 0;
  std::string text;
};

Answer replayed(const CollectorConfig& config, const CommandLine& options) {
  std::ostringstream out;
  const auto code = replay(config, options, out);
  INFO((code ? "" : code.error().text()));
  REQUIRE(code);
  return {*code, out.str()};
}

TEST_CASE("replay prints both hashes and that they are equal") {
  Office office;
  office.operator_key("ann");

  const Answer answer = replayed(office.config, {});

  CHECK(answer.code == kExitOk);
  CHECK_THAT(answer.text, Contains("leaves 1 of 1, batches 0, readings 0, bookings 0\n"));
  CHECK_THAT(answer.text,
             Contains("\nledger hash there e3b0c442") && Contains("\nledger hash here  e3b0c442"));
  CHECK_THAT(answer.text, EndsWith("\nEQUAL\n"));
  const Json json = parse_json(replayed(office.config, {.json = true}).text).value();
  CHECK(json.find("equal")->dump() == "true");
}

TEST_CASE("replay ends with 1 and what differs") {
  Office office;
  office.operator_key("ann");
  const auto source = open_store(office.config).value();
  const auto stranger =
      signer_from_pem(generate_private_key_pem(KeyAlgorithm::ed25519).value()).value();
  std::ostringstream out;

  const auto code = replay(*source, *make_memory_store(), stranger->public_key(), {}, out);

  REQUIRE(code);
  CHECK(*code == 1);
  CHECK_THAT(out.str(), Contains("leaf 0, operator 1: it says that it is the collector's") &&
                            Contains("the replay ended there"));
  CHECK_THAT(out.str(), EndsWith("\nNOT EQUAL\n"));
}

TEST_CASE("replay writes into a new or empty folder only") {
  Office office;
  office.operator_key("ann");
  CommandLine options;
  options.into = office.folder() + "/again";
  CHECK(replayed(office.config, options).code == kExitOk);
  CHECK(fs::exists(options.into + "/data.mdb"));

  std::ostringstream out;
  const auto code = replay(office.config, options, out);

  REQUIRE_FALSE(code);
  CHECK(code.error().code() == Errc::config);
}

TEST_CASE("replay needs a store") {
  Office office;
  std::ostringstream out;
  const auto code = replay(office.config, {}, out);
  REQUIRE_FALSE(code);
  CHECK(code.error().code() == Errc::not_found);
}

}  // namespace
}  // namespace ledgerline::collector
