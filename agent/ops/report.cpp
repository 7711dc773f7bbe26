#include "agent/ops/report.h"

#include "agent/ops/report_inputs.h"
#include "common/decimal.h"

namespace ledgerline::agent {

namespace {

Json number(uint64_t value) { return Json::number(std::to_string(value)); }

Json totals_of(const JournalStatus& journal) {
  Json out = Json::array();
  for (const auto& [meter, sum] : journal.totals) {
    for (const MeterRow& row : journal.meters.rows) {
      // A gauge's sum proves completeness to the collector; to a person it says nothing.
      if (row.number != meter || row.kind == MeterKind::gauge) continue;
      out.push(Json::object({{"meter", Json::string(row.name)},
                             {"unit", Json::string(row.unit)},
                             {"version", number(row.definition_version)},
                             {"total", Json::string(Decimal(sum, row.scale).text())}}));
    }
  }
  return out;
}

Json uplink_of(const UplinkReport& uplink) {
  return Json::object({{"connected", Json::boolean(uplink.connected)},
                       {"failure", Json::string(uplink.failure)},
                       {"alarm", Json::string(uplink.alarm)},
                       {"undeliverable", Json::boolean(uplink.undeliverable)},
                       {"verdict", Json::string(uplink.verdict)},
                       {"in_flight", number(uplink.in_flight)},
                       {"batches_sent", number(uplink.batches_sent)},
                       {"batches_resent", number(uplink.batches_resent)},
                       {"receipts", number(uplink.receipts)}});
}

Json log_of(const LogSightings& log) {
  Json out = Json::object({{"epoch", number(log.epoch)},
                           {"leaves", number(log.size)},
                           {"checkpoint", Json::string(log.newest)},
                           {"contradicts_itself", Json::boolean(log.keep_evidence())}});
  Json earlier = Json::array();
  for (const std::string& note : log.earlier) earlier.push(Json::string(note));
  out.set("earlier", std::move(earlier));
  if (const auto& conflict = log.conflict) {
    out.set("conflict", Json::object({{"at", Json::string(to_rfc3339(conflict->at))},
                                      {"epoch", number(conflict->epoch)},
                                      {"why", Json::string(conflict->why)},
                                      {"held", Json::string(conflict->held)},
                                      {"shown", Json::string(conflict->shown)}}));
  }
  return out;
}

Json diagnostic_of(const DiagnosticReport& diagnostic) {
  const JournalStatus& journal = diagnostic.journal;
  Json out =
      Json::object({{"stream", Json::string(journal.grant.stream.hex())},
                    {"stream_status", Json::string(std::string(to_string(journal.stream_status)))},
                    {"next_seq", number(journal.next_seq)},
                    {"sealed_upto", number(journal.sealed_upto)},
                    {"head_batch", number(journal.head_batch)},
                    {"acked_upto", number(journal.acked_upto)},
                    {"oldest_batch", number(journal.oldest_batch)},
                    {"used_bytes", number(journal.used_bytes)},
                    {"quota_bytes", number(journal.quota_bytes)},
                    {"dropped", number(journal.dropped)},
                    {"totals", totals_of(journal)}});
  if (diagnostic.live) {
    out.set("uplink", uplink_of(diagnostic.live->uplink));
    out.set("pushed_back", number(diagnostic.live->commits.pushed_back));
  }
  return out;
}

Json clock_of(const ClockStatus& clock) {
  const bool doubted = clock.doubt != ClockVerdict::unchanged;
  return Json::object({{"believed", Json::boolean(clock.anchored && !doubted)},
                       {"why", Json::string(doubted ? std::string(to_string(clock.doubt)) : "")},
                       {"seconds", number(static_cast<uint64_t>(clock.doubted_for.count() / 1000))},
                       {"waiting", number(clock.waiting)},
                       {"not_before", Json::string(to_rfc3339(clock.floor))}});
}

bool flag_at(const Json& report, std::string_view name) {
  const Json* found = report.find(name);
  return found != nullptr && found->is(Json::Kind::boolean) && found->as_bool();
}

std::string uplink_text(const Json& uplink) {
  std::string out =
      flag_at(uplink, "connected") ? "connected to the broker" : "not connected to the broker";
  if (const std::string failure = text_at(uplink, "failure"); !failure.empty())
    out += ": " + failure;
  if (const std::string alarm = text_at(uplink, "alarm"); !alarm.empty()) out += "; " + alarm;
  return out;
}

std::string log_text(const Json& log) {
  std::string out = "  log        verified up to leaf " + text_at(log, "leaves") + " of epoch " +
                    text_at(log, "epoch") + "\n";
  const Json* conflict = log.find("conflict");
  if (conflict == nullptr) return out;
  const bool now = flag_at(log, "contradicts_itself");
  return out +
         (now ? "  LOG        THE COLLECTOR CONTRADICTS ITSELF since "
              : "  log        the collector contradicted itself on ") +
         text_at(*conflict, "at") + ": " + text_at(*conflict, "why") +
         (now ? "; no batch is forgotten any more, so the journal will fill up. Take both signed "
                "notes (status --json, log.conflict) to who audits the collector; a new epoch of "
                "its log ends this\n"
              : "; both signed notes are kept\n");
}

/// Empty where the clock is believed.
std::string clock_text(const Json& clock) {
  if (flag_at(clock, "believed")) return "";
  std::string out = "  CLOCK      NOT BELIEVED for " + text_at(clock, "seconds") + " seconds: ";
  if (text_at(clock, "why") == to_string(ClockVerdict::unsynchronised_step)) {
    return out +
           "it was stepped, but no time source vouches for it; readings go by the time before the "
           "step. Let NTP set it (timedatectl, chronyc)\n";
  }
  return out + "the collector signed this stream's last receipt at " +
         text_at(clock, "not_before") + "; " + text_at(clock, "waiting") +
         " readings are kept and wait for a time, nothing of them is sent. Set the clock: NTP, a "
         "real-time clock or date -s; they are placed then. A reboot before that leaves them "
         "without a time\n";
}

std::string totals_text(const Json& report) {
  std::string out;
  const Json* totals = report.find("totals");
  if (totals == nullptr) return out;
  for (const Json& row : totals->items()) {
    out += "  total      " + text_at(row, "meter") + " " + text_at(row, "total") + " " +
           text_at(row, "unit") + "\n";
  }
  return out;
}

std::string diagnostic_text(const Json& diagnostic) {
  std::string out = "  diagnostic stream " + text_at(diagnostic, "stream") + ", " +
                    text_at(diagnostic, "stream_status") + ", next seq " +
                    text_at(diagnostic, "next_seq") + ", batches " +
                    text_at(diagnostic, "oldest_batch") + " to " +
                    text_at(diagnostic, "head_batch") + ", receipted up to " +
                    text_at(diagnostic, "acked_upto") + ", " + text_at(diagnostic, "used_bytes") +
                    " of " + text_at(diagnostic, "quota_bytes") + " bytes";
  if (const std::string dropped = text_at(diagnostic, "dropped"); dropped != "0")
    out += "; " + dropped + " readings dropped for lack of room, to be told to the collector";
  if (const Json* uplink = diagnostic.find("uplink")) {
    if (const std::string alarm = text_at(*uplink, "alarm"); !alarm.empty()) out += "; " + alarm;
  }
  return out + "\n" + totals_text(diagnostic);
}

class MetricsText {
 public:
  void counter(std::string_view name, uint64_t value) { line(name, "counter", value); }
  void gauge(std::string_view name, uint64_t value) { line(name, "gauge", value); }
  std::string take() { return std::move(out_); }

