// The profile's maintenance orders against real requests and replies of Tryton 6.0: what it asks is
// exactly what was recorded, and what was answered leads to the right outcome.

#include <catch2/catch.hpp>

#include "tests/unit/collector/connectors/tryton_conversation.h"

namespace ledgerline::collector {
namespace {

using namespace testing;  // NOLINT: the world of this folder's tests

Json recorded_order(int64_t revision = 1, const std::string& asset = "SN-100") {
  return example_order("mo-0123456789abcdef0123456789abcdef", revision, asset);
}

const std::vector<std::string> kCreation = {"order-project", "order-lot",       "party",
                                            "address",       "order-warehouse", "order-location",
                                            "order-part-1",  "order-part-2",    "order-create"};

const Json& values_of(const Json& request) { return request.find("params")->items()[0].items()[0]; }

TEST_CASE("the order that is created is the recorded one, its parts with it") {
  Conversation conversation;
  const auto step = conversation.run("create", {recorded_order()}, kCreation);
  CHECK(step.value.dump() == R"({"reference":"2"})");
  CHECK(values_of(conversation.last_request_).find("readings")->text() ==
        "Rule compressor, order 3 of pump-7 (P-100), decided 2026-11-20 08:00 UTC\n"
        "\n"
        "vibration trend (axis=x) over 10 d, 5 d ahead: 7.3125, limit: above 7.1, met\n"
        "days_since_service: no value, limit: above 90, not met\n"
        "\n"
        "Readings from (UTC)\n"
        "2026-11-20 06:00  vibration 6.9  (12 read)\n"
        "2026-11-20 07:00  vibration 7.25  (4 read)\n"
        "\n"
        "Evidence: the log's first 4711 leaves\n"
        "stream a1, batches 12 13\n"
        "stream b2, batches 4\n"
        "and 2 older batches");
}

TEST_CASE("an order without parts and account asks for neither") {
  Json order = recorded_order();
  order.set("parts", Json::array());
  order.set("account", Json::null());
  const auto profile = LuaProfile::load(tryton_profile(), "tryton.lua").value();
  auto call = profile->start("create", {order, Json::object()}).value();
  std::optional<Json> reply;
  for (const char* name : {"order-project", "order-lot"}) {
    REQUIRE(call.resume(reply).value().kind == LuaStep::Kind::request);
    reply = reply_of(golden(name));
  }
  const auto asked = call.resume(reply).value();
  const Json& values = values_of(*asked.value.find("json"));
  CHECK(values.find("parts") == nullptr);
  CHECK(values.find("party") == nullptr);
  CHECK(values.find("asset")->text() == "1");
}

TEST_CASE("all revisions of an order are found by one id") {
  for (const int64_t revision : {1, 2}) {
    CHECK(Conversation()
              .run("find", {recorded_order(revision)}, {"order-find-absent"})
              .value.is(Json::Kind::null));
    CHECK(Conversation()
              .run("find", {recorded_order(revision)}, {"order-find-present"})
              .value.dump() == R"({"reference":"2"})");
  }
}

TEST_CASE("an unknown asset is rejected before anything is created") {
  const auto step = Conversation().run("create", {recorded_order(1, "SN-999")},
                                       {"order-project", "order-lot-unknown"});
  CHECK(step.value.find("outcome")->text() == "rejected");
  CHECK(step.value.find("reason")->text() ==
        "no lot with number 'SN-999' in Tryton: create it, or mend external in the asset");
  const auto nameless = Conversation().run("create", {recorded_order(1, "")}, {"order-project"});
  CHECK_THAT(nameless.value.find("reason")->text(),
             Catch::StartsWith("asset 'pump-7' has no lot number"));
}

TEST_CASE("reading back compares asset, parts and revision") {
  struct Case {
    int64_t revision;
    std::string asset;
    std::string golden;
    std::string read;
  };
  const std::vector<Case> cases = {
      {1, "SN-100", "order-find-present",
       R"({"differences":"","equal":true,"outdated":false,"state":"Open"})"},
      {1, "SN-7", "order-find-present",
       R"({"differences":"asset SN-100 instead of SN-7; ","equal":false,"outdated":false,"state":"Open"})"},
      {2, "SN-100", "order-find-present",
       R"({"differences":"revision 1 instead of 2; ","equal":false,"outdated":true,"state":"Open"})"},
      {2, "SN-100", "order-find-updated",
       R"({"differences":"","equal":true,"outdated":false,"state":"Open"})"},
      {1, "SN-100", "order-find-updated",
       R"({"differences":"","equal":true,"outdated":false,"state":"Open"})"},
      {3, "SN-100", "order-find-closed",
       R"({"differences":"","equal":true,"outdated":false,"state":"Done"})"},
  };
  for (const Case& row : cases) {
    const auto step = Conversation().run(
        "confirm", {recorded_order(row.revision, row.asset), Json::string("2")}, {row.golden});
    CHECK(step.value.dump() == row.read);
  }
}

TEST_CASE("a later revision brings its number and readings, and yields to a closed order") {
  const std::vector<Json> arguments = {recorded_order(2), Json::string("2")};
  CHECK(Conversation().run("update", arguments, {"order-update"}).kind == LuaStep::Kind::returned);
  CHECK(Conversation().run("update", arguments, {"order-error-closed", "order-find-closed"}).kind ==
        LuaStep::Kind::returned);
  const auto refused =
      Conversation().run("update", arguments, {"order-error-closed", "order-find-present"});
  REQUIRE(refused.kind == LuaStep::Kind::outcome);
  CHECK_THAT(refused.value.find("reason")->text(),
             Catch::StartsWith("Tryton refuses revision 2: UserError"));
}

TEST_CASE("progress is the status, when and by whom, and the booked hours") {
  const std::vector<Json> arguments = {recorded_order(), Json::string("2")};
  CHECK(Conversation().run("progress", arguments, {"order-find-present"}).value.dump() ==
        R"({"closed":false,"effort_minutes":0})");
  const auto closed = Conversation().run("progress", arguments, {"order-find-closed"}).value;
  CHECK(closed.find("closed")->as_bool());
  CHECK(closed.find("by")->text() == "Field service");
  CHECK(closed.find("effort_minutes")->text() == "90");
  CHECK_THAT(closed.find("closed_at")->text(), Catch::StartsWith("2026-11-21T"));
}

TEST_CASE("a document of another kind is rejected") {
  Json other = recorded_order();
  other.set("kind", Json::string("delivery-note"));
  CHECK(Conversation().run("find", {other}, {}).value.find("reason")->text() ==
        "this profile has no find for documents of kind delivery-note");
}

}  // namespace
}  // namespace ledgerline::collector
