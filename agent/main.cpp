// ledgerline-agent: the wiring, and nothing else. Read it first: it shows what belongs to whom.

#include <boost/asio/steady_timer.hpp>
#include <iostream>

#include "agent/core/delivery_gate.h"
#include "agent/core/recorder_by_class.h"
#include "agent/inputs/boot_id.h"
#include "agent/inputs/inputs.h"
#include "agent/journal/group_commit.h"
#include "agent/journal/journal.h"
#include "agent/ops/command_line.h"
#include "agent/ops/commands.h"
#include "agent/ops/config.h"
#include "agent/ops/diag.h"
#include "agent/ops/enrolment.h"
#include "agent/ops/report.h"
#include "agent/uplink/uplink.h"
#include "common/exit_code.h"
#include "common/io/log.h"
#include "common/io/mqtt.h"
#include "common/io/runtime.h"
#include "common/io/standalone.h"
#include "common/io/supervisor.h"
#include "common/io/system.h"
#include "common/machine.h"
#include "common/printable.h"

namespace ledgerline::agent {
namespace {

constexpr const char* kSoftware = "ledgerline-agent/" LEDGERLINE_VERSION;

struct PreparedInput {
  std::string name;
  std::unique_ptr<Input> input;
};
using PreparedInputs = std::vector<PreparedInput>;

std::vector<std::string_view> input_names() {
  std::vector<std::string_view> names;
  for (const InputKind& kind : input_kinds()) names.push_back(kind.name);
  return names;
}

Result<PreparedInputs> prepare_inputs(const AgentConfig& config) {
  PreparedInputs out;
  for (const auto& [name, tables] : config.inputs) {
    TRY(auto input,
        find_input_kind(name)->prepare({.tables = tables,
                                        .folder = config.folder,
                                        .app_meters = config.meters,
                                        .diagnostic_meters = config.diagnostic_meters}));
    out.push_back({name, std::move(input)});
  }
  return out;
}

ClockAnchor read_clocks(Clock& clock) {
  return {.monotonic = clock.monotonic(),
          .wall = clock.now(),
          .synchronised = io::clock_is_synchronised()};
}

void log_clock(ClockVerdict news, const ClockAnchor& now) {
  const auto wall = io::kv("wall", to_rfc3339(now.wall));
  const auto synchronised = io::kv("synchronised", now.synchronised ? "yes" : "no");
  if (news == ClockVerdict::believed) return io::log_warn("clock_anchored", {wall, synchronised});
  io::log_warn("clock_not_believed", {wall, synchronised, io::kv("why", to_string(news))});
}

uint32_t random32() {
  std::array<uint8_t, 4> bytes{};
  random_bytes(bytes);
  return big_endian32(bytes);
}

UplinkOptions uplink_options(const AgentConfig& config, const Enrolled& enrolled,
                             const PromiseHolds& holds) {
  UplinkOptions options;
  options.tenant = config.tenant;
  options.device = config.device;
  options.grant = enrolled.signed_grant;
  if (enrolled.diagnostic) options.diagnostic_grant = enrolled.diagnostic->signed_grant;
  options.heartbeat = config.heartbeat_interval;
  options.hold = [&holds] { return holds.earliest(); };
  options.diagnostic_hold = [&holds] { return holds.earliest(StreamClass::diagnostic); };
  options.broker.host = config.broker_host;
  options.broker.port = config.broker_port;
  options.broker.tls = io::MqttTls{.ca_file = config.broker_ca,
                                   .certificate_file = config.state + "/certificate.pem",
                                   .private_key_file = config.keys_folder() + "/tls.pem"};
  options.broker.random = random32;
  return options;
}

/// What `systemctl status` shows.
std::string uplink_line(const UplinkStatus& status) {
  if (!status.alarm.empty()) return status.alarm;
  if (status.undeliverable) return "the collector takes nothing more: ledgerline-agent status";
  if (status.connected) return "connected to the broker";
  return "recording; not connected to the broker" +
         (status.connection_failure.empty() ? "" : ": " + status.connection_failure);
}

UplinkReport report_of(const UplinkStatus& status) {
  return {.connected = status.connected,
          .failure = status.connection_failure,
          .alarm = status.alarm,
          .undeliverable = status.undeliverable,
          .verdict = status.verdict ? std::string(to_string(*status.verdict)) : "",
          .in_flight = status.in_flight,
          .batches_sent = status.batches_sent,
          .batches_resent = status.batches_resent,
          .batches_refused = status.batches_refused,
          .tombstones_sent = status.tombstones_sent,
          .resumes = status.resumes,
          .receipts = status.receipts,
          .statements_refused = status.statements_refused,
          .heartbeats = status.heartbeats,
          .checkpoints = status.checkpoints.verified,
          .checkpoints_refused = status.checkpoints.refused,
          .checkpoint_conflicts = status.checkpoints.conflicts,
          .connects = status.connects,
          .connection_failures = status.connection_failures};
}

std::string enrol_for_diagnostics(const AgentConfig& config) {
  return "this device has no stream for diagnostic meters yet: run ledgerline-agent enroll "
         "--config " +
         config.file +
         ", carry the request to the collector and install its answer; billing goes on";
}

struct DiagnosticStream {
  std::unique_ptr<Journal> journal;  // nullptr where there is none
  std::string why_none;
};

/// A running agent: who owns what, in the order of construction.
class Agent final : public ReportPort {
 public:
  Agent(const AgentConfig& config, PreparedInputs inputs, std::unique_ptr<Signer> signer,
        const Enrolled& enrolled, std::unique_ptr<Journal> journal, DiagnosticStream diagnostic,
        Clock& clock, io::SupervisorSettings supervisor)
      : config_(config),
        clock_(clock),
        signer_(std::move(signer)),
        journal_(std::move(journal)),
        diagnostic_journal_(std::move(diagnostic.journal)),
        no_diagnostics_(diagnostic.why_none),
        commit_(runtime_, clock_, *journal_, *signer_, {.commit_interval = config.commit_interval},
                [this](const Error& error) { storage_failed(error); }),
        uplink_(runtime_, clock_, {*journal_, diagnostic_journal_.get()}, *signer_,
                enrolled.collector_key, uplink_options(config, enrolled, holds_),
                io::mqtt_factory(runtime_), [this](const Error& error) { storage_failed(error); }),
        supervisor_(runtime_, supervisor_options(std::move(supervisor))),
        inputs_(std::move(inputs)) {
    RecordPort* diagnostic_port = &no_diagnostics_;
    RecordPort* beside_billing = &no_diagnostics_;
    if (diagnostic_journal_) {
      diagnostic_commit_ = std::make_unique<GroupCommit>(
          runtime_, clock_, *diagnostic_journal_, *signer_,
          GroupCommitOptions{.commit_interval = config.commit_interval},
          [this](const Error& error) { storage_failed(error); });
      diagnostic_gate_ = std::make_unique<DeliveryGate>(
          *diagnostic_commit_, [this] { return uplink_.undeliverable(StreamClass::diagnostic); });
      diagnostic_port = diagnostic_gate_.get();
      beside_billing = diagnostic_commit_.get();
    }
    recorder_ = std::make_unique<RecorderByClass>(
        RecorderByClass::Ports{.billing = gate_,
                               .diagnostic = *diagnostic_port,
                               .diagnostic_beside_billing = *beside_billing});
  }

