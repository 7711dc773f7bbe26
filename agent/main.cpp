// ledgerline-agent: the wiring, and nothing else. Read it first: it shows what belongs to whom.

#include <boost/asio/steady_timer.hpp>
#include <iostream>

#include "agent/core/delivery_gate.h"
#include "agent/inputs/inputs.h"
#include "agent/journal/group_commit.h"
#include "agent/journal/journal.h"
#include "agent/ops/clock_watch.h"
#include "agent/ops/command_line.h"
#include "agent/ops/commands.h"
#include "agent/ops/config.h"
#include "agent/ops/enrolment.h"
#include "agent/ops/report.h"
#include "agent/uplink/uplink.h"
#include "common/exit_code.h"
#include "common/io/log.h"
#include "common/io/mqtt.h"
#include "common/io/runtime.h"
#include "common/io/system.h"
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
    TRY(auto input, find_input_kind(name)->prepare(
                        {.tables = tables, .folder = config.folder, .app_meters = config.meters}));
    out.push_back({name, std::move(input)});
  }
  return out;
}

ClockAnchor read_clocks(Clock& clock) {
  return {.monotonic = clock.monotonic(),
          .wall = clock.now(),
          .synchronised = io::clock_is_synchronised()};
}

uint32_t random32() {
  std::array<uint8_t, 4> bytes{};
  random_bytes(bytes);
  return big_endian32(bytes);
}

UplinkOptions uplink_options(const AgentConfig& config, const PromiseHolds& holds) {
  UplinkOptions options;
  options.tenant = config.tenant;
  options.device = config.device;
  options.heartbeat = config.heartbeat_interval;
  options.hold = [&holds] { return holds.earliest(); };
  options.broker.host = config.broker_host;
  options.broker.port = config.broker_port;
  options.broker.tls = io::MqttTls{.ca_file = config.broker_ca,
                                   .certificate_file = config.state + "/certificate.pem",
                                   .private_key_file = config.keys_folder() + "/tls.pem"};
  options.broker.random = random32;
  return options;
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
          .resumes = status.resumes,
          .receipts = status.receipts,
          .statements_refused = status.statements_refused,
          .heartbeats = status.heartbeats,
          .connects = status.connects,
          .connection_failures = status.connection_failures};
}

/// A running agent: who owns what, in the order of construction.
class Agent final : public ReportPort {
 public:
  Agent(const AgentConfig& config, PreparedInputs inputs, std::unique_ptr<Signer> signer,
        const Enrolled& enrolled, std::unique_ptr<Journal> journal, Clock& clock,
        const ClockAnchor& first_anchor)
      : config_(config),
        clock_(clock),
        signer_(std::move(signer)),
        journal_(std::move(journal)),
        clock_watch_(first_anchor),
        commit_(runtime_, clock_, *journal_, *signer_, {.commit_interval = config.commit_interval},
                [this](const Error& error) { storage_failed(error); }),
        uplink_(runtime_, clock_, *journal_, *signer_, enrolled.collector_key,
                uplink_options(config, holds_), io::mqtt_factory(runtime_),
                [this](const Error& error) { storage_failed(error); }),
        inputs_(std::move(inputs)) {}

  /// `meters` are those of the configuration and then of each input in turn, numbered.
  Result<int> run(const std::vector<MeterRow>& meters) {
    commit_.on_sealed([this] { tell_uplink(); });
    TRY_VOID(start_inputs(meters));  // before the first heartbeat: they may hold its promise
    uplink_.start();
    runtime_.on_stop([this] {
      for (const PreparedInput& each : inputs_) each.input->stop();
      uplink_.stop();
    });
    every(tick_timer_, std::clamp(config_.batch.age_max / 4, Duration(50), Duration(1000)),
          [this] { commit_.tick(); });
    every(clock_timer_, config_.heartbeat_interval, [this] { watch_clock(); });
    io::log_info("ready", {io::kv("tenant", config_.tenant), io::kv("device", config_.device),
                           io::kv("inputs", inputs_.size()), io::kv("meters", meters.size())});
    const int code = runtime_.run();
    if (code == 0) commit_.record_the_rest();
    return code;
  }

  void status(std::function<void(std::string)> done) override {
    with_journal_status([this, done](const JournalStatus& journal) {
      done(status_report(config_, journal, live()).dump() + "\n");
    });
  }

  void metrics(std::function<void(std::string)> done) override {
    with_journal_status([this, done](const JournalStatus& journal) {
      std::string text = metrics_text(journal, live());
      for (const PreparedInput& each : inputs_) each.input->append_metrics(text);
      done(std::move(text));
    });
  }

