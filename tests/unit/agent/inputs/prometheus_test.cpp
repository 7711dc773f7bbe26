#include "agent/inputs/prometheus.h"

#include "agent/inputs/prometheus_options.h"
#include "agent/journal/group_commit.h"
#include "common/io/http_server.h"
#include "tests/unit/agent/journal/fixture.h"

namespace ledgerline::agent {
namespace {

using test::Device;

const std::vector<MeterRow> kMeters = {
    {.number = 1, .name = "calls", .unit = "1"},
    {.number = 2, .name = "bytes", .unit = "By", .kind = MeterKind::register_},
    {.number = 3, .name = "level", .unit = "1", .kind = MeterKind::gauge},
};

const std::string kGood = R"(url = "http://127.0.0.1:9100/metrics"
interval = "1s"

[[metric]]
name = "sent_bytes_total"
where = { code = "200" }
ignore = ["instance"]
meter = "bytes"
subject = { label = "client" }
)";

Result<PrometheusOptions> read(const std::string& text) {
  auto table = TomlTable::parse(text, "agent.toml");
  if (!table) FAIL(table.error().text());
  return read_prometheus_options(*table, "/etc/ledgerline", kMeters);
}

std::string replaced(const std::string& from, const std::string& to) {
  std::string out = kGood;
  const size_t at = out.find(from);
  REQUIRE(at != std::string::npos);
  return out.replace(at, from.size(), to);
}

TEST_CASE("a target is configured as written") {
  const auto options = read(kGood);

  if (!options) FAIL(options.error().text());
  CHECK(options->parsed_url.path == "/metrics");
  CHECK(options->interval == std::chrono::seconds(1));
  REQUIRE(options->rules.size() == 1);
  CHECK(options->rules[0].ignore.contains("instance"));
  CHECK(options->rules[0].series.subject->label == "client");
}

TEST_CASE("every mistake of a target's table is named with its place") {
  struct Case {
    const char* from;
    const char* to;
    const char* words;
  };
  const Case cases[] = {
      {"http://127.0.0.1", "http://example.com", "agent.toml:1:1: without TLS"},
      {"http://127.0.0.1", "127.0.0.1", "begins with https://"},
      {"\"1s\"", "\"1s\"\nca = \"ca.pem\"", "for https:// only"},
      {"\"1s\"", "\"10ms\"", "agent.toml:2:1: interval is between"},
      {"\"sent_bytes_total\"", "\"sent-bytes\"", "agent.toml:5:1: name is"},
      {"\"sent_bytes_total\"", "\"a{}\"", "name is"},
      {"meter = \"bytes\"", "meter = \"calls\"", "cannot be of kind delta"},
      {"meter = \"bytes\"", "meter = \"byte\"", "did you mean \"bytes\"?"},
      {"label = ", "lable = ", "missing key \"label\""},
      {"where", "were", "did you mean \"where\"?"},
  };
  for (const Case& c : cases) {
    INFO(c.to);
    const auto options = read(replaced(c.from, c.to));
    REQUIRE_FALSE(options);
    INFO(options.error().text());
    CHECK(options.error().text().find(c.words) != std::string::npos);
  }
  CHECK_FALSE(read("url = \"http://127.0.0.1/\"\n"));
  const auto table = TomlTable::parse(kGood, "agent.toml");
  CHECK(prepare_prometheus_input({.tables = {*table}, .folder = "/", .app_meters = kMeters}));
  CHECK_FALSE(
      prepare_prometheus_input({.tables = {*table, *table}, .folder = "/", .app_meters = kMeters}));
}

class NoReports final : public ReportPort {
 public:
  void status(std::function<void(std::string)>) override {}
  void metrics(std::function<void(std::string)>) override {}
};

/// Records in the journal, but not what is about one subject.
class Picky final : public RecordPort {
 public:
  Picky(RecordPort& next, const std::string& subject) : next_(next), subject_(subject) {}
  void record(RecordRequest request, std::function<void(RecordResult)> done) override {
    for (size_t i = 0; i < request.items.size(); ++i) {
      if (subject_.empty() || request.items[i].reading.subject != subject_) continue;
      return done(tl::unexpected<RecordRefusal>(
          {.code = Errc::reject, .index = i, .field = "subject", .message = "not this one"}));
    }
    next_.record(std::move(request), std::move(done));
  }

 private:
  RecordPort& next_;
  const std::string& subject_;
};

/// One start of the agent with one target per path of a server; its end is as sudden as a kill.
class Run {
  Device& device_;
  io::Runtime runtime_;
  std::unique_ptr<io::HttpServer> server_;
  NoReports reports_;