  /// `meters` are those of the configuration and then of each input in turn, numbered.
  Result<int> run(const std::vector<MeterRow>& meters) {
    commit_.on_sealed([this] { tell_uplink(StreamClass::billing); });
    if (diagnostic_commit_)
      diagnostic_commit_->on_sealed([this] { tell_uplink(StreamClass::diagnostic); });
    if (!diagnostic_commit_ && !config_.diagnostic_meters.empty())
      io::log_error("no_diagnostic_stream", {io::kv("why", no_diagnostics_.why())});
    TRY_VOID(start_inputs(meters));  // before the first heartbeat: they may hold its promise
    uplink_.start();
    runtime_.on_stop([this] {
      for (const PreparedInput& each : inputs_) each.input->stop();
      uplink_.stop();
      supervisor_.stop();
    });
    supervisor_.start();
    every(tick_timer_, std::clamp(config_.batch.age_max / 4, Duration(50), Duration(1000)), [this] {
      commit_.tick();
      if (diagnostic_commit_) diagnostic_commit_->tick();
      watch_clock();
    });
    io::log_info("ready", {io::kv("tenant", config_.tenant), io::kv("device", config_.device),
                           io::kv("inputs", inputs_.size()), io::kv("meters", meters.size())});
    const int code = runtime_.run();
    if (code == 0) {
      commit_.record_the_rest();
      if (diagnostic_commit_) diagnostic_commit_->record_the_rest();
    }
    return code;
  }