 private:
  Status start_inputs(const std::vector<MeterRow>& meters) {
    auto next = meters.begin() + static_cast<std::ptrdiff_t>(config_.meters.size());
    const std::vector<MeterRow> app_meters(meters.begin(), next);
    TRY(const auto bookmarks, journal_->bookmarks());
    for (const PreparedInput& each : inputs_) {
      const auto end = next + static_cast<std::ptrdiff_t>(each.input->meters().size());
      TRY_VOID(each.input->start({.runtime = runtime_,
                                  .clock = clock_,
                                  .recorder = gate_,
                                  .reports = *this,
                                  .holds = holds_,
                                  .app_meters = app_meters,
                                  .own_meters = {next, end},
                                  .bookmarks = bookmarks}));
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

  void tell_uplink() {
    io::on_storage(
        runtime_, [this] { return journal_->resume_state(); },
        [this](const Result<ResumeState>& state) {
          if (!state) return storage_failed(state.error());
          uplink_.on_sealed(state->head_batch);
        });
  }

  void watch_clock() {
    const auto anchor = clock_watch_.observe(read_clocks(clock_));
    if (!anchor) return;
    io::log_warn("clock_stepped", {io::kv("wall", to_rfc3339(anchor->wall)),
                                   io::kv("synchronised", anchor->synchronised ? "yes" : "no")});
    io::on_storage(
        runtime_, [this, anchor = *anchor] { return journal_->add_anchor(anchor); },
        [this](const Status& added) {
          if (!added) storage_failed(added.error());
        });
  }

  void with_journal_status(std::function<void(const JournalStatus&)> then) {
    io::on_storage(
        runtime_, [this] { return journal_->status(); },
        [this, then = std::move(then)](const Result<JournalStatus>& status) {
          if (!status) return storage_failed(status.error());
          then(*status);
        });
  }

  LiveReport live() const {
    LiveReport out{.commits = commit_.counters(), .uplink = report_of(uplink_.status())};
    for (const PreparedInput& each : inputs_) {
      if (Json status = each.input->status(); !status.is(Json::Kind::null))
        out.inputs.set(each.name, std::move(status));
    }
    return out;
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
  ClockWatch clock_watch_;
  PromiseHolds holds_;
  GroupCommit commit_;
  Uplink uplink_;
  DeliveryGate gate_{commit_, [this] { return uplink_.undeliverable(); }};
  PreparedInputs inputs_;
  boost::asio::steady_timer tick_timer_{runtime_.context()};
  boost::asio::steady_timer clock_timer_{runtime_.context()};
};

std::vector<MeterRow> all_meters(const AgentConfig& config, const PreparedInputs& inputs) {
  std::vector<MeterRow> out = config.meters;
  for (const PreparedInput& each : inputs) {
    for (MeterRow& row : each.input->meters()) out.push_back(std::move(row));
  }
  return out;
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

Result<int> run(const AgentConfig& config, PreparedInputs inputs, Clock& clock) {
  auto keys = load_keys(config);
  TRY(const Enrolled enrolled, required_enrolment(config, keys));
  TRY(auto journal, Journal::open({.folder = config.journal_folder(),
                                   .retention = config.retention,
                                   .batch = config.batch,
                                   .lateness = config.lateness},
                                  clock));
  TRY_VOID(journal->install_grant(enrolled.grant, enrolled.grant_body));
  std::array<uint8_t, BootId::kSize> boot_id{};
  random_bytes(boot_id);
  const ClockAnchor anchor = read_clocks(clock);
  TRY(const auto meters, journal->begin_boot({.boot_id = BootId(boot_id),
                                              .software = kSoftware,
                                              .configuration_hash = config.hash,
                                              .meters = all_meters(config, inputs),
                                              .anchor = anchor}));
  Agent agent(config, std::move(inputs), std::move(keys->signer), enrolled, std::move(journal),
              clock, anchor);
  return agent.run(meters);
}

Result<int> perform(const CommandLine& options) {
  TRY_VOID(io::set_log_level(options.log_level));
  const auto names = input_names();
  TRY(const AgentConfig config, read_config(options.config, names));
  TRY(auto inputs, prepare_inputs(config));
  io::SystemClock clock;
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
  }
  return kExitConfig;
}

}  // namespace
}  // namespace ledgerline::agent

int main(int argc, char** argv) {
  using namespace ledgerline;
  io::guard_memory();
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