 public:
  Run(Device& device, std::string body, int paths = 1) : device_(device), text(std::move(body)) {
    auto opened = io::HttpServer::open(
        runtime_.context(), {.socket_path = "", .listen = "127.0.0.1:0"},
        [this](const io::HttpRequest&, const io::HttpServer::Respond& respond) {
          ++asked;
          respond({.status = answer, .body = text, .headers = {}});
        });
    if (!opened) FAIL(opened.error().text());
    server_ = std::move(*opened);
    std::vector<TomlTable> tables;
    for (int i = 0; i < paths; ++i) {
      const std::string url =
          "http://127.0.0.1:" + std::to_string(server_->port()) + "/" + std::to_string(i);
      tables.push_back(
          *TomlTable::parse(replaced("http://127.0.0.1:9100/metrics", url), "agent.toml"));
    }
    auto prepared = prepare_prometheus_input(
        {.tables = std::move(tables), .folder = "/", .app_meters = kMeters});
    if (!prepared) FAIL(prepared.error().text());
    input = std::move(*prepared);
    const auto started = input->start({.runtime = runtime_,
                                       .clock = device.clock,
                                       .recorder = picky,
                                       .reports = reports_,
                                       .holds = holds,
                                       .app_meters = kMeters,
                                       .own_meters = {},
                                       .bookmarks = {}});
    if (!started) FAIL(started.error().text());
  }
  ~Run() { end(); }

  void end() {
    input->stop();
    server_->stop();
    runtime_.storage().join();
  }
  void until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!done()) {
      runtime_.context().run_one_for(std::chrono::seconds(1));
      if (std::chrono::steady_clock::now() > deadline) FAIL(input->status().dump());
    }
  }
  [[nodiscard]] std::string shown(const char* member, size_t target = 0) const {
    return input->status().items()[target].find(member)->text();
  }

  GroupCommit commits{
      runtime_, device_.clock, *device_.journal, *device_.signer, {}, [](const Error& error) {
        FAIL(error.text());
      }};
  std::string refuse_subject;
  Picky picky{commits, refuse_subject};
  PromiseHolds holds;
  std::unique_ptr<Input> input;
  std::string text;
  unsigned answer = 200;
  int asked = 0;
};

std::string sent(const std::string& value) {
  return "# TYPE sent_bytes_total counter\nsent_bytes_total{client=\"aqua\",code=\"200\"} " +
         value + "\n";
}

int64_t sum(const Device& device) {
  for (const auto& [meter, total] : device.status().totals) {
    if (meter == 2) return static_cast<int64_t>(total);
  }
  return 0;
}

TEST_CASE("the first scrape is a base, and a restart of the agent counts nothing twice") {
  Device device;
  {
    Run run(device, sent("1000"));
    CHECK(run.holds.earliest() == device.clock.wall);
    run.until([&] { return run.shown("readings") == "1"; });
    CHECK(run.holds.earliest() == std::nullopt);
    run.text = sent("1.25e3");
    run.until([&] { return run.shown("readings") == "2"; });
    CHECK(run.shown("state") == "scraping");
    run.end();
  }
  CHECK(sum(device) == 250);

  device.open();
  Run run(device, sent("1300"));
  run.until([&] { return run.shown("readings") == "1"; });
  run.text = sent("40");  // the service began again
  run.until([&] { return run.shown("readings") == "2"; });
  run.end();

  CHECK(sum(device) == 250 + 50 + 40);
}

TEST_CASE("a scrape that fails is shown with its reason, and the next one goes on") {
  Device device;
  Run run(device, "nothing of the kind\n");
  run.until([&] { return run.shown("failed_scrapes") == "1"; });
  CHECK(run.shown("problem").find("no sample") != std::string::npos);
  run.answer = 500;
  run.until([&] { return run.shown("failed_scrapes") == "2"; });
  CHECK(run.shown("problem").find("status 500") != std::string::npos);
  CHECK(run.holds.earliest() == std::nullopt);
  run.answer = 200;
  run.text = sent("1");

  run.until([&] { return run.shown("readings") == "1"; });

  CHECK(run.shown("state") == "scraping");
  std::string metrics;
  run.input->append_metrics(metrics);
  CHECK(metrics.find("_failed_scrapes_total{url=\"http://127.0.0.1:") != std::string::npos);
}

TEST_CASE("a reading that the recorder refuses takes no other one with it") {
  Device device;
  Run run(device,
          "sent_bytes_total{client=\"bad\",code=\"200\"} 1\n"
          "sent_bytes_total{client=\"aqua\",code=\"200\"} 2\n");
  run.refuse_subject = "bad";

  run.until([&] { return run.shown("readings") == "1"; });

  CHECK(run.shown("bad_samples") == "1");
  CHECK(run.shown("state") == "scraping");
}

TEST_CASE("a series is read from one target only") {
  Device device;
  Run run(device, sent("1000"), 2);

  run.until([&] { return run.shown("scrapes", 0) == "1" && run.shown("scrapes", 1) == "1"; });

  const auto bad = [&](size_t target) { return run.shown("bad_samples", target); };
  CHECK(((bad(0) == "0" && bad(1) == "1") || (bad(0) == "1" && bad(1) == "0")));
}

}  // namespace
}  // namespace ledgerline::agent