  void status(std::function<void(std::string)> done) override {
    with_journal_status([this, done](const JournalStatuses& journals) {
      done(status_report(config_, journals.billing, live(), diagnostic_report(journals)).dump() +
           "\n");
    });
  }

  void metrics(std::function<void(std::string)> done) override {
    with_journal_status([this, done](const JournalStatuses& journals) {
      std::string text = metrics_text(journals.billing, live(), diagnostic_report(journals));
      for (const PreparedInput& each : inputs_) each.input->append_metrics(text);
      done(std::move(text));
    });
  }

 private:
  struct JournalStatuses {
    JournalStatus billing;
    std::optional<JournalStatus> diagnostic;
  };

  Status start_inputs(const std::vector<MeterRow>& meters) {
    auto next = meters.begin() + static_cast<std::ptrdiff_t>(config_.meters.size());
    const std::vector<MeterRow> app_meters(meters.begin(), next);
    TRY(const auto bookmarks, journal_->bookmarks());
    std::map<std::string, Bytes> diagnostic_bookmarks;
    if (diagnostic_journal_) {
      TRY(diagnostic_bookmarks, diagnostic_journal_->bookmarks());
    }
    for (const PreparedInput& each : inputs_) {
      const auto end = next + static_cast<std::ptrdiff_t>(each.input->meters().size());
      TRY_VOID(each.input->start({.runtime = runtime_,
                                  .clock = clock_,
                                  .recorder = *recorder_,
                                  .reports = *this,
                                  .holds = holds_,
                                  .app_meters = app_meters,
                                  .own_meters = {next, end},
                                  .bookmarks = bookmarks,
                                  .diagnostic_bookmarks = diagnostic_bookmarks}));
      next = end;
    }
    return {};
  }

  void every(boost::asio::steady_timer& timer, Duration period, std::function<void()> action) {
    timer.expires_after(period);
    timer.async_wait(
        [this, &timer, period, action = std::move(action)](const boost::system::error_code& error) {
          if (error) return;
          action();
          every(timer, period, action);
        });
  }

  Journal& journal_of(StreamClass stream_class) {
    return stream_class == StreamClass::billing ? *journal_ : *diagnostic_journal_;
  }

  void tell_uplink(StreamClass stream_class) {
    io::on_storage(
        runtime_, [this, stream_class] { return journal_of(stream_class).resume_state(); },
        [this, stream_class](const Result<ResumeState>& state) {
          if (!state) return storage_failed(state.error());
          uplink_.on_sealed(state->head_batch, stream_class);
        });
  }

  /// Each journal judges for itself; what is news for billing is logged.
  void watch_clock() {
    if (watching_clock_) return;
    watching_clock_ = true;
    const ClockAnchor now = read_clocks(clock_);
    io::on_storage(
        runtime_,
        [this, now]() -> Result<ClockVerdict> {
          if (diagnostic_journal_) TRY_VOID(diagnostic_journal_->observe_clocks(now));
          return journal_->observe_clocks(now);
        },
        [this, now](const Result<ClockVerdict>& news) {
          watching_clock_ = false;
          if (!news) return storage_failed(news.error());
          if (*news != ClockVerdict::unchanged) log_clock(*news, now);
        });
  }

  io::Supervisor::Options supervisor_options(io::SupervisorSettings settings) {
    return {.settings = std::move(settings),
            .work = [this]() -> Status {
              TRY_VOID(read_journals());
              return {};
            },
            .on_failure = [this](const Error& error) { storage_failed(error); },
            .status = [this] { return uplink_line(uplink_.status()); }};
  }

  /// On the storage thread.
  Result<JournalStatuses> read_journals() {
    JournalStatuses out;
    TRY(out.billing, journal_->status());
    if (diagnostic_journal_) {
      TRY(out.diagnostic, diagnostic_journal_->status());
    }
    return out;
  }

