// The profile's account updates and opportunities against real requests and replies of Tryton 6.0:
// what it asks is exactly what was recorded, and what was answered leads to the right outcome.

#include <catch2/catch.hpp>

#include "tests/unit/collector/connectors/account_documents.h"
#include "tests/unit/collector/connectors/tryton_conversation.h"

namespace ledgerline::collector {
namespace {

using namespace testing;  // NOLINT: the world of this folder's tests

Json recorded_update(int64_t revision = 1, const std::string& party = "C-1001") {
  return example_update("au-0123456789abcdef0123456789abcdef", revision, party);
}

Json recorded_opportunity(int64_t revision = 1, const std::string& party = "C-1001") {
  return example_opportunity("op-0123456789abcdef0123456789abcdef", revision, party);
}

const Json& values_of(const Json& request) { return request.find("params")->items()[0].items()[0]; }

std::string reason_of(const LuaStep& step) {
  REQUIRE(step.kind == LuaStep::Kind::outcome);
  CHECK(step.value.find("outcome")->text() == "rejected");
  return step.value.find("reason")->text();
}

TEST_CASE("the note that is created is the recorded one, and a person can read it") {
  Conversation conversation;
  const auto step = conversation.run("create", {recorded_update()}, {"party", "update-create"});
  CHECK(step.value.dump() == R"({"reference":"1"})");
  CHECK(values_of(conversation.last_request_).find("message")->text() ==
        "Aqua Works Ltd: api.requests at 85 % of what is included, aqua-2026 from 2026-11-01 until "
        "2026-12-01\n"
        "A limit was crossed, as of 2026-11-20 08:00 UTC\n"
        "\n"
        "Consumption\n"
        "- data.volume: 12.5 GB [aqua-data]\n"
        "- api.requests: 850000, 85 % of 1000000 included, past 50 %, past 80 %, next limit in 3 "
        "days, +12.4 % against the period before [aqua-api]\n"
        "- seats: 4 seat, 20 % of 20 included, -50 % against the period before [aqua-seats]\n"
        "\n"
        "Features\n"
        "- export: 3 of 12 active (25 %)\n"
        "- search: 0 of 0 active\n"
        "\n"
        "Signals\n"
        "- expansion: api.requests passed 80 % on day 19 of 30\n"
        "- churn: seats fell by half\n"
        "\n"
        "Health: 62 of 100\n"
        "- usage 90 (weight 2): 12.4 % above the period before\n"
        "- adoption 25 (weight 1): 3 of 12 use export\n"
        "\n"
        "Rule api-accounts, au-0123456789abcdef0123456789abcdef, revision 1\n"
        "Evidence: the log's first 4711 leaves, 342 readings in 2 streams");
}

TEST_CASE("a note with nothing in its lists has no empty headings") {
  Json update = recorded_update();
  for (const char* list : {"meters", "features", "signals"}) update.set(list, Json::array());
  update.set("health", Json::null());
  update.set("reason", Json::string("period"));
  Conversation conversation;
  conversation.run("create", {update}, {"party", "update-create"});
  CHECK_THAT(
      values_of(conversation.last_request_).find("message")->text(),
      Catch::StartsWith("Aqua Works Ltd: no usage, aqua-2026 from 2026-11-01 until 2026-12-01\n"
                        "The period is closed, as of 2026-11-20 08:00 UTC\n"
                        "\n"
                        "Rule api-accounts, "));
}

TEST_CASE("without anything included the gist is the first meter's quantity") {
  Json update = recorded_update();
  Json meters = Json::array();
  meters.push(update.find("meters")->items()[0]);
  update.set("meters", meters);
  Conversation conversation;
  conversation.run("create", {update}, {"party", "update-create"});
  CHECK_THAT(
      values_of(conversation.last_request_).find("message")->text(),
      Catch::StartsWith(
          "Aqua Works Ltd: data.volume 12.5 GB, aqua-2026 from 2026-11-01 until 2026-12-01\n"));
}

TEST_CASE("all revisions of an account update and of an opportunity are found by one id") {
  for (const int64_t revision : {1, 2}) {
    for (const auto& [document, name] :
         {std::pair(recorded_update(revision), std::string("update")),
          std::pair(recorded_opportunity(revision), std::string("opportunity"))}) {
      CHECK(Conversation()
                .run("find", {document}, {name + "-find-absent"})
                .value.is(Json::Kind::null));
      CHECK(Conversation().run("find", {document}, {name + "-find-present"}).value.dump() ==
            R"({"reference":"1"})");
    }
  }
}

TEST_CASE("an account without a party is rejected before anything is created") {
  for (const Json& document : {recorded_update(1, "C-9999"), recorded_opportunity(1, "C-9999")}) {
    CHECK(reason_of(Conversation().run("create", {document}, {"party-unknown"})) ==
          "no party with code 'C-9999' in Tryton: create it, or mend external in the account");
  }
  for (const Json& document : {recorded_update(1, ""), recorded_opportunity(1, "")}) {
    CHECK(reason_of(Conversation().run("create", {document}, {})) ==
          "account 'aqua' has no party code: name it as external in the account");
  }
}

TEST_CASE("reading a note back compares party and revision") {
  struct Case {
    int64_t revision;
    std::string party;
    std::string golden;
    std::string read;
  };
  const std::vector<Case> cases = {
      {1, "C-1001", "update-find-present",
       R"({"differences":"","equal":true,"outdated":false,"state":"note"})"},
      {1, "C-7", "update-find-present",
       R"({"differences":"party C-1001 instead of C-7; ","equal":false,"outdated":false,"state":"note"})"},
      {2, "C-1001", "update-find-present",
       R"({"differences":"revision 1 instead of 2; ","equal":false,"outdated":true,"state":"note"})"},
      {2, "C-1001", "update-find-amended",
       R"({"differences":"","equal":true,"outdated":false,"state":"note"})"},
      {1, "C-1001", "update-find-amended",
       R"({"differences":"","equal":true,"outdated":false,"state":"note"})"},
  };
  for (const Case& row : cases) {
    const auto step = Conversation().run(
        "confirm", {recorded_update(row.revision, row.party), Json::string("1")}, {row.golden});
    CHECK(step.value.dump() == row.read);
  }
  CHECK(Conversation()
            .run("confirm", {recorded_update(), Json::string("1")}, {"update-find-absent"})
            .value.find("differences")
            ->text() ==
        "not exactly one record of ir.note carries our id, or it is another than 1");
}

TEST_CASE("a later revision of a note brings its number and its text") {
  Conversation conversation;
  const auto step =
      conversation.run("update", {recorded_update(2), Json::string("1")}, {"update-amend"});
  CHECK(step.kind == LuaStep::Kind::returned);
  CHECK_THAT(
      conversation.last_request_.find("params")->items()[1].find("message")->text(),
      Catch::Contains("\nRule api-accounts, au-0123456789abcdef0123456789abcdef, revision 2"));
}

TEST_CASE("nobody closes a note") {
  CHECK(reason_of(Conversation().run("progress", {recorded_update(), Json::string("1")}, {})) ==
        "this profile has no progress for documents of kind account-update");
}

TEST_CASE("the opportunity that is created is the recorded one") {
  Conversation conversation;
  const auto step =
      conversation.run("create", {recorded_opportunity()},
                       {"party", "address", "opportunity-company", "opportunity-create"});
  CHECK(step.value.dump() == R"({"reference":"1"})");
  CHECK(values_of(conversation.last_request_).find("usage")->text() ==
        "Contract aqua-2026 of Aqua Works Ltd comes up for renewal: 412.50 EUR per period on "
        "average\n"
        "\n"
        "- api.requests: 1200000, included 1000000, periods 3 [aqua-api]\n"
        "\n"
        "Rule renewals, op-0123456789abcdef0123456789abcdef, revision 1\n"
        "Evidence: the log's first 4711 leaves");
}

TEST_CASE("an amount in another currency than the company's is rejected") {
  Json opportunity = recorded_opportunity();
  opportunity.set("currency", Json::string("USD"));
  CHECK_THAT(reason_of(Conversation().run("create", {opportunity},
                                          {"party", "address", "opportunity-company"})),
             Catch::StartsWith("the amount is in USD, and Tryton keeps opportunities in EUR"));
}

TEST_CASE("reading an opportunity back compares party, amount and revision until people take it") {
  struct Case {
    int64_t revision;
    std::string amount;
    std::string golden;
    std::string read;
  };
  const std::vector<Case> cases = {
      {1, "412.50", "opportunity-find-present",
       R"({"differences":"","equal":true,"outdated":false,"state":"lead"})"},
      {1, "412.504", "opportunity-find-present",
       R"({"differences":"","equal":true,"outdated":false,"state":"lead"})"},
      {1, "412.51", "opportunity-find-present",
       R"({"differences":"amount 412.50 instead of 412.51; ","equal":false,"outdated":false,"state":"lead"})"},
      {2, "500.00", "opportunity-find-present",
       R"({"differences":"revision 1 instead of 2; ","equal":false,"outdated":true,"state":"lead"})"},
      {2, "500.00", "opportunity-find-amended",
       R"({"differences":"","equal":true,"outdated":false,"state":"lead"})"},
      {1, "412.50", "opportunity-find-taken",
       R"({"differences":"","equal":true,"outdated":false,"state":"opportunity"})"},
      {3, "500.00", "opportunity-find-taken",
       R"({"differences":"revision 2 instead of 3; ","equal":false,"outdated":true,"state":"opportunity"})"},
      {3, "500.00", "opportunity-find-closed",
       R"({"differences":"","equal":true,"outdated":false,"state":"lost"})"},
  };
  for (const Case& row : cases) {
    Json opportunity = recorded_opportunity(row.revision);
    opportunity.set("amount", Json::string(row.amount));
    const auto step = Conversation().run("confirm", {opportunity, Json::string("1")}, {row.golden});
    CHECK(step.value.dump() == row.read);
  }
}

TEST_CASE("a later revision of an opportunity yields to people who have closed it") {
  const std::vector<Json> arguments = {recorded_opportunity(2), Json::string("1")};
  CHECK(Conversation().run("update", arguments, {"opportunity-amend"}).kind ==
        LuaStep::Kind::returned);
  CHECK(Conversation()
            .run("update", arguments, {"opportunity-error-closed", "opportunity-find-closed"})
            .kind == LuaStep::Kind::returned);
  CHECK_THAT(reason_of(Conversation().run(
                 "update", arguments, {"opportunity-error-closed", "opportunity-find-present"})),
             Catch::StartsWith("Tryton refuses revision 2: UserError"));
}

TEST_CASE("an opportunity is closed when it is won, lost or cancelled, and somebody did it") {
  const std::vector<Json> arguments = {recorded_opportunity(), Json::string("1")};
  CHECK(Conversation().run("progress", arguments, {"opportunity-find-present"}).value.dump() ==
        R"({"closed":false})");
  const auto closed = Conversation().run("progress", arguments, {"opportunity-find-closed"}).value;
  CHECK(closed.find("closed")->as_bool());
  CHECK(closed.find("by")->text() == "Customer success");
  CHECK_THAT(closed.find("closed_at")->text(), Catch::StartsWith("2026-11-21T"));
}

}  // namespace
}  // namespace ledgerline::collector
