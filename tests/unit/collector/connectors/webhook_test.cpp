// The webhook profile over real sockets: what it sends byte for byte, and what it makes of answers.

#include <catch2/catch.hpp>

#include "common/crypto.h"
#include "tests/support/fault_erp/fault_receiver.h"
#include "tests/unit/collector/connectors/connector_world.h"

namespace ledgerline::collector {
namespace {

using ledgerline::testing::Fault;
using ledgerline::testing::FaultReceiver;
using namespace testing;  // NOLINT: the world of this folder's tests

struct World {
  FaultReceiver receiver;
  boost::asio::io_context context;
  HastyClock clock;
  EngineOptions options = webhook_options(receiver.url(), FaultReceiver::kSecret);

  Result<std::unique_ptr<Engine>> open() {
    return Engine::open(context.get_executor(), clock, options);
  }
  AttemptOutcome deliver(const Json& document) {
    auto engine = open();
    INFO((engine ? std::string() : engine.error().text()));
    REQUIRE(engine);
    return wait_for(context, (*engine)->deliver(document));
  }
};

/// With bytes that no JSON library would write again as they are.
Json document_with_bytes(const std::string& bytes) {
  Json document = parse_json(bytes).value();
  document.set("external_id", Json::string("bs-1"));
  document.set("body", Json::string(bytes));
  return document;
}

const std::string kBytes = "{ \"kind\":\"billing-summary\", \"b\":1.50,\"a\":\"\xc3\xbc\\u00e9\" }";

TEST_CASE("a document's own bytes are sent, signed at the time of the attempt") {
  World world;

  const auto outcome = world.deliver(document_with_bytes(kBytes));

  REQUIRE(std::holds_alternative<AttemptConfirmed>(outcome));
  CHECK(std::get<AttemptConfirmed>(outcome).reference == "bs-1");
  CHECK(std::get<AttemptConfirmed>(outcome).state == "received");
  const auto request = world.receiver.newest();
  CHECK(request.target == "/erp/hooks/ledgerline");
  CHECK(request.body == kBytes);
  CHECK(request.header("Content-Type") == "application/json");
  CHECK(request.header("Idempotency-Key") == "bs-1");
  CHECK(request.header("webhook-id") == "bs-1");
  const Timestamp now = world.clock.now();
  const Timestamp at(std::stoll(request.header("webhook-timestamp")) * 1000);
  CHECK(at < now);
  CHECK(now - at < std::chrono::minutes(5));
  CHECK(request.head.find(FaultReceiver::kSecret) == std::string::npos);
}

TEST_CASE("a secret that is none is an error before anything is sent, and is not repeated") {
  World world;
  world.options.password = "whsec_short";
  const auto engine = world.open();
  REQUIRE_FALSE(engine);
  CHECK(engine.error().code() == Errc::config);
  CHECK_THAT(engine.error().text(), Catch::Contains("password_file of connector \"webhook\"") &&
                                        !Catch::Contains("whsec_short"));
}

TEST_CASE("another secret than the receiver's is the connector's fault, not the document's") {
  World world;
  world.options.password = "whsec_" + std::string(32, 'A');

  const auto outcome = world.deliver(document_with_bytes(kBytes));

  REQUIRE(std::holds_alternative<AttemptRetry>(outcome));
  CHECK_THAT(std::get<AttemptRetry>(outcome).reason, Catch::Contains("mend password_file"));
  CHECK(world.receiver.documents() == 0);
}

TEST_CASE("another body under our id is a conflict, whether it can be looked up or not") {
  World world;
  world.deliver(document_with_bytes(kBytes));
  std::string other = kBytes;
  other.replace(other.find("1.50"), 4, "1.51");

  const auto found = world.deliver(document_with_bytes(other));
  REQUIRE(std::holds_alternative<AttemptConflict>(found));
  CHECK_THAT(std::get<AttemptConflict>(found).differences,
             Catch::Contains(sha256(bytes_of(other)).hex()));

  world.options.settings.pop_back();  // documents
  const auto refused = world.deliver(document_with_bytes(other));
  REQUIRE(std::holds_alternative<AttemptRejected>(refused));
  CHECK_THAT(std::get<AttemptRejected>(refused).reason,
             Catch::Contains("HTTP 409: the id has another body"));
  CHECK(world.receiver.bodies().at("bs-1") == kBytes);
}

TEST_CASE("where the url is not a receiver nothing is confirmed") {
  World world;
  world.options.settings = {{"documents", "elsewhere/"}};
  const auto outcome = world.deliver(document_with_bytes(kBytes));
  // It was taken, and the place to look it up knows nothing: a person compares.
  REQUIRE(std::holds_alternative<AttemptConflict>(outcome));
  CHECK_THAT(std::get<AttemptConflict>(outcome).differences, Catch::Contains("does not keep it"));
}

TEST_CASE("a receiver may say that an order is closed") {
  World world;
  Json order = example_order("mo-1", 2);
  order.set("body", Json::string(order.dump()));
  REQUIRE(std::holds_alternative<AttemptConfirmed>(world.deliver(order)));
  auto engine = std::move(*world.open());

  auto open = wait_for(world.context, engine->progress(order, "mo-1/r2"));
  REQUIRE(open);
  CHECK_FALSE(open->closed);

  world.receiver.close_orders();
  auto closed = wait_for(world.context, engine->progress(order, "mo-1/r2"));
  REQUIRE(closed);
  CHECK(closed->closed);
  CHECK(to_rfc3339(closed->closed_at.value()) == "2026-11-21T09:05:07.000Z");
  CHECK(closed->by == "Field service");
  CHECK(closed->effort_minutes == 90);
}

TEST_CASE("a kind that the profile does not know is rejected and not sent") {
  World world;
  const auto outcome = world.deliver(document_with_bytes(R"({"kind":"joke"})"));
  REQUIRE(std::holds_alternative<AttemptRejected>(outcome));
  CHECK(world.receiver.calls("receive") == 0);
}

TEST_CASE("what a profile may not ask of call is its own mistake") {
  struct Case {
    const char* call;
    const char* reason;
  };
  for (const Case& row :
       {Case{"{json = {}, body = 'x'}", "exclude each other"},
        Case{"{sign = 'a.b'}", "an id without '.'"}, Case{"{sign = ''}", "an id without '.'"},
        Case{"{sign = true}", "'sign' is not known, or of another type"}}) {
    INFO(row.call);
    World world;
    world.options.profile = std::string("local function f() call") + row.call +
                            " end return {find = f, create = f, confirm = f, capabilities = "
                            "{signature = 'standard-webhooks'}}";
    const auto outcome = world.deliver(document_with_bytes(kBytes));
    REQUIRE(std::holds_alternative<AttemptRetry>(outcome));
    CHECK_THAT(std::get<AttemptRetry>(outcome).reason, Catch::Contains(row.reason));
    CHECK(world.receiver.operations().empty());
  }
}

}  // namespace
}  // namespace ledgerline::collector