  void with_journal_status(std::function<void(const JournalStatuses&)> then) {
    io::on_storage(
        runtime_, [this] { return read_journals(); },
        [this, then = std::move(then)](const Result<JournalStatuses>& status) {
          if (!status) return storage_failed(status.error());
          then(*status);
        });
  }

  LiveReport live() const {
    LiveReport out{{.commits = commit_.counters(), .uplink = report_of(uplink_.status())}};
    for (const PreparedInput& each : inputs_) {
      if (Json status = each.input->status(); !status.is(Json::Kind::null))
        out.inputs.set(each.name, std::move(status));
    }
    return out;
  }

  std::optional<DiagnosticReport> diagnostic_report(const JournalStatuses& journals) const {
    if (!journals.diagnostic) return std::nullopt;
    return DiagnosticReport{
        .journal = *journals.diagnostic,
        .live = StreamReport{.commits = diagnostic_commit_->counters(),
                             .uplink = report_of(uplink_.status(StreamClass::diagnostic))},
        .lost = recorder_->lost()};
  }

  /// Nothing is known about what the failed transaction left; only a new start reads what is
  /// durable.
  void storage_failed(const Error& error) {
    io::log_error(
        "journal_failed",
        {io::kv("error", error), io::kv("action", "ending; the next start reads what is durable")});
    runtime_.stop(kExitIo);
  }

