#include "agent/core/cloud_event.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <iostream>

#include "common/json.h"

namespace ledgerline::agent {
namespace {

const std::string kKey = std::string("/app") + '\0' + "7";

const MeterIndex& meters() {
  static const MeterIndex kMeters({
      {.number = 1, .name = "api.requests", .unit = "1", .scale = 0, .kind = MeterKind::delta},
      {.number = 2, .name = "water.volume", .unit = "m3", .scale = 3, .kind = MeterKind::register_},
      {.number = 3, .name = "tank.level", .unit = "%", .scale = 2, .kind = MeterKind::gauge},
      {.number = 4, .name = "door.opened", .unit = "1", .scale = 0, .kind = MeterKind::event},
      {.number = 5,
       .name = "trips",
       .unit = "1",
       .scale = 0,
       .kind = MeterKind::delta,
       .forward_ids = true},
      {.number = 6, .name = "energy.fine", .unit = "J", .scale = 18, .kind = MeterKind::delta},
  });
  return kMeters;
}

std::string event(const std::string& type, const std::string& data, const std::string& more = "") {
  return R"({"specversion":"1.0","type":")" + type + R"(","source":"/app","id":"7","data":)" +
         data + more + "}";
}

TEST_CASE("an event becomes a reading with its key") {
  const auto events = read_event(
      event(
          "api.requests",
          R"({"value":"12","unit":"1","route":"/v2/maps","status":200,"cached":true})",
          R"(,"subject":"aqua","time":"2026-11-20T08:15:00.250+01:00","datacontenttype":"application/json","tries":3)"),
      meters(), {5});

  REQUIRE(events);
  REQUIRE(events->size() == 1);
  const Reading& reading = events->front().reading;
  CHECK(reading.meter == 1);
  CHECK(reading.value == 12);
  CHECK(reading.subject == "aqua");
  CHECK(reading.time_ms == parse_rfc3339("2026-11-20T07:15:00.250Z")->unix_ms());
  CHECK_FALSE(reading.monotonic_time);
  CHECK(reading.dimensions ==
        DimensionSet{{"cached", "true"}, {"route", "/v2/maps"}, {"status", "200"}});
  CHECK(reading.id.empty());
  CHECK(events->front().key == kKey);
}

TEST_CASE("an event without a time gets the monotonic clock") {
  const auto events = read_event(event("api.requests", R"({"value":1})"), meters(), {987'654});

  REQUIRE(events);
  CHECK(events->front().reading.monotonic_time);
  CHECK(events->front().reading.time_ms == 987'654);
}

TEST_CASE("values are exact at the meter's scale") {
  struct Case {
    const char* meter;
    const char* data;
    int64_t value;
  };
  const Case cases[] = {
      {"api.requests", R"({"value":1})", 1},
      {"api.requests", R"({"value":"1"})", 1},
      {"api.requests", R"({"value":0})", 0},
      {"api.requests", R"({"value":"1.000"})", 1},
      {"api.requests", R"({"value":"9223372036854775807"})", INT64_MAX},
      {"tank.level", R"({"value":"12.5"})", 1250},
      {"tank.level", R"({"value":"-0.05"})", -5},
      {"tank.level", R"({"value":-3})", -300},
      {"tank.level", R"({"value":"12.500000"})", 1250},
      {"energy.fine", R"({"value":"1.000000000000000001"})", 1'000'000'000'000'000'001},
      {"energy.fine", R"({"value":"0.000000000000000001"})", 1},
      {"door.opened", R"({})", 1},
      {"door.opened", R"({"value":"4"})", 4},
  };
  for (const Case& c : cases) {
    INFO(c.meter << " " << c.data);
    const auto events = read_event(event(c.meter, c.data), meters(), {});
    REQUIRE(events);
    CHECK(events->front().reading.value == c.value);
  }
}

TEST_CASE("a register's event carries the counter and leaves the consumption to the recorder") {
  const auto events = read_event(event("water.volume", R"({"value":"18.250"})"), meters(), {});

  REQUIRE(events);
  CHECK(events->front().reading.register_value == 18'250);
}

TEST_CASE("a meter that forwards ids carries source and id in the reading") {
  const auto events = read_event(event("trips", R"({"value":1})"), meters(), {});

  REQUIRE(events);
  CHECK(events->front().reading.id == kKey);
}

TEST_CASE("an event that happened needs no data at all") {
  CHECK(read_event(R"({"specversion":"1.0","type":"door.opened","source":"s","id":"1"})", meters(),
                   {}));
}

TEST_CASE("a batch keeps its order and nothing of one event leaks into the next") {
  const auto events =
      read_event_batch("[" +
                           event("tank.level", R"({"value":"1","side":"left"})",
                                 R"(,"subject":"a","time":"2026-01-01T00:00:00Z")") +
                           "," + event("api.requests", R"({"value":2})") + "]",
                       meters(), {1});

  REQUIRE(events);
  REQUIRE(events->size() == 2);
  CHECK((*events)[0].reading.subject == "a");
  CHECK((*events)[1].reading.subject.empty());
  CHECK((*events)[1].reading.dimensions.empty());
  CHECK((*events)[1].reading.monotonic_time);
  CHECK(read_event_batch("[]", meters(), {})->empty());
}

TEST_CASE("binary mode takes attributes from headers") {
  const std::vector<std::pair<std::string, std::string>> attributes = {{"specversion", "1.0"},
                                                                       {"type", "api.requests"},
                                                                       {"source", "/app"},
                                                                       {"id", "7"},
                                                                       {"subject", "caf%C3%A9"}};

  const auto events = read_binary_event(attributes, R"({"value":"3","route":"x"})", meters(), {});

  REQUIRE(events);
  CHECK(events->front().reading.value == 3);
  CHECK(events->front().reading.subject == "caf\xC3\xA9");
  CHECK(events->front().reading.dimensions == DimensionSet{{"route", "x"}});
  CHECK_FALSE(read_binary_event({{"specversion", "1.0"}}, R"({"value":"3"})", meters(), {}));
  CHECK_FALSE(read_binary_event({{"subject", "%zz"}}, R"({"value":"3"})", meters(), {}));
  CHECK_FALSE(read_binary_event({{"subject", "%"}}, R"({"value":"3"})", meters(), {}));
  CHECK_FALSE(read_binary_event(attributes, "[1]", meters(), {}));
}

struct BadCase {
  std::string what;
  std::string body;  // one event of the batch, after a good one
  unsigned status;
  std::string field;
  std::string words;  // stand in the detail
};

TEST_CASE("every bad event is refused by its index and field") {
  const auto changed = [](const std::string& from, const std::string& to) {
    std::string text = event("api.requests", R"({"value":"1"})");
    const size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
  };
  const auto data = [](const std::string& text) { return event("api.requests", text); };
  std::string many = R"({"value":1)";
  for (int i = 0; i < 17; ++i) many += ",\"d" + std::to_string(i) + "\":1";
  const std::vector<BadCase> cases = {
      {"no specversion", changed(R"("specversion":"1.0",)", ""), 422, "specversion", "missing"},
      {"other specversion", changed("1.0", "0.3"), 422, "specversion", "only \"1.0\""},
      {"no type", changed(R"("type":"api.requests",)", ""), 422, "type", "missing"},
      {"no source", changed(R"("source":"/app",)", ""), 422, "source", "missing"},
      {"no id", changed(R"("id":"7",)", ""), 422, "id", "missing"},
      {"empty id", changed(R"("id":"7")", R"("id":"")"), 422, "id", "empty"},
      {"numeric id", changed(R"("id":"7")", R"("id":7)"), 422, "id", "string"},
      {"id too long", changed(R"("id":"7")", "\"id\":\"" + std::string(509, 'i') + "\""), 422, "id",
       "512 bytes"},
      {"control character in id", changed(R"("id":"7")", R"("id":"a\u0000b")"), 422, "id",
       "control"},
      {"id twice", changed(R"("id":"7")", R"("id":"7","id":"8")"), 422, "id", "twice"},
      {"unknown meter", changed("api.requests", "api.request"), 422, "type",
       "did you mean \"api.requests\""},
      {"unknown meter, nothing near", changed("api.requests", "zzz"), 422, "type",
       "declare it as [[meter]]"},
      {"subject too long",
       event("api.requests", R"({"value":1})", ",\"subject\":\"" + std::string(257, 's') + "\""),
       422, "subject", "256 bytes"},
      {"empty subject", event("api.requests", R"({"value":1})", R"(,"subject":"")"), 422, "subject",
       "leave the member out"},
      {"bad time", event("api.requests", R"({"value":1})", R"(,"time":"yesterday")"), 422, "time",
       "RFC 3339"},
      {"attribute is an object", event("api.requests", R"({"value":1})", R"(,"x":{})"), 422, "x",
       "attribute"},
      {"attribute is an array", event("api.requests", R"({"value":1})", R"(,"x":[1])"), 422, "x",
       "nested"},
      {"data_base64", event("api.requests", R"({"value":1})", R"(,"data_base64":"AA==")"), 422,
       "data_base64", "JSON object"},
      {"data is a string", data(R"("1")"), 422, "data", "object"},
      {"data is a number", data("1"), 422, "data", "object"},
      {"data is null", data("null"), 422, "data", "object"},
      {"data is an array", data("[1]"), 422, "data", "dimension"},
      {"data twice", event("api.requests", R"({"value":1})", R"(,"data":{})"), 422, "data",
       "twice"},
      {"no value", data("{}"), 422, "data.value", "missing"},
      {"value twice", data(R"({"value":1,"value":2})"), 422, "data.value", "twice"},
      {"value is a fraction", data(R"({"value":1.5})"), 422, "data.value", "quoted"},
      {"value has an exponent", data(R"({"value":1e3})"), 422, "data.value", "quoted"},
      {"value is a boolean", data(R"({"value":true})"), 422, "data.value", "not a boolean"},
      {"value is null", data(R"({"value":null})"), 422, "data.value", "null"},
      {"value is an object", data(R"({"value":{"a":1}})"), 422, "data.value", "nested"},
      {"value is empty", data(R"({"value":""})"), 422, "data.value", "empty"},
      {"value is NaN", data(R"({"value":"NaN"})"), 422, "data.value", "\"NaN\" cannot be recorded"},
      {"value is Infinity", data(R"({"value":"Infinity"})"), 422, "data.value",
       "cannot be recorded"},
      {"value in words", data(R"({"value":"ten"})"), 422, "data.value", "cannot be recorded"},
      {"value quoted with exponent", data(R"({"value":"1e3"})"), 422, "data.value",
       "cannot be recorded"},
      {"value with a comma", data(R"({"value":"1,5"})"), 422, "data.value", "cannot be recorded"},
      {"value with a space", data(R"({"value":" 1"})"), 422, "data.value", "cannot be recorded"},
      {"value begins with a point", data(R"({"value":".5"})"), 422, "data.value",
       "cannot be recorded"},
      {"value ends with a point", data(R"({"value":"5."})"), 422, "data.value",
       "cannot be recorded"},
      {"too many places", data(R"({"value":"0.5"})"), 422, "data.value", "0 decimal places"},
      {"over 64 bits", data(R"({"value":"9223372036854775808"})"), 422, "data.value", "too large"},
      {"over 64 bits as integer", data(R"({"value":9223372036854775808})"), 422, "data.value",
       "too large"},
      {"over 64 bits at the scale", event("energy.fine", R"({"value":"10"})"), 422, "data.value",
       "too large"},
      {"40 digits", data("{\"value\":\"" + std::string(40, '9') + "\"}"), 422, "data.value",
       "cannot be recorded"},
      {"negative delta", data(R"({"value":-1})"), 422, "data.value", "negative; a delta"},
      {"negative register", event("water.volume", R"({"value":"-0.001"})"), 422, "data.value",
       "negative; a register"},
      {"negative event", event("door.opened", R"({"value":"-1"})"), 422, "data.value",
       "negative; a event"},
      {"wrong unit", data(R"({"value":1,"unit":"kWh"})"), 422, "data.unit",
       "counts in \"1\", the event says \"kWh\""},
      {"unit is a number", data(R"({"value":1,"unit":1})"), 422, "data.unit", "string"},
      {"dimension is a fraction", data(R"({"value":1,"load":0.5})"), 422, "data.load",
       "string, an integer"},
      {"dimension is null", data(R"({"value":1,"d":null})"), 422, "data.d", "leave the member out"},
      {"dimension is an object", data(R"({"value":1,"d":{"x":1}})"), 422, "data.d", "nested"},
      {"dimension twice", data(R"({"value":1,"d":"1","d":"2"})"), 422, "data.d", "twice"},
      {"dimension without a name", data(R"({"value":1,"":"1"})"), 422, "data.", "1 to 64 bytes"},
      {"dimension name too long", data("{\"value\":1,\"" + std::string(65, 'n') + "\":1}"), 422,
       "data." + std::string(64, 'n'), "64 bytes"},
      {"dimension value too long", data("{\"value\":1,\"d\":\"" + std::string(257, 'v') + "\"}"),
       422, "data.d", "256 bytes"},
      {"17 dimensions", data(many + "}"), 422, "data.d16", "at most 16"},
      {"event is a number", "1", 422, "", "an event is a JSON object"},
      {"event is an array", "[]", 422, "", "an event is a JSON object"},
  };
  for (const BadCase& c : cases) {
    INFO(c.what << ": " << c.body);
    const auto events = read_event_batch(
        "[" + event("tank.level", R"({"value":"1"})") + "," + c.body + "]", meters(), {});
    REQUIRE_FALSE(events);
    INFO(events.error().detail);
    CHECK(events.error().status == c.status);
    CHECK(events.error().event == 1u);
    CHECK(events.error().field == c.field);
    CHECK(events.error().detail.find(c.words) != std::string::npos);
  }
}

TEST_CASE("a body that is no request of events is refused as a whole") {
  struct Case {
    const char* body;
    unsigned status;
  };
  const Case batches[] = {{"", 400},
                          {"[", 400},
                          {"[]]", 400},
                          {"nonsense", 400},
                          {"[{\"id\":NaN}]", 400},
                          {"\"text\"", 422},
                          {"7", 422},
                          {"null", 422},
                          {"{\"specversion\":\"1.0\"}", 422},
                          {"[{\"id\":\"\xff\"}]", 400}};
  for (const Case& c : batches) {
    INFO(c.body);
    const auto events = read_event_batch(c.body, meters(), {});
    REQUIRE_FALSE(events);
    CHECK(events.error().status == c.status);
  }
  CHECK(read_event("[]", meters(), {}).error().status == 422);
  CHECK(read_event(std::string(100'000, '['), meters(), {}).error().status == 422);
  CHECK(read_event("{\"data\":" + std::string(100'000, '['), meters(), {}).error().status == 422);
}

TEST_CASE("a request holds a limited number of events") {
  std::string body = "[";
  for (size_t i = 0; i <= kEventsPerRequestMax; ++i)
    body += (i == 0 ? "" : ",") + event("door.opened", "{}");

  const auto events = read_event_batch(body + "]", meters(), {});

  REQUIRE_FALSE(events);
  CHECK(events.error().status == 413);
}

TEST_CASE("a refusal reads as problem+json") {
  const auto refused = read_event(event("api.requests", R"({"value":"x"})"), meters(), {});
  REQUIRE_FALSE(refused);

  const auto problem = parse_json(problem_json(refused.error()));

  REQUIRE(problem);
  CHECK(problem->find("type")->text() == "about:blank");
  CHECK(problem->find("title")->text() == "Unprocessable Content");
  CHECK(problem->find("status")->text() == "422");
  CHECK(problem->find("event")->text() == "0");
  CHECK(problem->find("field")->text() == "data.value");
  CHECK(problem->find("detail")->text().find("\"x\" cannot be recorded") == 0);
}

TEST_CASE("events per second of parsing", "[.bench]") {
  std::string body = "[";
  for (int i = 0; i < 100; ++i) {
    body +=
        (i == 0 ? "" : ",") +
        std::string(
            R"({"specversion":"1.0","type":"api.requests","source":"/shop/checkout","id":"01JC8M3W)") +
        std::to_string(100000 + i) + R"(","time":"2026-11-20T08:15:00.250Z","subject":"customer-)" +
        std::to_string(i % 7) +
        R"(","data":{"value":"1","unit":"1","route":"/v2/maps","status":200}})";
  }
  body += "]";
  const int rounds = 3000;
  const auto begin = std::chrono::steady_clock::now();
  size_t count = 0;
  for (int i = 0; i < rounds; ++i) count += read_event_batch(body, meters(), {})->size();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::cout << "events/s: " << static_cast<double>(count) / took.count()
            << ", bytes per event: " << body.size() / 100 << "\n";
}

}  // namespace
}  // namespace ledgerline::agent
