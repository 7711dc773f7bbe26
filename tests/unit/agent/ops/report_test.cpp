#include "agent/ops/report.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

AgentConfig config() {
  AgentConfig out;
  out.tenant = "demo";
  out.device = "app-1";
  return out;
}

JournalStatus journal() {
  JournalStatus out;
  out.enrolled = true;
  out.next_seq = 1001;
  out.sealed_upto = 900;
  out.head_batch = 9;
  out.acked_upto = 7;
  out.totals = {{2, Int128(1250)}, {3, Int128(77)}};
  out.meters.rows = {
      {.number = 2, .name = "tank.filled", .unit = "m3", .scale = 3},
      {.number = 3, .name = "room.temperature", .unit = "Cel", .kind = MeterKind::gauge}};
  out.promised = Timestamp(1'800'000'000'000);
  return out;
}

TEST_CASE("a report says the same as the journal, exactly") {
  const Json report = status_report(config(), journal(), std::nullopt);

  CHECK(report.find("next_seq")->text() == "1001");
  CHECK(report.find("sealed_upto")->text() == "900");
  CHECK(report.find("running")->as_bool() == false);
  CHECK(report.find("complete_through")->text() == "2027-01-15T08:00:00.000Z");
  CHECK(report.find("totals")->items().at(0).find("total")->text() == "1.250");
  CHECK(report.find("totals")->items().size() == 1);
  CHECK(report.find("uplink") == nullptr);
  CHECK(parse_json(report.dump()) == report);
}

TEST_CASE("a report reads as words") {
  LiveReport live;
  live.uplink.failure = "the broker's certificate has expired";
  const std::string text = status_text(status_report(config(), journal(), live));

  CHECK(text.find("demo/app-1: running") == 0);
  CHECK(text.find("newest 9, receipted up to 7") != std::string::npos);
  CHECK(text.find("not connected to the broker: the broker's certificate has expired") !=
        std::string::npos);
  CHECK(text.find("tank.filled 1.250 m3") != std::string::npos);
  CHECK(status_text(status_report(config(), JournalStatus{}, std::nullopt))
            .find("not enrolled yet") != std::string::npos);
  CHECK(status_text(Json::object()).find("not enrolled") != std::string::npos);
}

TEST_CASE("a clock that is not believed is reported with what waits and what to do") {
  CHECK(status_text(status_report(config(), journal(), LiveReport{})).find("CLOCK") ==
        std::string::npos);
  JournalStatus doubted = journal();
  doubted.clock = {.anchored = false,
                   .doubt = ClockVerdict::impossible,
                   .doubted_for = std::chrono::seconds(90),
                   .doubts = 1,
                   .waiting = 812,
                   .floor = Timestamp(1'800'000'000'000)};

  const std::string text = status_text(status_report(config(), doubted, LiveReport{}));
  const std::string metrics = metrics_text(doubted, LiveReport{});

  for (const char* part :
       {"NOT BELIEVED for 90 seconds", "2027-01-15T08:00:00.000Z", "812 readings", "NTP"}) {
    INFO(part);
    CHECK(text.find(part) != std::string::npos);
  }
  CHECK(metrics.find("ledgerline_agent_clock_believed 0\n") != std::string::npos);
  CHECK(metrics.find("ledgerline_agent_clock_doubts_total 1\n") != std::string::npos);
  CHECK(metrics.find("ledgerline_agent_readings_without_time 812\n") != std::string::npos);
  doubted.clock = {.doubt = ClockVerdict::unsynchronised_step};
  CHECK(status_text(status_report(config(), doubted, LiveReport{})).find("no time source") !=
        std::string::npos);
}

TEST_CASE("a diagnostic stream is reported beside the billing one") {
  DiagnosticReport diagnostic{.journal = journal(), .live = StreamReport{}};
  diagnostic.journal.head_batch = 41;
  diagnostic.journal.dropped = 1234;
  diagnostic.live->uplink.alarm = "frozen";
  diagnostic.live->uplink.tombstones_sent = 3;

  const Json report = status_report(config(), journal(), LiveReport{}, diagnostic);

  CHECK(report.find("head_batch")->text() == "9");
  CHECK(report.find("diagnostic")->find("head_batch")->text() == "41");
  const std::string text = status_text(report);
  CHECK(text.find("1234 readings dropped for lack of room") != std::string::npos);
  CHECK(text.find("; frozen") != std::string::npos);
  const std::string metrics = metrics_text(journal(), LiveReport{}, diagnostic);
  CHECK(metrics.find("ledgerline_agent_diagnostic_dropped_readings 1234\n") != std::string::npos);
  CHECK(metrics.find("ledgerline_agent_diagnostic_tombstones_sent_total 3\n") != std::string::npos);
  CHECK(metrics_text(journal(), LiveReport{}).find("diagnostic") == std::string::npos);
}

