#include "collector/core/account_update.h"

#include "collector/core/account_health.h"
#include "tests/unit/collector/core/catalog_examples.h"

namespace ledgerline::collector {
namespace {

Timestamp at(std::string_view text) { return parse_rfc3339(text).value(); }
Decimal dec(std::string_view text) { return Decimal::parse(text).value(); }

/// Monthly in Brussels; 1000 requests a month are included.
const std::string kMonthly = R"(
[[account_update]]
name = "health"
connector = "crm"
limits = ["0.8", "1"]
expansion_above = "0.2"
churn_below = "-0.3"
)";
Catalog monthly() {
  std::string text = example_with("anchor = \"2026-01-01T00:00:00Z\"\nperiod = \"PT1H\"",
                                  "anchor = \"2026-01-01\"\nperiod = \"P1M\"");
  const std::string version =
      text.substr(text.find("[[rate_card]]\nname = \"standard\"\nversion = 2"));
  text.erase(text.find(version), version.find("[[account]]"));
  text.replace(text.find("from = \"2026-01-01T00:00:00Z\"\n  [["), 29,
               "from = \"2025-12-01T00:00:00Z\"");
  return read_catalog(text + kMonthly);
}

const Period kFebruary{at("2026-01-31T23:00:00Z"), at("2026-02-28T23:00:00Z")};

MeterUse requests(const std::string& quantity, const std::string& complete = "",
                  const std::string& previous = "") {
  MeterUse out{.key = {"aqua-api", "api.requests"},
               .product = "API-CALL",
               .unit = "1",
               .aggregation = Aggregation::sum,
               .included = dec("1000"),
               .quantity = dec(quantity),
               .complete_quantity = dec(complete.empty() ? quantity : complete),
               .previous_quantity = {}};
  if (!previous.empty()) out.previous_quantity = dec(previous);
  return out;
}

struct World {
  Catalog catalog = monthly();
  AccountUpdateInput input{.tenant = "demo",
                           .period = kFebruary,
                           .as_of = at("2026-02-14T23:00:00Z"),
                           .meters = {requests("500")},
                           .zone_database = "2026a",
                           .now = at("2026-02-15T00:00:00Z")};

