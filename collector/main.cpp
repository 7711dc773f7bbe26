// ledgerline-collector: the wiring, and nothing else. Read it first: it shows what belongs to whom.

#include <boost/asio/steady_timer.hpp>
#include <iostream>
#include <set>

#include "collector/api/command_line.h"
#include "collector/api/commands.h"
#include "collector/api/metrics.h"
#include "collector/api/setup.h"
#include "collector/dispatch/dispatcher.h"
#include "collector/fold/account_loop.h"
#include "collector/fold/commerce_loop.h"
#include "collector/fold/folder.h"
#include "collector/fold/logged_catalog.h"
#include "collector/fold/maintenance_loop.h"
#include "collector/intake/intake.h"
#include "collector/intake/log_epoch.h"
#include "common/exit_code.h"
#include "common/io/http_server.h"
#include "common/io/log.h"
#include "common/io/mqtt.h"
#include "common/io/private_file.h"
#include "common/io/runtime.h"
#include "common/io/supervisor.h"
#include "common/io/system.h"
#include "common/printable.h"

namespace ledgerline::collector {
namespace {

using io::kv;

uint32_t random32() {
  std::array<uint8_t, 4> bytes{};
  random_bytes(bytes);
  return big_endian32(bytes);
}

IntakeOptions intake_options(const CollectorConfig& config) {
  IntakeOptions options;
  options.broker.host = config.broker_host;
  options.broker.port = config.broker_port;
  options.broker.tls = io::MqttTls{.ca_file = config.broker_ca,
                                   .certificate_file = config.broker_certificate,
                                   .private_key_file = config.broker_private_key};
  options.broker.random = random32;
  options.checkpoint_file = config.checkpoint_file();
  return options;
}

/// Names with commas between them; empty where every connector is configured.
std::string missing_connectors(const Catalog& catalog, const std::vector<std::string>& configured) {
  std::set<std::string> missing;
  for (const auto& [name, contract] : catalog.contracts()) missing.insert(contract.connector);
  for (const auto& [name, rule] : catalog.rules()) missing.insert(rule.connector);
  for (const auto& [name, rule] : catalog.account_rules()) missing.insert(rule.connector);
  for (const std::string& name : configured) missing.erase(name);
  std::string out;
  for (const std::string& name : missing) out += (out.empty() ? "" : ", ") + name;
  return out;
}

std::string recovery_text(const CustodyCounters& custody) {
  std::string out;
  if (custody.recovering.streams > 0) {
    out += ", RECOVERY: " + std::to_string(custody.recovering.batches) + " batches of " +
           std::to_string(custody.recovering.streams) +
           " streams that a receipt covers are still to come back, and no period that needs them "
           "closes";
  }
  if (custody.rating_halted) out += ", nothing is rated: " + std::string(kHowToResume);
  if (custody.recover_mode) out += ", recover mode: unknown devices are let in by their grants";
  return out;
}

/// A running collector: who owns what, in the order of construction.
class Collector {
 public:
  Collector(const CollectorConfig& config, Clock& clock, std::unique_ptr<Store> store,
            std::unique_ptr<Signer> signer, const Catalog& none, io::SupervisorSettings supervisor)
      : config_(config),
        clock_(clock),
        store_(std::move(store)),
        signer_(std::move(signer)),
        folder_(*store_, {}, &changed_series_),
        logged_(*store_),
        maintenance_(*store_, none),
        accounts_(*store_, none, {.zone_database = read_zone_database()}),
        commerce_(*store_, *signer_, none, {.zone_database = read_zone_database()},
                  &changed_series_),
        intake_(runtime_, clock_, *store_, *signer_, intake_options(config),
                io::mqtt_factory(runtime_), [this](LeafNumber) { fold(); }),
        supervisor_(runtime_, supervisor_options(std::move(supervisor))) {}