 private:
  void line(std::string_view name, std::string_view type, uint64_t value) {
    out_.append("# TYPE ledgerline_agent_").append(name).append(" ").append(type).append("\n");
    out_.append("ledgerline_agent_")
        .append(name)
        .append(" ")
        .append(std::to_string(value))
        .append("\n");
  }
  std::string out_;
};

void diagnostic_metrics(const DiagnosticReport& diagnostic, MetricsText& out) {
  const JournalStatus& journal = diagnostic.journal;
  out.gauge("diagnostic_next_seq", journal.next_seq);
  out.gauge("diagnostic_head_batch", journal.head_batch);
  out.gauge("diagnostic_acked_batch", journal.acked_upto);
  out.gauge("diagnostic_journal_used_bytes", journal.used_bytes);
  out.gauge("diagnostic_journal_quota_bytes", journal.quota_bytes);
  out.gauge("diagnostic_dropped_readings", journal.dropped);
  if (!diagnostic.live) return;
  const StreamReport& live = *diagnostic.live;
  out.counter("diagnostic_readings_total", live.commits.readings);
  out.counter("diagnostic_lost_readings_total", diagnostic.lost);
  out.counter("diagnostic_requests_pushed_back_total", live.commits.pushed_back);
  out.counter("diagnostic_batches_sealed_total", live.commits.batches_sealed);
  out.counter("diagnostic_batches_sent_total", live.uplink.batches_sent);
  out.counter("diagnostic_tombstones_sent_total", live.uplink.tombstones_sent);
  out.counter("diagnostic_receipts_total", live.uplink.receipts);
  out.gauge("diagnostic_uplink_alarm", live.uplink.alarm.empty() ? 0 : 1);
  out.gauge("diagnostic_uplink_undeliverable", live.uplink.undeliverable ? 1 : 0);
  out.gauge("diagnostic_uplink_in_flight", live.uplink.in_flight);
}

}  // namespace

Json status_report(const AgentConfig& config, const JournalStatus& journal,
                   const std::optional<LiveReport>& live,
                   const std::optional<DiagnosticReport>& diagnostic) {
  Json out = Json::object(
      {{"running", Json::boolean(live.has_value())},
       {"tenant", Json::string(config.tenant)},
       {"device", Json::string(config.device)},
       {"enrolled", Json::boolean(journal.enrolled)},
       {"stream", journal.enrolled ? Json::string(journal.grant.stream.hex()) : Json::null()},
       {"stream_status", Json::string(std::string(to_string(journal.stream_status)))},
       {"next_seq", number(journal.next_seq)},
       {"sealed_upto", number(journal.sealed_upto)},
       {"head_batch", number(journal.head_batch)},
       {"acked_upto", number(journal.acked_upto)},
       {"oldest_batch", number(journal.oldest_batch)},
       {"receipt_number", number(journal.receipt_number)},
       {"heartbeat_number", number(journal.heartbeat_number)},
       {"complete_through",
        journal.promised ? Json::string(to_rfc3339(*journal.promised)) : Json::null()},
       {"used_bytes", number(journal.used_bytes)},
       {"quota_bytes", number(journal.quota_bytes)},
       {"disk_free_bytes", number(journal.disk_free_bytes)},
       {"coarsening", Json::boolean(journal.coarsening)},
       {"clock", clock_of(journal.clock)},
       {"totals", totals_of(journal)}});
  if (!journal.log.newest.empty()) out.set("log", log_of(journal.log));
  if (live) {
    out.set("uplink", uplink_of(live->uplink));
    out.set("pushed_back", number(live->commits.pushed_back));
    out.set("queued_requests", number(live->commits.queued_requests));
    out.set("inputs", live->inputs);
  }
  if (diagnostic) out.set("diagnostic", diagnostic_of(*diagnostic));
  return out;
}

std::string status_text(const Json& report) {
  std::string out = text_at(report, "tenant") + "/" + text_at(report, "device") + ": ";
  out +=
      flag_at(report, "running") ? "running" : "no agent answers; this is what its journal holds";
  out += "\n";
  if (!flag_at(report, "enrolled")) return out + "  not enrolled yet: ledgerline-agent enroll\n";
  out +=
      "  stream     " + text_at(report, "stream") + ", " + text_at(report, "stream_status") + "\n";
  out += "  recorded   next seq " + text_at(report, "next_seq") + ", sealed up to seq " +
         text_at(report, "sealed_upto") + "\n";
  out += "  batches    newest " + text_at(report, "head_batch") + ", receipted up to " +
         text_at(report, "acked_upto") + ", kept from " + text_at(report, "oldest_batch") + "\n";
  out += "  space      " + text_at(report, "used_bytes") + " of " + text_at(report, "quota_bytes") +
         " bytes, " + text_at(report, "disk_free_bytes") + " free on the disk" +
         (flag_at(report, "coarsening") ? "; full: what cannot wait is merged\n" : "\n");
  const std::string promised = text_at(report, "complete_through");
  out += "  complete   " +
         (promised.empty() ? std::string("nothing promised yet") : "through " + promised) + "\n";
  if (const Json* clock = report.find("clock")) out += clock_text(*clock);
  if (const Json* log = report.find("log")) out += log_text(*log);
  if (const Json* uplink = report.find("uplink"))
    out += "  uplink     " + uplink_text(*uplink) + "\n";
  if (const Json* inputs = report.find("inputs")) out += inputs_text(*inputs);
  out += totals_text(report);
  if (const Json* diagnostic = report.find("diagnostic")) out += diagnostic_text(*diagnostic);
  return out;
}

std::string metrics_text(const JournalStatus& journal, const LiveReport& live,
                         const std::optional<DiagnosticReport>& diagnostic) {
  MetricsText out;
  out.counter("readings_total", live.commits.readings);
  out.counter("duplicates_total", live.commits.duplicates);
  out.counter("requests_refused_total", live.commits.refused);
  out.counter("requests_pushed_back_total", live.commits.pushed_back);
  out.counter("commits_total", live.commits.groups);
  out.counter("batches_sealed_total", live.commits.batches_sealed);
  out.gauge("queued_requests", live.commits.queued_requests);
  out.gauge("next_seq", journal.next_seq);
  out.gauge("head_batch", journal.head_batch);
  out.gauge("acked_batch", journal.acked_upto);
  out.gauge("journal_used_bytes", journal.used_bytes);
  out.gauge("journal_quota_bytes", journal.quota_bytes);
  out.gauge("journal_coarsening", journal.coarsening ? 1 : 0);
  out.counter("damaged_values_forgotten_total", journal.damaged_forgotten);
  out.counter("seals_put_off_total", journal.seals_put_off);
  out.gauge("disk_free_bytes", journal.disk_free_bytes);
  out.gauge("clock_believed",
            journal.clock.anchored && journal.clock.doubt == ClockVerdict::unchanged ? 1 : 0);
  out.counter("clock_doubts_total", journal.clock.doubts);
  out.gauge("readings_without_time", journal.clock.waiting);
  out.gauge("uplink_connected", live.uplink.connected ? 1 : 0);
  out.gauge("uplink_alarm", live.uplink.alarm.empty() ? 0 : 1);
  out.gauge("uplink_undeliverable", live.uplink.undeliverable ? 1 : 0);
  out.gauge("uplink_in_flight", live.uplink.in_flight);
  out.counter("batches_sent_total", live.uplink.batches_sent);
  out.counter("batches_resent_total", live.uplink.batches_resent);
  out.counter("batches_refused_total", live.uplink.batches_refused);
  out.counter("resumes_total", live.uplink.resumes);
  out.counter("receipts_total", live.uplink.receipts);
  out.counter("statements_refused_total", live.uplink.statements_refused);
  out.counter("heartbeats_total", live.uplink.heartbeats);
  out.counter("checkpoints_verified_total", live.uplink.checkpoints);
  out.counter("checkpoints_refused_total", live.uplink.checkpoints_refused);
  out.counter("checkpoint_conflicts_total", live.uplink.checkpoint_conflicts);
  out.gauge("log_leaves", journal.log.size);
  out.gauge("log_contradicts_itself", journal.log.keep_evidence() ? 1 : 0);
  out.counter("connects_total", live.uplink.connects);
  out.counter("connection_failures_total", live.uplink.connection_failures);
  if (diagnostic) diagnostic_metrics(*diagnostic, out);
  return out.take();
}

}  // namespace ledgerline::agent