  const AgentConfig& config_;
  Clock& clock_;
  io::Runtime runtime_;
  std::unique_ptr<Signer> signer_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Journal> diagnostic_journal_;  // nullptr without a diagnostic stream
  NoStream no_diagnostics_;
  PromiseHolds holds_;
  GroupCommit commit_;
  Uplink uplink_;
  io::Supervisor supervisor_;
  DeliveryGate gate_{commit_, [this] { return uplink_.undeliverable(); }};
  std::unique_ptr<GroupCommit> diagnostic_commit_;
  std::unique_ptr<DeliveryGate> diagnostic_gate_;
  std::unique_ptr<RecorderByClass> recorder_;
  PreparedInputs inputs_;
  boost::asio::steady_timer tick_timer_{runtime_.context()};
  bool watching_clock_ = false;
};

/// The meters of the configuration, then those of each input, with the journals' numbers.
struct Meters {
  std::vector<MeterRow> rows;
  std::vector<size_t> billing;  // indexes in rows
  std::vector<size_t> diagnostic;
};

Meters all_meters(const AgentConfig& config, const PreparedInputs& inputs) {
  Meters out{.rows = config.meters, .billing = {}, .diagnostic = {}};
  for (const PreparedInput& each : inputs) {
    for (MeterRow& row : each.input->meters()) out.rows.push_back(std::move(row));
  }
  for (size_t i = 0; i < out.rows.size(); ++i) {
    const bool app = i < config.meters.size();
    const bool diagnostic = app && config.diagnostic_meters.contains(out.rows[i].name);
    (diagnostic ? out.diagnostic : out.billing).push_back(i);
  }
  return out;
}

/// Begins the boot in the journal and numbers its meters, `offset` above the journal's own numbers.
Status begin_boot(Journal& journal, Boot boot, const std::vector<size_t>& indexes, uint32_t offset,
                  std::vector<MeterRow>& rows) {
  for (const size_t i : indexes) boot.meters.push_back(rows[i]);
  TRY(const auto numbered, journal.begin_boot(boot));
  for (size_t i = 0; i < indexes.size(); ++i) {
    rows[indexes[i]] = numbered[i];
    rows[indexes[i]].number += offset;
  }
  return {};
}

Result<Enrolled> required_enrolment(const AgentConfig& config, const Result<DeviceKeys>& keys) {
  const auto missing = [&config] {
    return fail(Errc::config,
                "this agent is not enrolled: nothing can be recorded before the collector granted "
                "a stream. Run "
                "ledgerline-agent enroll --config " +
                    config.file);
  };
  if (!keys && keys.error().code() == Errc::not_found) return missing();
  if (!keys) return fail(keys.error());
  auto enrolled = load_enrolment(config, *keys);
  if (!enrolled && enrolled.error().code() == Errc::not_found) return missing();
  return enrolled;
}

Result<std::unique_ptr<Journal>> open_journal(const AgentConfig& config, StreamClass stream_class,
                                              const StreamGrant& grant, const Bytes& grant_body,
                                              Clock& clock) {
  TRY(auto journal, Journal::open(journal_options(config, stream_class), clock));
  TRY_VOID(journal->install_grant(grant, grant_body));
  return journal;
}

/// A journal of diagnostics that cannot be used keeps no device from billing.
DiagnosticStream open_diagnostics(const AgentConfig& config, const Enrolled& enrolled,
                                  const Boot& boot, Meters& meters, Clock& clock) {
  if (config.diagnostic_meters.empty()) return {};
  if (!enrolled.diagnostic) return {nullptr, enrol_for_diagnostics(config)};
  const auto open = [&]() -> Result<std::unique_ptr<Journal>> {
    TRY(auto journal, open_journal(config, StreamClass::diagnostic, enrolled.diagnostic->grant,
                                   enrolled.diagnostic->grant_body, clock));
    TRY_VOID(begin_boot(*journal, boot, meters.diagnostic, kDiagnosticMeters, meters.rows));
    return journal;
  };
  auto journal = open();
  if (journal) return {std::move(*journal), {}};
  return {nullptr,
          "the journal of diagnostics cannot be used, billing goes on: " + journal.error().text()};
}

Result<int> run(const AgentConfig& config, PreparedInputs inputs, Clock& clock) {
  TRY(auto supervisor, io::supervisor_settings());
  if (const auto end = clock_end()) {
    io::log_warn("clock_ends", {io::kv("at", to_rfc3339(*end)),
                                io::kv("action", "move to a 64-bit system before")});
  }
  auto keys = load_keys(config);
  TRY(const Enrolled enrolled, required_enrolment(config, keys));
  TRY(auto journal,
      open_journal(config, StreamClass::billing, enrolled.grant, enrolled.grant_body, clock));
  std::array<uint8_t, BootId::kSize> boot_id{};
  random_bytes(boot_id);
  const Boot boot{.boot_id = BootId(boot_id),
                  .software = kSoftware,
                  .configuration_hash = config.hash,
                  .meters = {},
                  .clocks = read_clocks(clock),
                  .machine = read_boot_id("/proc").value_or("")};
  Meters meters = all_meters(config, inputs);
  TRY_VOID(begin_boot(*journal, boot, meters.billing, 0, meters.rows));
  for (const size_t i : meters.diagnostic)
    meters.rows[i].number = kDiagnosticMeters + 1 + static_cast<uint32_t>(i);
  auto diagnostic = open_diagnostics(config, enrolled, boot, meters, clock);
  Agent agent(config, std::move(inputs), std::move(keys->signer), enrolled, std::move(journal),
              std::move(diagnostic), clock, std::move(supervisor));
  return agent.run(meters.rows);
}

Result<int> perform(const CommandLine& options) {
  TRY_VOID(io::set_log_level(options.log_level));
  const auto names = input_names();
  io::SystemClock clock;
  if (options.verb == CommandLine::Verb::diag)
    return diag(read_config(options.config, names), options, clock, std::cout);
  TRY(const AgentConfig config, read_config(options.config, names));
  TRY(auto inputs, prepare_inputs(config));
  switch (options.verb) {
    case CommandLine::Verb::run:
      return run(config, std::move(inputs), clock);
    case CommandLine::Verb::check:
      return check(config, options, std::cout);
    case CommandLine::Verb::status:
      return status(config, options, std::cout);
    case CommandLine::Verb::enroll:
      return enroll(config, options, clock, std::cout);
    case CommandLine::Verb::record:
      return record(config, options, std::cout);
    case CommandLine::Verb::diag:  // above: whatever the configuration is like
      break;
  }
  return kExitConfig;
}

}  // namespace
}  // namespace ledgerline::agent

int main(int argc, char** argv) {
  using namespace ledgerline;
  io::stand_alone();
  io::guard_memory();
  io::keep_heap_small();
  const auto options = agent::parse_command_line(argc, argv);
  if (!options) {
    (options.error().code == 0 ? std::cout : std::cerr) << options.error().text;
    return options.error().code;
  }
  const auto code = agent::perform(*options);
  if (code) return *code;
  std::cerr << "ledgerline-agent: " << printable_lines(code.error().text()) << "\n";
  return exit_code_of(code.error());
}