  Result<int> run() {
    TRY_VOID(start_dispatchers());
    TRY_VOID(start_http());
    intake_.start();
    runtime_.on_stop([this] {
      intake_.stop();
      supervisor_.stop();
    });
    supervisor_.start();
    runtime_.spawn("commerce", run_commerce({.runtime = &runtime_,
                                             .clock = &clock_,
                                             .runner = &commerce_,
                                             .counters = &commerce_counters_,
                                             .on_documents = [this] { wake_dispatchers(); },
                                             .on_leaves = [this] { fold(); },
                                             .halted = &rating_halted_}));
    runtime_.spawn("maintenance", run_maintenance({.runtime = &runtime_,
                                                   .clock = &clock_,
                                                   .runner = &maintenance_,
                                                   .counters = &maintenance_counters_,
                                                   .on_documents = [this] { wake_dispatchers(); },
                                                   .halted = &rating_halted_}));
    runtime_.spawn("accounts", run_accounts({.runtime = &runtime_,
                                             .clock = &clock_,
                                             .runner = &accounts_,
                                             .counters = &account_counters_,
                                             .on_documents = [this] { wake_dispatchers(); },
                                             .halted = &rating_halted_}));
    fold();
    look_for_versions();
    io::log_info("ready", {kv("connectors", dispatchers_.size())});
    return runtime_.run();
  }

 private:
  Status start_dispatchers() {
    TRY(auto engines, open_engines(runtime_.context().get_executor(), clock_, config_));
    for (auto& engine : engines) {
      const std::string name = "dispatch " + engine->name();
      dispatchers_.push_back(std::make_unique<Dispatcher>(
          runtime_, clock_, *store_, std::move(engine),
          DispatchOptions{.holder = signer_->public_key().id().hex(),
                          .random = random32,
                          .on_store_failure = [this](const Error& e) { storage_failed(e); },
                          .work = &maintenance_}));
      runtime_.spawn(name, dispatchers_.back()->run());
    }
    return {};
  }

  void wake_dispatchers() {
    for (const auto& dispatcher : dispatchers_) dispatcher->wake();
  }

  Status start_http() {
    if (config_.listen.empty()) return {};
    TRY(http_, io::HttpServer::open(
                   runtime_.context(), {.listen = config_.listen},
                   [this](const io::HttpRequest& request, const io::HttpServer::Respond& respond) {
                     respond(answer(request));
                   }));
    return {};
  }

  io::Supervisor::Options supervisor_options(io::SupervisorSettings settings) {
    return {.settings = std::move(settings),
            .work = [this]() -> Status {
              TRY_VOID(store_->log_head());
              return {};
            },
            .on_failure = [this](const Error& error) { storage_failed(error); },
            .status = [this] { return health(); }};
  }

  /// One line: of /healthz, and what `systemctl status` shows.
  std::string health() {
    const IntakeStatus status = intake_.status();
    std::string line = "ok";
    if (!status.connected) line += ", not connected to the broker: " + status.connection_failure;
    if (fold_counters_.stalled) line += ", the fold has stopped: " + fold_error_;
    line += recovery_text(status.custody);
    if (!catalog_error_.empty()) line += ", nothing is rated: " + catalog_error_;
    if (!connectors_missing_.empty())
      line += ", the catalog names connectors that are not configured: " + connectors_missing_;
    return line;
  }

  io::HttpResponse answer(const io::HttpRequest& request) {
    if (request.path == "/healthz") return {.body = health() + "\n"};
    if (request.path != "/metrics")
      return {.status = 404, .body = "there is /metrics and /healthz\n"};
    std::vector<const Dispatcher*> dispatchers;
    for (const auto& dispatcher : dispatchers_) dispatchers.push_back(dispatcher.get());
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
            .body = metrics_text(intake_.status(), fold_counters_, commerce_counters_,
                                 maintenance_counters_, account_counters_, dispatchers)};
  }

  /// One slice at a time, so that intake's transactions get their turn on the storage thread.
  void fold() {
    if (fold_counters_.stalled) return;
    if (folding_) {
      fold_again_ = true;
      return;
    }
    folding_ = true;
    io::on_storage(
        runtime_, [this] { return folder_.step(); },
        [this](const Result<Folder::Step>& step) { folded(step); });
  }

  void folded(const Result<Folder::Step>& step) {
    folding_ = false;
    if (!step && step.error().code() == Errc::corrupt) return fold_stalled(step.error());
    if (!step && step.error().code() != Errc::conflict) return storage_failed(step.error());
    if (step) {
      fold_counters_.leaves += step->leaves;
      fold_counters_.readings += step->readings;
      fold_counters_.exceptions += step->exceptions;
      fold_counters_.cursor = step->cursor;
    }
    if (!step || step->leaves > 0 || fold_again_) {
      fold_again_ = false;
      fold();
    }
  }

