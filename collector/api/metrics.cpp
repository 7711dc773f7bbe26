#include "collector/api/metrics.h"

namespace ledgerline::collector {

namespace {

class Text {
 public:
  void head(std::string_view name, std::string_view type, std::string_view help) {
    name_ = std::string("ledgerline_collector_").append(name);
    out_.append("# HELP ").append(name_).append(" ").append(help).append("\n# TYPE ");
    out_.append(name_).append(" ").append(type).append("\n");
  }
  void value(uint64_t value, std::string_view label = {}, std::string_view word = {}) {
    out_ += name_;
    if (!label.empty()) out_.append("{").append(label).append("=\"").append(word).append("\"}");
    out_.append(" ").append(std::to_string(value)).append("\n");
  }
  void counter(std::string_view name, uint64_t count, std::string_view help) {
    head(name, "counter", help);
    value(count);
  }
  void gauge(std::string_view name, uint64_t level, std::string_view help) {
    head(name, "gauge", help);
    value(level);
  }
  std::string take() { return std::move(out_); }

 private:
  std::string name_;
  std::string out_;
};

void intake_lines(const IntakeStatus& status, Text& out) {
  const CustodyCounters& custody = status.custody;
  out.gauge("broker_connected", status.connected ? 1 : 0, "1 while connected to the broker");
  out.counter("broker_connects_total", status.connects, "Connections to the broker");
  out.gauge("intake_queued", status.queued, "Messages waiting for the next transaction");
  out.counter("intake_dropped_total", status.queue_dropped,
              "Messages dropped at a full queue; agents send again");
  out.counter("publishes_failed_total", status.publishes_failed,
              "Receipts and answers the broker did not take");
  out.counter("batch_bytes_total", custody.batch_bytes, "Bytes of batches as they arrived");
  out.head("batches_total", "counter", "Batches by what became of them");
  out.value(custody.linked, "fate", "linked");
  out.value(custody.duplicates, "fate", "duplicate");
  out.value(custody.parked, "fate", "parked");
  out.value(custody.forked, "fate", "forked");
  out.value(custody.kept_frozen, "fate", "kept_frozen");
  out.value(custody.dropped, "fate", "dropped");
  out.counter("tombstones_total", custody.tombstones,
              "Linked tombstones: diagnostic readings that devices gave up");
  out.head("refused_total", "counter", "Messages refused before custody, by reason");
  for (size_t i = 0; i < kRefusals; ++i) {
    out.value(custody.refused[i], "reason", to_string(static_cast<Refusal>(i)));
  }
  out.counter("receipts_total", custody.receipts, "Receipts signed");
  out.counter("heartbeats_total", custody.heartbeats, "Heartbeats taken");
  out.counter("resumes_total", custody.resumes, "Resumes answered");
  out.counter("rollbacks_total", custody.rollbacks,
              "Resumes that show less than the collector holds");
  out.counter("checkpoints_total", custody.checkpoints,
              "Checkpoints of the evidence log shown to devices");
  out.counter("checkpoints_failed_total", custody.checkpoints_failed,
              "Checkpoints that a device asked for and that could not be made");
  out.gauge("log_epoch", custody.log_epoch, "Epoch of the evidence log");
  out.counter("log_epochs_begun_total", custody.epochs_begun,
              "Epochs begun because this store lacks what the collector signed");
  out.gauge("rating_halted", custody.rating_halted ? 1 : 0,
            "1 where the store was put back, until recover --resume: nothing is rated");
  out.counter("behind_agent_total", custody.behind_agent,
              "Resumes that show more than the collector holds");
  out.gauge("recovering_streams", custody.recovering.streams,
            "Streams of which batches that a receipt covers are still to come back");
  out.gauge("recovering_batches", custody.recovering.batches, "Those batches");
  out.gauge("recover_mode", custody.recover_mode ? 1 : 0,
            "1 while unknown devices are let in by their grants");
  out.counter("introduced_total", custody.introduced, "Streams let in by their grants");
  out.counter("unknown_streams_total", custody.unknown_streams,
              "Introductions of streams that were not let in");
}

void dispatch_lines(const std::vector<const Dispatcher*>& dispatchers, Text& out) {
  using Field = uint64_t DispatchCounters::*;
  const std::pair<const char*, Field> fields[] = {
      {"delivery_attempts_total", &DispatchCounters::attempts},
      {"delivery_look_ups_total", &DispatchCounters::look_ups},
      {"deliveries_confirmed_total", &DispatchCounters::confirmed},
      {"deliveries_rejected_total", &DispatchCounters::rejected},
      {"deliveries_retried_total", &DispatchCounters::retried},
      {"deliveries_unknown_total", &DispatchCounters::unknown},
      {"deliveries_conflict_total", &DispatchCounters::conflicts},
      {"deliveries_held_total", &DispatchCounters::held},
      {"deliveries_recovered_total", &DispatchCounters::recovered},
      {"work_asked_total", &DispatchCounters::work_asked},
      {"work_unanswered_total", &DispatchCounters::work_unanswered},
      {"work_closed_total", &DispatchCounters::work_closed}};
  for (const auto& [name, field] : fields) {
    out.head(name, "counter", "By connector");
    for (const Dispatcher* dispatcher : dispatchers) {
      out.value(dispatcher->counters().*field, "connector", dispatcher->connector().name());
    }
  }
  out.head("connector_requests_total", "counter", "HTTP requests by connector");
  for (const Dispatcher* dispatcher : dispatchers) {
    out.value(dispatcher->connector().counters().requests, "connector",
              dispatcher->connector().name());
  }
}

}  // namespace

std::string metrics_text(const IntakeStatus& intake, const FoldCounters& fold,
                         const CommerceCounters& commerce, const MaintenanceCounters& maintenance,
                         const AccountCounters& accounts,
                         const std::vector<const Dispatcher*>& dispatchers) {
  Text out;
  intake_lines(intake, out);
  out.counter("folded_batches_total", fold.leaves, "Batches added up since the start");
  out.counter("folded_readings_total", fold.readings, "Readings added up since the start");
  out.counter("fold_exceptions_total", fold.exceptions, "Exceptions the fold opened");
  out.gauge("fold_cursor", fold.cursor, "Leaves of the evidence log that are folded");
  out.gauge("fold_stalled", fold.stalled ? 1 : 0, "1 where damage in the store stopped the fold");
  out.counter("documents_total", commerce.documents, "Documents made");
  out.counter("periods_closed_total", commerce.periods_closed, "Periods closed");
  out.counter("periods_adjusted_total", commerce.periods_adjusted,
              "Times that late usage of a closed period was booked");
  out.gauge("periods_held", commerce.held.size(), "Periods past their end that cannot close yet");
  out.counter("exceptions_written_total", commerce.exceptions_written,
              "Exceptions written by the commercial step");
  out.counter("commerce_errors_total", commerce.errors, "Commercial steps that failed");
  out.counter("maintenance_orders_total", maintenance.orders, "Maintenance orders opened");
  out.counter("maintenance_updates_total", maintenance.updates,
              "Further revisions of open maintenance orders");
  out.counter("maintenance_errors_total", maintenance.errors,
              "Rules and assets that could not be looked at, each time");
  out.counter("account_updates_total", accounts.updates, "Revisions of account updates");
  out.counter("opportunities_total", accounts.opportunities, "Opportunities opened");
  out.counter("account_periods_summed_total", accounts.periods_summed,
              "Open periods whose usage was read for their limits");
  out.counter("account_errors_total", accounts.errors,
              "Account updates and contracts that could not be looked at, each time");
  dispatch_lines(dispatchers, out);
  return out.take();
}

}  // namespace ledgerline::collector
