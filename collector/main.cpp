// ledgerline-collector: the wiring, and nothing else. Read it first: it shows what belongs to whom.

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <iostream>

#include "collector/api/catalog_links.h"
#include "collector/api/command_line.h"
#include "collector/api/commands.h"
#include "collector/api/metrics.h"
#include "collector/api/setup.h"
#include "collector/dispatch/dispatcher.h"
#include "collector/fold/account_loop.h"
#include "collector/fold/commerce_loop.h"
#include "collector/fold/folder.h"
#include "collector/fold/maintenance_loop.h"
#include "collector/intake/intake.h"
#include "common/exit_code.h"
#include "common/io/http_server.h"
#include "common/io/log.h"
#include "common/io/mqtt.h"
#include "common/io/private_file.h"
#include "common/io/runtime.h"
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
  return options;
}

std::string recovery_text(const CustodyCounters& custody) {
  std::string out;
  if (custody.recovering.streams > 0) {
    out += ", RECOVERY: " + std::to_string(custody.recovering.batches) + " batches of " +
           std::to_string(custody.recovering.streams) +
           " streams that a receipt covers are still to come back, and no period that needs them "
           "closes";
  }
  if (custody.recover_mode) out += ", recover mode: unknown devices are let in by their grants";
  return out;
}

/// A running collector: who owns what, in the order of construction.
class Collector {
 public:
  Collector(const CollectorConfig& config, Clock& clock, std::unique_ptr<Store> store,
            std::unique_ptr<Signer> signer, CatalogFolder folder, Catalog catalog)
      : config_(config),
        clock_(clock),
        catalog_folder_(std::move(folder)),
        store_(std::move(store)),
        signer_(std::move(signer)),
        folder_(*store_, {}, &changed_series_),
        maintenance_(*store_, catalog),
        accounts_(*store_, catalog, {.zone_database = read_zone_database()}),
        commerce_(*store_, std::move(catalog), {.zone_database = read_zone_database()},
                  &changed_series_),
        intake_(runtime_, clock_, *store_, *signer_, intake_options(config),
                io::mqtt_factory(runtime_), [this](LeafNumber) { fold(); }) {}

  Result<int> run() {
    TRY_VOID(start_dispatchers());
    TRY_VOID(start_http());
    intake_.start();
    runtime_.on_stop([this] { intake_.stop(); });
    runtime_.spawn("commerce", run_commerce({.runtime = &runtime_,
                                             .clock = &clock_,
                                             .runner = &commerce_,
                                             .counters = &commerce_counters_,
                                             .on_documents = [this] { wake_dispatchers(); }}));
    runtime_.spawn("maintenance",
                   run_maintenance({.runtime = &runtime_,
                                    .clock = &clock_,
                                    .runner = &maintenance_,
                                    .counters = &maintenance_counters_,
                                    .on_documents = [this] { wake_dispatchers(); }}));
    runtime_.spawn("accounts", run_accounts({.runtime = &runtime_,
                                             .clock = &clock_,
                                             .runner = &accounts_,
                                             .counters = &account_counters_,
                                             .on_documents = [this] { wake_dispatchers(); }}));
    fold();
    await_reload();
    watch_links();
    io::log_info("ready", {kv("catalog", config_.catalog), kv("connectors", dispatchers_.size())});
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

  io::HttpResponse answer(const io::HttpRequest& request) {
    if (request.path == "/healthz") {
      const IntakeStatus status = intake_.status();
      std::string body = "ok";
      if (!status.connected) body += ", not connected to the broker: " + status.connection_failure;
      if (fold_counters_.stalled) body += ", the fold has stopped: " + fold_error_;
      body += recovery_text(status.custody);
      if (!catalog_error_.empty())
        body += ", the catalog was refused and the one before is in force: " + catalog_error_;
      return {.body = body + "\n"};
    }
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

  void await_reload() {
    reload_.async_wait([this](const boost::system::error_code& error, int) {
      if (error) return;
      take_catalog(catalog_folder_.read());
      await_reload();
    });
  }

  void watch_links() {
    links_timer_.expires_after(kLinksInterval);
    links_timer_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      if (catalog_folder_.links_changed()) take_catalog(catalog_folder_.read_links());
      watch_links();
    });
  }

  void take_catalog(Result<Catalog> catalog) {
    catalog_error_ = catalog ? "" : catalog.error().text();
    if (!catalog) {
      io::log_error("catalog_refused",
                    {kv("error", catalog.error()), kv("action", "the old one stays in force")});
      return;
    }
    const std::string hash = catalog->hash().hex();
    io::on_storage(
        runtime_,
        [this, next = std::make_shared<Catalog>(std::move(*catalog))] {
          maintenance_.set_catalog(*next);
          accounts_.set_catalog(*next);
          commerce_.set_catalog(std::move(*next));
          return true;
        },
        [hash](bool) { io::log_info("catalog_loaded", {kv("hash", hash)}); });
  }

  /// Nothing is known about what the failed transaction left; only a new start reads what is
  /// durable.
  void storage_failed(const Error& error) {
    io::log_error("store_failed", {kv("error", error),
                                   kv("action", "ending; the next start reads what is durable")});
    runtime_.stop(kExitIo);
  }

  static constexpr std::chrono::seconds kLinksInterval{1};

  const CollectorConfig& config_;
  Clock& clock_;
  CatalogFolder catalog_folder_;
  io::Runtime runtime_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Signer> signer_;
  ChangedSeries changed_series_;
  Folder folder_;
  MaintenanceRunner maintenance_;
  AccountRunner accounts_;
  CommerceRunner commerce_;
  Intake intake_;
  std::vector<std::unique_ptr<Dispatcher>> dispatchers_;
  std::unique_ptr<io::HttpServer> http_;
  boost::asio::signal_set reload_{runtime_.context(), SIGHUP};
  boost::asio::steady_timer links_timer_{runtime_.context()};
  std::string catalog_error_;  // of the newest that was refused, until one is taken
  FoldCounters fold_counters_;
  std::string fold_error_;  // where it is stalled
  CommerceCounters commerce_counters_;
  MaintenanceCounters maintenance_counters_;
  AccountCounters account_counters_;
  bool folding_ = false;
  bool fold_again_ = false;
};

Result<int> run(const CollectorConfig& config, Clock& clock) {
  CatalogFolder folder(config);  // before it is read: links that come meanwhile are noticed
  TRY(Catalog catalog, folder.read());
  TRY_VOID(io::check_private_file(config.broker_private_key));
  TRY(auto store, open_store(config));
  TRY(auto signer, load_or_make_signer(config));
  TRY_VOID(store->ensure_origin(
      {.collector = signer->public_key().id().hex(), .log = "ledgerline", .epoch = 1}));
  TRY_VOID(write_access_list(config, *store, clock.now()));
  Collector collector(config, clock, std::move(store), std::move(signer), std::move(folder),
                      std::move(catalog));
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
    case CommandLine::Verb::documents:
      return documents(config, options, std::cout);
    case CommandLine::Verb::approve:
    case CommandLine::Verb::refuse:
      return decide(config, options, clock, std::cout);
    case CommandLine::Verb::requeue:
      return requeue(config, options, clock, std::cout);
    case CommandLine::Verb::usage:
      return usage(config, options, std::cout);
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
    case CommandLine::Verb::try_maintenance:
      return try_maintenance(config, options, std::cout);
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