  /// One damaged value must not end the custody of every device. What it hides is counted once the
  /// store is mended: a restart tries again.
  void fold_stalled(const Error& error) {
    fold_counters_.stalled = true;
    fold_error_ = error.text();
    io::log_error(
        "fold_stalled",
        {kv("error", error), kv("action",
                                "custody goes on, nothing more is counted: mend the store and "
                                "start again")});
  }

  struct Taken {
    std::optional<Catalog> catalog;  // nothing: no other one than before
    bool is_loaded = false;
  };

  /// On the storage thread.
  Result<Taken> take_versions() {
    TRY(const bool news, logged_.refresh());
    Taken out{.catalog = std::nullopt,
              .is_loaded = logged_.state(LeafKind::catalog_version).newest().has_value()};
    if (!news || !out.is_loaded) return out;
    TRY(out.catalog, logged_.catalog());
    maintenance_.set_catalog(*out.catalog);
    accounts_.set_catalog(*out.catalog);
    commerce_.set_catalog(*out.catalog);
    return out;
  }

  void look_for_versions() {
    io::on_storage(
        runtime_, [this] { return take_versions(); },
        [this](const Result<Taken>& taken) {
          versions_taken(taken);
          fold();  // what commands logged
          versions_timer_.expires_after(kVersionsInterval);
          versions_timer_.async_wait([this](const boost::system::error_code& error) {
            if (!error) look_for_versions();
          });
        });
  }

  void versions_taken(const Result<Taken>& taken) {
    if (!taken && taken.error().code() != Errc::corrupt) return storage_failed(taken.error());
    if (!taken) {
      halt_rating(taken.error().text(), "custody goes on, nothing is rated: mend the store");
    } else if (!taken->is_loaded) {
      halt_rating("no catalog is loaded", kHowToLoad);
    } else if (taken->catalog) {
      rating_halted_ = false;
      catalog_error_.clear();
      connectors_missing_ = missing_connectors(*taken->catalog, config_.connector_names());
      io::log_info("catalog_taken",
                   {kv("hash", taken->catalog->hash().hex()),
                    kv("catalog_version", logged_.state(LeafKind::catalog_version).number()),
                    kv("mapping_version", logged_.state(LeafKind::mapping_version).number())});
      if (!connectors_missing_.empty()) {
        io::log_error("connectors_missing",
                      {kv("connectors", connectors_missing_),
                       kv("action", "configure them, or load a catalog without them")});
      }
    }
  }

  /// A catalog that cannot be read must not end the custody of every device, nor may an older one
  /// bill in its place.
  void halt_rating(const std::string& why, const std::string& action) {
    const bool is_new = catalog_error_ != why;
    rating_halted_ = true;
    catalog_error_ = why;
    if (is_new) io::log_error("rating_halted", {kv("error", why), kv("action", action)});
  }

  /// Nothing is known about what the failed transaction left; only a new start reads what is
  /// durable.
  void storage_failed(const Error& error) {
    io::log_error("store_failed", {kv("error", error),
                                   kv("action", "ending; the next start reads what is durable")});
    runtime_.stop(kExitIo);
  }

  static constexpr std::chrono::seconds kVersionsInterval{1};

