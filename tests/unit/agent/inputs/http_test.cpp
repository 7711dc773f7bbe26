#include "agent/inputs/http.h"

#include <catch2/catch.hpp>
#include <deque>

#include "common/json.h"

namespace ledgerline::agent {
namespace {

class FixedClock final : public Clock {
 public:
  Timestamp now() override { return Timestamp(1'800'000'000'000); }
  Monotonic monotonic() override { return {5'000}; }
};

/// A journal that holds the commit until the test says so.
class HeldRecorder final : public RecordPort {
 public:
  void record(RecordRequest request, std::function<void(RecordResult)> done) override {
    waiting.emplace_back(std::move(request), std::move(done));
  }
  void commit(RecordResult result) {
    auto done = std::move(waiting.front().second);
    waiting.pop_front();
    done(std::move(result));
  }
  std::deque<std::pair<RecordRequest, std::function<void(RecordResult)>>> waiting;
};

class FixedReports final : public ReportPort {
 public:
  void status(std::function<void(std::string)> done) override { done("{\"ready\":true}\n"); }
  void metrics(std::function<void(std::string)> done) override { done("ledgerline_agent_up 1\n"); }
};

struct Fixture {
  FixedClock clock;
  HeldRecorder recorder;
  FixedReports reports;
  EventEndpoint endpoint{
      clock, recorder, reports, {{.number = 1, .name = "api.requests", .unit = "1"}}};
  std::vector<io::HttpResponse> answers;

  void send(io::HttpRequest request) {
    endpoint.handle(request,
                    [this](io::HttpResponse response) { answers.push_back(std::move(response)); });
  }
  void post(std::string body, std::string type = "application/cloudevents+json",
            std::vector<std::pair<std::string, std::string>> headers = {}) {
    headers.emplace_back("content-type", std::move(type));
    send({.method = "POST",
          .path = "/v1/events",
          .query = "",
          .headers = std::move(headers),
          .body = std::move(body)});
  }
};

const std::string kEvent =
    R"({"specversion":"1.0","type":"api.requests","source":"/app","id":"7","data":{"value":1}})";
const StreamId kStream({0xab, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});

TEST_CASE("an event is answered only after its commit, with stream and seqs") {
  Fixture f;

  f.post(kEvent);
  REQUIRE(f.recorder.waiting.size() == 1);
  CHECK(f.answers.empty());
  f.recorder.commit(RecordAnswer{.stream = kStream, .seqs = {41}, .repeated = {0}});

  REQUIRE(f.answers.size() == 1);
  CHECK(f.answers[0].status == 200);
  CHECK(f.answers[0].content_type == "application/json");
  CHECK(
      f.answers[0].body ==
      R"({"stream":"ab0102030405060708090a0b0c0d0e0f","seqs":[[41,41]],"duplicates":0,"readings":1})"
      "\n");
}

TEST_CASE("seqs are given as ranges in the order of the events") {
  struct Case {
    std::vector<Seq> seqs;
    const char* ranges;
  };
  const Case cases[] = {{{1}, "[[1,1]]"},
                        {{1, 2, 3}, "[[1,3]]"},
                        {{9, 10, 3, 11, 12}, "[[9,10],[3,3],[11,12]]"},
                        {{5, 5}, "[[5,5],[5,5]]"}};
  for (const Case& c : cases) {
    Fixture f;
    f.post(kEvent);
    f.recorder.commit(RecordAnswer{
        .stream = kStream, .seqs = c.seqs, .repeated = std::vector<uint8_t>(c.seqs.size(), 0)});
    INFO(f.answers.at(0).body);
    CHECK(f.answers[0].body.find(std::string("\"seqs\":") + c.ranges + ",") != std::string::npos);
  }
}

TEST_CASE("seqs of a request of both classes are given by stream") {
  Fixture f;
  f.post(kEvent);
  f.recorder.commit(RecordAnswer{.stream = kStream,
                                 .seqs = {7, 41, 8},
                                 .repeated = {0, 0, 1},
                                 .diagnostic_stream = StreamId({0xcd}),
                                 .diagnostic = {1, 0, 1}});
  CHECK(f.answers.at(0).body ==
        R"({"stream":"ab0102030405060708090a0b0c0d0e0f","seqs":[[41,41]],)"
        R"("diagnostic_stream":"cd000000000000000000000000000000","diagnostic_seqs":[[7,8]],)"
        R"("duplicates":1,"readings":3})"
        "\n");
}

TEST_CASE("the idempotency keys reach the recorder") {
  Fixture f;

  f.post("[" + kEvent + "]", "application/cloudevents-batch+json; charset=UTF-8",
         {{"idempotency-key", "request-9"}});

  REQUIRE(f.recorder.waiting.size() == 1);
  const RecordRequest& request = f.recorder.waiting.front().first;
  CHECK(request.request_key == "request-9");
  REQUIRE(request.items.size() == 1);
  CHECK(request.items[0].key == std::string("/app") + '\0' + "7");
  CHECK(request.items[0].reading.time_ms == 5'000);
}

TEST_CASE("binary mode is an event in headers") {
  Fixture f;

  f.post(R"({"value":"2"})", "application/json",
         {{"ce-specversion", "1.0"},
          {"ce-type", "api.requests"},
          {"ce-source", "/app"},
          {"ce-id", "8"}});

  REQUIRE(f.recorder.waiting.size() == 1);
  CHECK(f.recorder.waiting.front().first.items[0].reading.value == 2);
}

TEST_CASE("what cannot be taken is refused with a status that says who has to act") {
  struct Case {
    const char* what;
    std::string type;
    std::string body;
    unsigned status;
    const char* field;
  };
  const Case cases[] = {
      {"no content type known", "text/plain", kEvent, 415, "Content-Type"},
      {"json without ce headers", "application/json", kEvent, 415, "Content-Type"},
      {"another charset", "application/cloudevents+json; charset=latin1", kEvent, 415,
       "Content-Type"},
      {"no JSON", "application/cloudevents+json", "{", 400, ""},
      {"bad UTF-8", "application/cloudevents+json", "{\"id\":\"\xc3\x28\"}", 400, ""},
      {"empty batch", "application/cloudevents-batch+json", "[]", 422, ""},
      {"missing attributes", "application/cloudevents+json", "{}", 422, "specversion"},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Fixture f;
    f.post(c.body, c.type);
    REQUIRE(f.answers.size() == 1);
    CHECK(f.recorder.waiting.empty());
    CHECK(f.answers[0].status == c.status);
    CHECK(f.answers[0].content_type == "application/problem+json");
    const auto problem = parse_json(f.answers[0].body);
    REQUIRE(problem);
    CHECK((problem->find("field") == nullptr ? "" : problem->find("field")->text()) == c.field);
  }
}

TEST_CASE("what the recorder refuses names the event and the event's member") {
  struct Case {
    RecordRefusal refusal;
    unsigned status;
    const char* field;
    const char* event;
    const char* retry_after;
  };
  const Case cases[] = {
      {{.code = Errc::reject, .index = 3, .field = "value", .message = "m"},
       422,
       "data.value",
       "3",
       ""},
      {{.code = Errc::reject, .index = 2, .field = "meter", .message = "m"}, 422, "type", "2", ""},
      {{.code = Errc::reject, .index = 0, .field = "dimensions", .message = "m"},
       422,
       "data",
       "0",
       ""},
      {{.code = Errc::reject, .index = 1, .field = "time", .message = "m"}, 422, "time", "1", ""},
      {{.code = Errc::reject, .index = 0, .field = "request", .message = "m"},
       422,
       "Idempotency-Key",
       "",
       ""},
      {{.code = Errc::retry, .index = 0, .field = "", .message = "m"}, 429, "", "", "1"},
      {{.code = Errc::full, .index = 0, .field = "", .message = "m"}, 507, "", "", "30"},
      {{.code = Errc::config, .index = 0, .field = "", .message = "m"}, 503, "", "", "60"},
      {{.code = Errc::internal, .index = 0, .field = "", .message = "m"}, 500, "", "", ""},
  };
  for (const Case& c : cases) {
    INFO(c.refusal.field << " " << to_string(c.refusal.code));
    Fixture f;
    f.post(kEvent);
    f.recorder.commit(tl::unexpected<RecordRefusal>(c.refusal));
    REQUIRE(f.answers.size() == 1);
    CHECK(f.answers[0].status == c.status);
    const std::string* retry = f.answers[0].header("retry-after");
    CHECK((retry == nullptr ? "" : *retry) == c.retry_after);
    const auto problem = parse_json(f.answers[0].body);
    REQUIRE(problem);
    CHECK((problem->find("field") == nullptr ? "" : problem->find("field")->text()) == c.field);
    CHECK((problem->find("event") == nullptr ? "" : problem->find("event")->text()) == c.event);
  }
}

TEST_CASE("a request key has a limited length") {
  for (const std::string& key : {std::string(), std::string(256, 'k')}) {
    Fixture f;
    f.post(kEvent, "application/cloudevents+json", {{"idempotency-key", key}});
    REQUIRE(f.answers.size() == 1);
    CHECK(f.answers[0].status == 422);
  }
}

TEST_CASE("every path says what it is for") {
  struct Case {
    const char* method;
    const char* path;
    unsigned status;
    const char* words;
  };
  const Case cases[] = {
      {"GET", "/healthz", 200, "ok"},        {"HEAD", "/healthz", 200, "ok"},
      {"GET", "/v1/status", 200, "ready"},   {"GET", "/metrics", 200, "ledgerline_agent_up 1"},
      {"POST", "/metrics", 405, "GET"},      {"GET", "/v1/events", 405, "POST"},
      {"DELETE", "/v1/events", 405, "POST"}, {"GET", "/", 404, "/v1/events"},
  };
  for (const Case& c : cases) {
    INFO(c.method << " " << c.path);
    Fixture f;
    f.send({.method = c.method, .path = c.path, .query = "", .headers = {}, .body = ""});
    REQUIRE(f.answers.size() == 1);
    CHECK(f.answers[0].status == c.status);
    CHECK(f.answers[0].body.find(c.words) != std::string::npos);
    CHECK((f.answers[0].header("allow") != nullptr) == (c.status == 405));
  }
}

TEST_CASE("requests are counted by outcome") {
  Fixture f;
  f.post(kEvent);
  f.recorder.commit(RecordAnswer{.stream = kStream, .seqs = {1, 2}, .repeated = {0, 1}});
  f.post("{");
  f.post(kEvent);
  f.recorder.commit(tl::unexpected<RecordRefusal>(
      {.code = Errc::full, .index = 0, .field = "", .message = "full"}));

  std::string text;
  f.endpoint.append_metrics(text);

  for (const char* line :
       {"{outcome=\"recorded\"} 1\n", "{outcome=\"refused\"} 1\n", "{outcome=\"pushed_back\"} 1\n",
        "{outcome=\"failed\"} 0\n", "readings_total 1\n", "duplicates_total 1\n"}) {
    INFO(line << text);
    CHECK(text.find(line) != std::string::npos);
  }
}

TEST_CASE("the input's options are checked with their position") {
  struct Case {
    const char* toml;
    const char* words;
  };
  const Case bad[] = {
      {"", "needs socket"},
      {"listen = \"0.0.0.0:8787\"", "agent.toml:1:1: only loopback"},
      {"listen = \"192.168.1.2:8787\"", "only loopback"},
      {"listen = \"localhost\"", "127.0.0.1:8787"},
      {"listen = \"127.0.0.1:99999\"", "127.0.0.1:8787"},
      {"socket = \"\"", "107"},
      {"listen = \"127.0.0.1:0\"\nbody_max = \"1GiB\"", "agent.toml:2:1: between"},
      {"listen = \"127.0.0.1:0\"\nbody_maxx = \"1MiB\"", "body_max"},
  };
  for (const Case& c : bad) {
    INFO(c.toml);
    auto table = TomlTable::parse(c.toml, "agent.toml");
    REQUIRE(table);
    const auto input = prepare_http_input(*table, "/etc/ledgerline");
    REQUIRE_FALSE(input);
    INFO(input.error().text());
    CHECK(input.error().text().find(c.words) != std::string::npos);
  }
  for (const char* good : {"listen = \"127.0.0.1:0\"", "listen = \"[::1]:8787\"",
                           "socket = \"/run/x.sock\"\nbody_max = \"64KiB\""}) {
    INFO(good);
    auto table = TomlTable::parse(good, "agent.toml");
    REQUIRE(table);
    CHECK(prepare_http_input(*table, "/etc/ledgerline"));
  }
}

}  // namespace
}  // namespace ledgerline::agent