  const Contract& contract() { return *catalog.contract("aqua-2026"); }
  const AccountRule& rule() { return catalog.account_rules().at("health"); }
  Json body() {
    const auto document = make_account_update(catalog, contract(), rule(), input);
    INFO((document ? "" : document.error().text()));
    REQUIRE(document);
    return parse_json(document->body).value();
  }
  std::string of_meter(const char* name) {
    return body().find("meters")->items()[0].find(name)->dump();
  }
};

TEST_CASE("a limit is crossed once, at its share and not before", "[account_update]") {
  World world;
  CrossedLimits crossed;
  const auto crosses = [&](const char* quantity) {
    return add_crossed(world.rule(), {requests(quantity)}, crossed);
  };
  const LineKey key{"aqua-api", "api.requests"};
  CHECK_FALSE(crosses("799.999999"));
  CHECK(crosses("800"));
  CHECK(crossed[key] == std::vector{dec("0.8")});
  CHECK_FALSE(crosses("999.99"));
  CHECK(crosses("1000"));
  CHECK(crossed[key] == std::vector{dec("0.8"), dec("1")});
  CHECK_FALSE(crosses("5000"));
  CHECK_FALSE(crosses("10"));

  crossed.clear();
  CHECK(crosses("5000"));  // both at once are one piece of news
  CHECK(crossed[key].size() == 2);

  MeterUse unlimited = requests("5000");
  unlimited.included = Decimal();
  CrossedLimits none;
  CHECK_FALSE(add_crossed(world.rule(), {unlimited}, none));
}

TEST_CASE("share and trend are exact and cut off, null where there is nothing to compare with",
          "[account_update]") {
  struct Case {
    const char* quantity;
    const char* complete;
    const char* previous;
    const char* share;
    const char* trend;
  };
  for (const Case& one : std::vector<Case>{
           {"500", "500", "", "\"0.5000\"", "null"},
           {"500", "500", "0", "\"0.5000\"", "null"},
           {"500", "500", "400", "\"0.5000\"", "\"0.2500\""},
           {"500", "300", "400", "\"0.5000\"", "\"-0.2500\""},  // behind as_of does not count
           {"0", "0", "400", "\"0.0000\"", "\"-1.0000\""},
           {"799.99", "2", "3", "\"0.7999\"", "\"-0.3333\""},
           {"1250.5", "1", "0.000001", "\"1.2505\"", "\"999999.0000\""},
       }) {
    World world;
    world.input.meters = {requests(one.quantity, one.complete, one.previous)};
    CHECK(world.of_meter("share") == one.share);
    CHECK(world.of_meter("trend") == one.trend);
  }
}

TEST_CASE("days to the next limit follow the pace of this period", "[account_update]") {
  struct Case {
    const char* what;
    std::string quantity;
    std::string as_of;
    std::vector<Decimal> crossed;
    const char* days;
  };
  const std::string half = "2026-02-14T23:00:00Z";
  for (const Case& one : std::vector<Case>{
           {"50 a day, 300 more", "500", "2026-02-10T23:00:00Z", {}, "6"},
           {"not a whole day left", "780", half, {}, "0"},
           {"the next one", "800", half, {dec("0.8")}, "3"},
           {"the period ends first", "400", half, {}, "null"},
           {"in the last instant of it", "400.001", half, {}, "13"},
           {"all are crossed", "1000", half, {dec("0.8"), dec("1")}, "null"},
           {"nothing used", "0", half, {}, "null"},
           {"nothing is complete yet", "500", "2026-01-31T23:00:00Z", {}, "null"},
       }) {
    INFO(one.what);
    World world;
    world.input.meters = {requests(one.quantity)};
    world.input.as_of = at(one.as_of);
    world.input.crossed[{"aqua-api", "api.requests"}] = one.crossed;
    CHECK(world.of_meter("days_to_limit") == one.days);
    world.input.meters[0].aggregation = Aggregation::max;
    CHECK(world.of_meter("days_to_limit") == "null");
  }
}

TEST_CASE("the share of the period before is the same, whatever the months' lengths",
          "[account_update]") {
  World world;
  const Period march{at("2026-02-28T23:00:00Z"), at("2026-03-31T22:00:00Z")};
  struct Case {
    Period period;
    const char* as_of;
    const char* from;
    const char* until;
  };
  for (const Case& one : std::vector<Case>{
           {kFebruary, "2026-02-14T23:00:00Z", "2025-12-31T23:00:00Z", "2026-01-16T11:00:00Z"},
           {kFebruary, "2026-01-31T23:00:00Z", "2025-12-31T23:00:00Z", "2025-12-31T23:00:00Z"},
           {kFebruary, "2026-02-28T23:00:00Z", "2025-12-31T23:00:00Z", "2026-01-31T23:00:00Z"},
           // The clock goes forward in March: 31 days less an hour.
           {march, "2026-03-16T10:30:00Z", "2026-01-31T23:00:00Z", "2026-02-14T23:00:00Z"},
           // The contract ends in the middle of the month.
           {{kFebruary.from, at("2026-02-14T23:00:00Z")},
            "2026-02-14T23:00:00Z",
            "2025-12-31T23:00:00Z",
            "2026-01-16T11:00:00Z"},
       }) {
    const auto before = same_share_before(world.contract(), one.period, at(one.as_of));
    REQUIRE(before);
    CHECK(to_rfc3339(before->from) == to_rfc3339(at(one.from)));
    CHECK(to_rfc3339(before->until) == to_rfc3339(at(one.until)));
  }
  CHECK_FALSE(same_share_before(world.contract(),
                                {at("2025-12-31T23:00:00Z"), at("2026-01-31T23:00:00Z")},
                                at("2026-01-15T00:00:00Z")));
}

DeviceNeed device(const char* name, const char* complete_through) {
  DeviceNeed out{.device = name, .required = kFebruary.until};
  StreamProgress stream;
  stream.device = name;
  if (complete_through != nullptr) stream.complete_through = at(complete_through);
  out.streams = {stream};
  return out;
}

TEST_CASE("a silent device holds back as_of, and is not heard once it is late",
          "[account_update]") {
  World world;
  const Timestamp now = at("2026-02-15T00:00:00Z");
  const DeviceNeed fresh = device("a", "2026-02-14T23:59:30Z");
  const DeviceNeed late = device("b", "2026-02-14T22:59:49Z");  // grace 10s and silence 1h ago
  const DeviceNeed silent = device("c", nullptr);
  CHECK(complete_as_of(kFebruary, {}, now) == now);
  CHECK(complete_as_of(kFebruary, {fresh, late}, now) == at("2026-02-14T22:59:49Z"));
  CHECK(complete_as_of(kFebruary, {fresh, silent}, now) == kFebruary.from);
  CHECK(complete_as_of(kFebruary, {device("a", "2026-03-02T00:00:00Z")},
                       at("2026-03-02T00:00:00Z")) == kFebruary.until);
  CHECK(devices_heard(world.contract(), {fresh, late, silent}, now) == 1);
  CHECK(devices_heard(world.contract(), {device("b", "2026-02-14T22:59:50Z")}, now) == 1);
}

TEST_CASE("signals say what grew and what fell, beyond their limits only", "[account_update]") {
  World world;
  const auto kinds = [&](const char* quantity) {
    world.input.meters = {requests(quantity, "", "1000")};
    std::string out;
    const Json body = world.body();
    for (const Json& signal : body.find("signals")->items())
      out += signal.find("kind")->text() + ": " + signal.find("because")->text();
    return out;
  };
  CHECK(kinds("1200").empty());
  CHECK(kinds("1200.1") ==
        "expansion: api.requests of aqua-api is 20 % above the period before at "
        "the same share of it");
  CHECK(kinds("700").empty());
  CHECK(kinds("590") ==
        "churn: api.requests of aqua-api is 41 % below the period before at the "
        "same share of it");
  world.input.closed = true;
  CHECK(kinds("590") == "churn: api.requests of aqua-api is 41 % below the period before");
}

TEST_CASE("health is the weighted mean of the parts that say something", "[account_update]") {
  struct Case {
    const char* what;
    std::vector<FeatureUse> features;
    const char* previous;  // of 500
    uint64_t devices;
    uint64_t heard;
    const char* score;
    std::vector<std::string> parts;
  };
  for (const Case& one : std::vector<Case>{
           {"nothing to judge by", {}, "", 0, 0, "null", {}},
           {"data only", {}, "", 3, 2, "66", {"data 66"}},
           {"growth is no more than healthy", {}, "100", 1, 1, "100", {"trend 100", "data 100"}},
           {"less than before", {}, "1000", 1, 1, "75", {"trend 50", "data 100"}},
           // (40 x 25 + 30 x 50 + 30 x 100) / 100
           {"all",
            {{"a", 1, 2}, {"b", 0, 2}},
            "1000",
            1,
            1,
            "55",
            {"adoption 25", "trend 50", "data 100"}},
           {"a feature that nobody could use", {{"a", 0, 0}}, "", 2, 1, "50", {"data 50"}},
       }) {
    INFO(one.what);
    World world;
    world.input.features = one.features;
    world.input.meters = {requests("500", "", one.previous)};
    world.input.devices = one.devices;
    world.input.devices_heard = one.heard;
    const Json health = *world.body().find("health");
    CHECK(health.is(Json::Kind::null) == (std::string(one.score) == "null"));
    if (health.is(Json::Kind::null)) continue;
    CHECK(health.find("score")->dump() == one.score);
    std::vector<std::string> parts;
    for (const Json& part : health.find("parts")->items())
      parts.push_back(part.find("name")->text() + " " + part.find("score")->text());
    CHECK(parts == one.parts);
  }
}

TEST_CASE("a value beyond 126 bits is refused, not cut", "[account_update]") {
  World world;
  world.input.meters = {requests("99999999999999999999999999999999999999", "", "0.000001")};
  const auto refused =
      make_account_update(world.catalog, world.contract(), world.rule(), world.input);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::reject);
}