  const CollectorConfig& config_;
  Clock& clock_;
  io::Runtime runtime_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Signer> signer_;
  ChangedSeries changed_series_;
  Folder folder_;
  LoggedCatalog logged_;  // its calls are the storage thread's
  MaintenanceRunner maintenance_;
  AccountRunner accounts_;
  CommerceRunner commerce_;
  Intake intake_;
  io::Supervisor supervisor_;
  std::vector<std::unique_ptr<Dispatcher>> dispatchers_;
  std::unique_ptr<io::HttpServer> http_;
  boost::asio::steady_timer versions_timer_{runtime_.context()};
  bool rating_halted_ = true;  // until a catalog is taken
  std::string catalog_error_;  // why it is halted
  std::string connectors_missing_;
  FoldCounters fold_counters_;
  std::string fold_error_;  // where it is stalled
  CommerceCounters commerce_counters_;
  MaintenanceCounters maintenance_counters_;
  AccountCounters account_counters_;
  bool folding_ = false;
  bool fold_again_ = false;
};

Result<int> run(const CollectorConfig& config, Clock& clock) {
  TRY(auto supervisor, io::supervisor_settings());
  TRY(const Catalog none, Catalog::read({}));
  TRY_VOID(io::check_private_file(config.broker_private_key));
  TRY(auto store, open_store(config));
  TRY(auto signer, load_or_make_signer(config));
  TRY_VOID(store->ensure_origin(first_epoch(signer->public_key())));
  TRY_VOID(write_access_list(config, *store, clock.now(), true));
  Collector collector(config, clock, std::move(store), std::move(signer), none,
                      std::move(supervisor));
  return collector.run();
}

Result<int> perform(const CommandLine& options) {
  TRY_VOID(io::set_log_level(options.log_level));
  TRY(const CollectorConfig config, read_config(options.config));
  io::SystemClock clock;
  switch (options.verb) {
    case CommandLine::Verb::run:
      return run(config, clock);
    case CommandLine::Verb::check:
      return check(config, options, clock, std::cout);
    case CommandLine::Verb::status:
      return status(config, options, clock, std::cout);
    case CommandLine::Verb::enroll:
      return enroll(config, options, clock, std::cout);
    case CommandLine::Verb::recover:
      return recover(config, options, clock, std::cout);
    case CommandLine::Verb::revoke:
      return revoke(config, options, clock, std::cout);
    case CommandLine::Verb::add_operator:
      return add_operator(config, options, clock, std::cout);
    case CommandLine::Verb::list_operators:
      return list_operators(config, options, std::cout);
    case CommandLine::Verb::revoke_operator:
      return revoke_operator(config, options, clock, std::cout);
    case CommandLine::Verb::export_keys:
      return export_keys(config, options, std::cout);
    case CommandLine::Verb::documents:
      return documents(config, options, std::cout);
    case CommandLine::Verb::approve:
    case CommandLine::Verb::refuse:
      return decide(config, options, clock, std::cout);
    case CommandLine::Verb::requeue:
      return requeue(config, options, clock, std::cout);
    case CommandLine::Verb::usage:
      return usage(config, options, std::cout);
    case CommandLine::Verb::prove:
      return prove(config, options, clock, std::cout);
    case CommandLine::Verb::ledger:
      return ledger(config, options, std::cout);
    case CommandLine::Verb::replay:
      return replay(config, options, std::cout);
    case CommandLine::Verb::accounts:
      return accounts(config, options, std::cout);
    case CommandLine::Verb::list_exceptions:
      return list_exceptions(config, options, clock, std::cout);
    case CommandLine::Verb::show_exception:
      return show_exception(config, options, clock, std::cout);
    case CommandLine::Verb::assign_exception:
    case CommandLine::Verb::requeue_exception:
    case CommandLine::Verb::ignore_exception:
      return act_on_exception(config, options, clock, std::cout);
    case CommandLine::Verb::map_exception:
      return map_exception(config, options, clock, std::cout);
    case CommandLine::Verb::add_usage:
    case CommandLine::Verb::void_usage:
    case CommandLine::Verb::withdraw_correction:
      return correct(config, options, clock, std::cout);
    case CommandLine::Verb::list_corrections:
      return list_corrections(config, options, std::cout);
    case CommandLine::Verb::list_gaps:
      return list_gaps(config, options, clock, std::cout);
    case CommandLine::Verb::accept_gap:
      return accept_gap(config, options, clock, std::cout);
    case CommandLine::Verb::close_period:
      return close_period(config, options, clock, std::cout);
    case CommandLine::Verb::load_catalog:
      return load_catalog_folder(config, options, clock, std::cout);
    case CommandLine::Verb::show_catalog:
      return show_catalog(config, options, std::cout);
    case CommandLine::Verb::try_maintenance:
      return try_maintenance(config, options, std::cout);
    case CommandLine::Verb::checkpoint:
      return checkpoint(config, options, clock, std::cout);
    case CommandLine::Verb::cosign_checkpoint:
      return cosign_checkpoint(config, options, std::cout);
  }
  return kExitUsage;
}

}  // namespace
}  // namespace ledgerline::collector

int main(int argc, char** argv) {
  using namespace ledgerline;
  io::guard_memory();
  const auto options = collector::parse_command_line(argc, argv);
  if (!options) {
    (options.error().code == 0 ? std::cout : std::cerr) << options.error().text;
    return options.error().code;
  }
  const auto code = collector::perform(*options);
  if (code) return *code;
  std::cerr << "ledgerline-collector: " << printable_lines(code.error().text()) << "\n";
  return exit_code_of(code.error());
}
