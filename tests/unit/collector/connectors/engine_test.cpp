// The judgement of the engine: which failure means what, and when. Over real sockets, with the
// Tryton profile.

#include "collector/connectors/engine.h"

#include <catch2/catch.hpp>

#include "tests/support/fault_erp/fault_erp.h"
#include "tests/unit/collector/connectors/connector_world.h"

namespace ledgerline::collector {
namespace {

using ledgerline::testing::Fault;
using ledgerline::testing::FaultErp;
using namespace testing;  // NOLINT: the world of this folder's tests

struct World {
  FaultErp erp;
  boost::asio::io_context context;
  HastyClock clock;
  std::unique_ptr<Engine> engine;

  explicit World(const std::function<void(EngineOptions&)>& change = [](EngineOptions&) {}) {
    auto options = tryton_options(erp.url());
    change(options);
    auto opened = Engine::open(context.get_executor(), clock, options);
    INFO((opened ? std::string() : opened.error().text()));
    REQUIRE(opened);
    engine = std::move(*opened);
  }
  AttemptOutcome deliver(Json document) {
    return wait_for(context, engine->deliver(std::move(document)));
  }
  AttemptOutcome look_up(Json document) {
    return wait_for(context, engine->look_up(std::move(document)));
  }
};

std::string describe(const AttemptOutcome& outcome) {
  if (const auto* done = std::get_if<AttemptConfirmed>(&outcome))
    return "confirmed " + done->reference + " " + done->state + " " + done->amount;
  if (const auto* why = std::get_if<AttemptRejected>(&outcome)) return "rejected " + why->reason;
  if (const auto* why = std::get_if<AttemptRetry>(&outcome)) return "retry " + why->reason;
  if (const auto* why = std::get_if<AttemptUnknown>(&outcome)) return "unknown " + why->reason;
  if (const auto* why = std::get_if<AttemptConflict>(&outcome))
    return "conflict " + why->differences;
  return "absent";
}

TEST_CASE("a document is created once, read back, and found again") {
  World world;
  CHECK(describe(world.look_up(example_document("bs-1"))) == "absent");
  CHECK(describe(world.deliver(example_document("bs-1"))) == "confirmed 1 draft 12.76 EUR");
  CHECK(describe(world.deliver(example_document("bs-1"))) == "confirmed 1 draft 12.76 EUR");
  CHECK(describe(world.look_up(example_document("bs-1"))) == "confirmed 1 draft 12.76 EUR");
  CHECK(world.erp.invoices().size() == 1);
  CHECK(world.erp.calls("invoice.create") == 1);
  CHECK(world.erp.calls("login") == 1);
}

TEST_CASE("what a failure of the creating request means") {
  struct Case {
    Fault fault;
    std::string outcome;
    size_t invoices;
  };
  const std::vector<Case> cases = {
      {Fault::none, "confirmed", 1},
      {Fault::slow, "confirmed", 1},
      {Fault::session_expired, "confirmed", 1},
      {Fault::too_many_requests, "retry", 0},
      {Fault::user_error, "rejected", 0},
      {Fault::reset_before, "unknown", 0},
      {Fault::silence_before, "unknown", 0},
      {Fault::error_500_before, "unknown", 0},
      {Fault::reset_after, "unknown", 1},
      {Fault::half_reply_after, "unknown", 1},
      {Fault::silence_after, "unknown", 1},
      {Fault::error_500_after, "unknown", 1},
      {Fault::not_json, "unknown", 1},
      {Fault::wrong_echo, "conflict", 1},
  };
  for (const Case& row : cases) {
    World world;
    world.erp.queue("invoice.create", row.fault);
    const auto outcome = describe(world.deliver(example_document("bs-1")));
    INFO(static_cast<int>(row.fault) << ": " << outcome);
    CHECK_THAT(outcome, Catch::StartsWith(row.outcome));
    CHECK(world.erp.invoices().size() == row.invoices);
  }
}

TEST_CASE("before anything was created every failure of the way is a retry") {
  for (const char* method :
       {"common.db.login", "account.invoice.search_read", "party.party.search_read"}) {
    for (const Fault fault : {Fault::refuse_connection, Fault::reset_after, Fault::silence_after,
                              Fault::error_500_after, Fault::not_json, Fault::half_reply_after,
                              Fault::too_many_requests}) {
      World world;
      world.erp.queue(method, fault);
      const auto outcome = describe(world.deliver(example_document("bs-1")));
      INFO(method << " " << static_cast<int>(fault) << ": " << outcome);
      CHECK_THAT(outcome, Catch::StartsWith("retry"));
      CHECK(world.erp.invoices().empty());
      CHECK_FALSE(world.engine->last_failure().empty());
    }
  }
}

TEST_CASE("after the creation a failing read-back leaves the outcome unknown") {
  for (const Fault fault : {Fault::reset_after, Fault::silence_after, Fault::error_500_after,
                            Fault::too_many_requests}) {
    World world;
    // The first search is the find, the second the read-back.
    world.erp.queue("account.invoice.search_read", Fault::none);
    world.erp.queue("account.invoice.search_read", fault);
    const auto outcome = describe(world.deliver(example_document("bs-1")));
    INFO(outcome);
    CHECK_THAT(outcome, Catch::StartsWith("unknown"));
    CHECK(describe(world.look_up(example_document("bs-1"))) == "confirmed 1 draft 12.76 EUR");
  }
}

TEST_CASE("a Retry-After is passed on") {
  World world;
  world.erp.queue("account.invoice.search_read", Fault::too_many_requests);
  const auto outcome = world.deliver(example_document("bs-1"));
  const auto* retry = std::get_if<AttemptRetry>(&outcome);
  REQUIRE(retry != nullptr);
  CHECK(retry->after == Duration(7000));
  CHECK(retry->system_at_fault);
}

TEST_CASE("a session that has ended is opened again once") {
  World world;
  CHECK_THAT(describe(world.deliver(example_document("bs-1"))), Catch::StartsWith("confirmed"));
  world.erp.queue("account.invoice.search_read", Fault::session_expired);
  CHECK_THAT(describe(world.deliver(example_document("bs-2"))), Catch::StartsWith("confirmed"));
  CHECK(world.erp.calls("login") == 2);

  world.erp.queue("account.invoice.search_read", Fault::session_expired);
  world.erp.queue("account.invoice.search_read", Fault::session_expired);
  CHECK_THAT(describe(world.deliver(example_document("bs-3"))),
             Catch::Contains("a new session is refused"));
}

TEST_CASE("a wrong password waits for a person and harms no document") {
  World world([](EngineOptions& options) { options.password = "wrong"; });
  const auto outcome = describe(world.deliver(example_document("bs-1")));
  CHECK_THAT(outcome, Catch::StartsWith("retry Tryton refuses user 'user' or its password"));
  CHECK(outcome.find("wrong") == std::string::npos);
  // Trying again at once would lock the user there, and a mended password would not help.
  CHECK(world.engine->wait() > Duration(50'000));
}

TEST_CASE("a system that keeps failing is left alone") {
  World world;
  for (int i = 0; i < 5; ++i) {
    CHECK(world.engine->wait() == Duration(0));
    world.erp.queue("login", Fault::error_500_before);
    world.deliver(example_document("bs-1"));
  }
  CHECK(world.engine->wait() > Duration(9'000));
}

TEST_CASE("unknown master data is named") {
  World world;
  CHECK_THAT(describe(world.deliver(example_document("bs-1", "X-9"))),
             Catch::StartsWith("rejected no party with code 'X-9' in Tryton"));
  CHECK_THAT(
      describe(world.deliver(example_document("bs-1", "C-1001", {{"NOPE", "1", "1", "1.00"}}))),
      Catch::StartsWith("rejected no product with code 'NOPE' in Tryton"));
  CHECK(world.erp.invoices().empty());
}

TEST_CASE("a refusal with remembered master data is tried once more without") {
  World world;
  world.deliver(example_document("bs-1"));
  world.erp.queue("invoice.create", Fault::user_error);
  CHECK_THAT(describe(world.deliver(example_document("bs-2"))),
             Catch::StartsWith("retry refused with remembered"));
  CHECK_THAT(describe(world.deliver(example_document("bs-2"))), Catch::StartsWith("confirmed 2"));
  CHECK(world.erp.calls("party.party.search_read") == 2);
}

TEST_CASE(
    "an invoice that carries our id but not our amount is a conflict, never a second invoice") {
  World world;
  world.deliver(example_document("bs-1"));
  const auto outcome =
      describe(world.deliver(example_document("bs-1", "C-1001", {{"API-CALL", "1", "5", "5.00"}})));
  CHECK(outcome == "conflict amount 12.76 instead of 5.00; lines 2 instead of 1; ");
  CHECK(world.erp.invoices().size() == 1);
}

// ---- Documents that are repeated and worked on there: maintenance orders

int revision_of(const FaultErp::Work& work) {
  return std::stoi(work.values.find("external_revision")->text());
}

TEST_CASE("a later revision updates what is there") {
  World world;
  CHECK(describe(world.deliver(example_order("mo-1"))) == "confirmed 1 Open ");
  CHECK(describe(world.look_up(example_order("mo-1", 2))) == "absent");
  CHECK(describe(world.deliver(example_order("mo-1", 2))) == "confirmed 1 Open ");
  CHECK(describe(world.look_up(example_order("mo-1", 2))) == "confirmed 1 Open ");
  // One that comes late changes nothing.
  CHECK(describe(world.deliver(example_order("mo-1", 1))) == "confirmed 1 Open ");
  REQUIRE(world.erp.works().size() == 1);
  CHECK(revision_of(world.erp.works()[0]) == 2);
  CHECK(world.erp.calls("work.create") == 1);
  CHECK(world.erp.calls("work.write") == 1);
}

TEST_CASE("what a failure of the updating request means") {
  struct Case {
    Fault fault;
    std::string outcome;
    std::string looked_up;
  };
  const std::vector<Case> cases = {
      {Fault::slow, "confirmed", "confirmed"},
      {Fault::session_expired, "confirmed", "confirmed"},
      {Fault::too_many_requests, "retry", "absent"},
      {Fault::user_error, "conflict", "absent"},
      {Fault::reset_before, "unknown", "absent"},
      {Fault::silence_before, "unknown", "absent"},
      {Fault::error_500_before, "unknown", "absent"},
      {Fault::reset_after, "unknown", "confirmed"},
      {Fault::half_reply_after, "unknown", "confirmed"},
      {Fault::silence_after, "unknown", "confirmed"},
      {Fault::error_500_after, "unknown", "confirmed"},
      {Fault::not_json, "unknown", "confirmed"},
  };
  for (const Case& row : cases) {
    World world;
    world.deliver(example_order("mo-1"));
    world.erp.queue("work.write", row.fault);
    const auto outcome = describe(world.deliver(example_order("mo-1", 2)));
    const auto looked_up = describe(world.look_up(example_order("mo-1", 2)));
    INFO(static_cast<int>(row.fault) << ": " << outcome << ", then " << looked_up);
    CHECK_THAT(outcome, Catch::StartsWith(row.outcome));
    CHECK_THAT(looked_up, Catch::StartsWith(row.looked_up));
    CHECK_THAT(describe(world.deliver(example_order("mo-1", 2))), Catch::StartsWith("confirmed"));
    REQUIRE(world.erp.works().size() == 1);
    CHECK(revision_of(world.erp.works()[0]) == 2);
  }
}

TEST_CASE("an order that is closed needs no repeat, and one for another asset is a conflict") {
  World world;
  world.deliver(example_order("mo-1"));
  CHECK(describe(world.deliver(example_order("mo-1", 2, "SN-101"))) ==
        "conflict asset SN-100 instead of SN-101; ");
  world.erp.close_works();
  CHECK(describe(world.deliver(example_order("mo-1", 2))) == "confirmed 1 Done ");
  CHECK(world.erp.calls("work.write") == 0);
}

TEST_CASE("without an update a repeat is a conflict") {
  World world([](EngineOptions& options) {
    const std::string entry = "  update = by_kind(update, \"update\", \"text\"),\n";
    options.profile.erase(options.profile.find(entry), entry.size());
  });
  world.deliver(example_order("mo-1"));
  CHECK(describe(world.deliver(example_order("mo-1", 2))) == "conflict revision 1 instead of 2; ");
  CHECK(describe(world.look_up(example_order("mo-1", 2))) == "conflict revision 1 instead of 2; ");
}

TEST_CASE("a process that stops while the system is silent ends in order") {
  for (int i = 0; i < 20; ++i) {
    World world;
    world.erp.queue("invoice.create", Fault::silence_after);
    boost::asio::co_spawn(world.context, world.engine->deliver(example_document("bs-1")),
                          [](const std::exception_ptr&, const AttemptOutcome&) {});
    while (world.erp.invoices().empty()) world.context.run_one_for(std::chrono::milliseconds(10));
    // The engine ends first, then the context with what was under way.
  }
}

TEST_CASE("how far the people there are is asked") {
  World world;
  world.deliver(example_order("mo-1"));
  const auto ask = [&](const std::string& reference) {
    return wait_for(world.context, world.engine->progress(example_order("mo-1"), reference));
  };
  auto open = ask("1");
  REQUIRE(open);
  CHECK_FALSE(open->closed);
  CHECK_FALSE(open->closed_at);
  CHECK(open->by.empty());

  world.erp.close_works();
  auto closed = ask("1");
  REQUIRE(closed);
  CHECK(closed->closed);
  CHECK(to_rfc3339(closed->closed_at.value()) == "2026-11-21T09:05:07.000Z");
  CHECK(closed->by == "Field service");
  CHECK(closed->effort_minutes == 90);

  CHECK_THAT(describe(ask("2").error()), Catch::StartsWith("rejected not exactly one record"));
  world.erp.queue("work.search_read", Fault::reset_after);
  CHECK_THAT(describe(ask("1").error()), Catch::StartsWith("retry"));
}

TEST_CASE("an answer about progress that makes no sense is a retry") {
  for (const char* answer : {"{}", "{closed = 1}", "{closed = true, closed_at = 'yesterday'}",
                             "{closed = true, effort_minutes = -1}"}) {
    World world([&](EngineOptions& options) {
      options.profile = std::string(
                            "local function f() end return {find = f, create = f, confirm = "
                            "f, progress = function() return ") +
                        answer + " end}";
    });
    auto answered = wait_for(world.context, world.engine->progress(example_order("mo-1"), "1"));
    REQUIRE_FALSE(answered);
    CHECK_THAT(describe(answered.error()), Catch::StartsWith("retry tryton.lua: progress: "));
  }
}

TEST_CASE("a profile's own mistakes: before the creation a retry, after it unknown") {
  const auto outcome_with = [](const std::string& from, const std::string& to) {
    World world([&](EngineOptions& options) {
      const size_t at = options.profile.find(from);
      REQUIRE(at != std::string::npos);
      options.profile.replace(at, from.size(), to);
    });
    return describe(world.deliver(example_document("bs-1")));
  };
  CHECK_THAT(outcome_with("return rows[1] and {reference = tostring(rows[1].id)}",
                          "return rows.nothing.id"),
             Catch::StartsWith("retry tryton.lua:"));
  CHECK_THAT(outcome_with("return {reference = tostring(created[1])}", "return {}"),
             Catch::StartsWith("unknown tryton.lua: find and create return"));
  CHECK_THAT(outcome_with("return {reference = tostring(created[1])}", "while true do end"),
             Catch::Contains("instruction limit"));
}

TEST_CASE("a profile cannot leave the configured address") {
  for (const char* path : {"/elsewhere", "../elsewhere", "a/../../b"}) {
    World world([&](EngineOptions& options) {
      options.profile = std::string("local function f() return call{path = '") + path +
                        "'} end return {find = f, create = f, confirm = f}";
    });
    CHECK_THAT(describe(world.deliver(example_document("bs-1"))),
               Catch::Contains("begins below the address"));
  }
}

TEST_CASE("a profile that lacks something is refused at the start") {
  boost::asio::io_context context;
  HastyClock clock;
  auto options = tryton_options("http://127.0.0.1:1/");
  options.profile = "return {find = function() end}";
  auto refused = Engine::open(context.get_executor(), clock, options);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message() == "tryton.lua: the profile has no function create");
  options.profile =
      "local f = function() end return {find = f, create = f, confirm = f, capabilities = "
      "{commit_lag_ms = 'x'}}";
  CHECK_FALSE(Engine::open(context.get_executor(), clock, options));
}

}  // namespace
}  // namespace ledgerline::collector