TEST_CASE("an account update's body is canonical, byte for byte", "[account_update]") {
  World world;
  world.input.revision = 2;
  world.input.meters = {requests("850", "840", "400")};
  world.input.crossed[{"aqua-api", "api.requests"}] = {dec("0.8")};
  world.input.features = {{"search", 3, 12}};
  world.input.devices = 2;
  world.input.devices_heard = 1;
  world.input.evidence = {.log_leaves = 17, .streams = {}};
  const auto document =
      make_account_update(world.catalog, world.contract(), world.rule(), world.input);
  REQUIRE(document);
  CHECK(document->id == account_update_id("demo", "health", "aqua-2026", kFebruary.from));
  CHECK((document->revision == 2 && document->kind == "account-update"));
  CHECK((document->state == DocumentState::approved && document->connector == "crm"));
  CHECK((document->account == "aqua" && document->currency.empty()));
  CHECK(
      document->body ==
      R"({"format":1,"kind":"account-update","id":")" + document->id +
          R"(","revision":2,"tenant":"demo","account":{"name":"aqua","legal_name":"Aqua Works Ltd",)"
          R"("external":"C-1001"},"contract":"aqua-2026","connector":"crm","rule":"health",)"
          R"("reason":"limit","as_of":"2026-02-14T23:00:00.000Z","period":{)"
          R"("from":"2026-01-31T23:00:00.000Z","until":"2026-02-28T23:00:00.000Z",)"
          R"("local_from":"2026-02-01T00:00:00+01:00","local_until":"2026-03-01T00:00:00+01:00",)"
          R"("time_zone":"Europe/Brussels","zone_database":"2026a"},"meters":[{)"
          R"("subscription":"aqua-api","meter":"api.requests","product":"API-CALL","unit":"1",)"
          R"("quantity":"850","included":"1000","share":"0.8500","previous_quantity":"400",)"
          R"("trend":"1.1000","days_to_limit":2,"limits_crossed":["0.8"]}],)"
          R"("features":[{"name":"search","active":3,"known":12,"adoption":"0.2500"}],)"
          R"("signals":[{"kind":"expansion","because":"api.requests of aqua-api is 110 % above )"
          R"(the period before at the same share of it"}],"health":{"score":55,"parts":[)"
          R"({"name":"adoption","score":25,"weight":40,"because":"search 3 of 12 subjects"},)"
          R"({"name":"trend","score":100,"weight":30,"because":"of the period before at the )"
          R"(same share of it: api.requests of aqua-api 210 %"},)"
          R"({"name":"data","score":50,"weight":30,"because":"readings of 1 of 2 devices are )"
          R"(there"}]},"catalog":")" +
          world.catalog.hash().hex() + R"(","evidence":{"log_leaves":17,"streams":[]}})");
}

TEST_CASE("what is told of a contract is stored and read back", "[account_update]") {
  AccountState state;
  state.next_closed = kFebruary.from;
  CHECK(parse_account_state(to_json(state)) == state);
  state.open[kFebruary.from] = {2, {{{"aqua-api", "api.requests"}, {dec("0.8"), dec("1")}}}};
  state.overage = {{"aqua-api", "seats"}};
  state.renewal_until = at("2027-01-01T00:00:00Z");
  CHECK(parse_account_state(to_json(state)) == state);
  for (const char* broken :
       {"", "{}", R"({"next_closed_ms":"1"})", R"({"next_closed_ms":1,"open":[{}],"overage":[]})",
        R"({"next_closed_ms":1,"open":[],"overage":[{"meter":"m"}]})"})
    CHECK(parse_account_state(broken).error().code() == Errc::corrupt);
}

}  // namespace
}  // namespace ledgerline::collector