TEST_CASE("what the collector says steers no terminal") {
  LiveReport live;
  live.uplink.alarm = "revoked\x1b[2J";

  CHECK_THAT(status_text(status_report(config(), journal(), live)),
             Catch::Contains("revoked\\u001b[2J\n"));
}

TEST_CASE("a followed file is shown with its newest bad lines") {
  LiveReport live;
  live.inputs.set(
      "file",
      *parse_json(R"([{"path":"/a.log","state":"catching up","problem":"","offset":10,"size":90,)"
                  R"("lines":7,"bad_lines":1,"readings":6,"truncations":0,"lost_files":2,)"
                  R"("lines_per_s":5,"seconds_left":16,)"
                  R"("newest_bad":[{"offset":3,"reason":"it is not UTF-8","line":"x\\xff"}]}])"));

  const std::string text = status_text(status_report(config(), journal(), live));

  CHECK(text.find("/a.log: catching up, 10 of 90 bytes, 7 lines, 6 readings, 5 lines/s, 16 s left; "
                  "2 files were gone before they were read\n") != std::string::npos);
  CHECK(text.find("bad lines  1, the newest:\n      at byte 3: it is not UTF-8: x\\xff\n") !=
        std::string::npos);
}

TEST_CASE("statsd is shown with what it could not count") {
  LiveReport live;
  live.inputs.set(
      "statsd",
      *parse_json(R"({"listen":"127.0.0.1:8125","socket":"/run/s.sock","state":"receiving",)"
                  R"("problem":"","lines":9,"samples":6,"readings":4,"bad_lines":1,)"
                  R"("unmapped_lines":2,"over_limit_lines":0,"kernel_drops":3,"kept_series":0,)"
                  R"("dropped_samples":0,"unmapped":[{"name":"other","lines":2}],)"
                  R"("newest_bad":[{"reason":"it has no type","line":"x\\xff"}]})"));

  const std::string text = status_text(status_report(config(), journal(), live));

  CHECK(text.find("statsd     127.0.0.1:8125, /run/s.sock: receiving, 9 lines, 6 samples, "
                  "4 readings; 3 datagrams were dropped by the kernel\n") != std::string::npos);
  CHECK(text.find("bad lines  1, the newest:\n      it has no type: x\\xff\n") !=
        std::string::npos);
  CHECK(text.find("not mapped 2 lines: other (2)\n") != std::string::npos);
}

TEST_CASE("a scraped target is shown with why it fails and what it could not count") {
  LiveReport live;
  live.inputs.set(
      "prometheus",
      *parse_json(R"([{"url":"http://127.0.0.1:9100/metrics","state":"failing",)"
                  R"("problem":"cannot connect","scrapes":9,"failed_scrapes":2,"samples":70,)"
                  R"("unmapped":60,"readings":40,"bad_samples":1,)"
                  R"("newest_bad":[{"reason":"it has no value","line":"up"}]}])"));

  const std::string text = status_text(status_report(config(), journal(), live));

  CHECK(text.find("prometheus http://127.0.0.1:9100/metrics: failing (cannot connect), 9 scrapes, "
                  "2 failed, 40 readings; newest 70 samples, 60 of them not mapped\n") !=
        std::string::npos);
  CHECK(text.find("it has no value: up\n") != std::string::npos);
}

TEST_CASE("counters have a type and a name of ours") {
  LiveReport live;
  live.commits.readings = 5;
  live.uplink.connected = true;
  live.uplink.undeliverable = true;

  const std::string text = metrics_text(journal(), live);

  CHECK(
      text.find(
          "# TYPE ledgerline_agent_readings_total counter\nledgerline_agent_readings_total 5\n") !=
      std::string::npos);
  CHECK(text.find("# TYPE ledgerline_agent_uplink_connected "
                  "gauge\nledgerline_agent_uplink_connected 1\n") != std::string::npos);
  CHECK(text.find("ledgerline_agent_head_batch 9\n") != std::string::npos);
  CHECK(text.find("ledgerline_agent_uplink_undeliverable 1\n") != std::string::npos);
}

}  // namespace
}  // namespace ledgerline::agent
