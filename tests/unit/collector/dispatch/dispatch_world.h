#pragma once
// What tests of the dispatcher share: a store, a clock in a hurry, and lives of a collector over
// them. What a life leaves behind the next one finds.

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <random>
#include <string>
#include <utility>

#include "collector/core/documents.h"
#include "collector/dispatch/dispatcher.h"
#include "collector/store/memory_store.h"
#include "common/io/log.h"
#include "tests/unit/collector/connectors/connector_world.h"

namespace ledgerline::collector::testing {

class DispatchWorld {
 public:
  explicit DispatchWorld(EngineOptions options)
      : options_(std::move(options)), store_(open_memory_store(database_)) {
    // Faults are what these tests are made of: their warnings would bury a failure.
    REQUIRE(io::set_log_level("error"));
  }

  void add(const std::string& id, Json body, uint32_t revision = 1) {
    DocumentRow document;
    document.id = id;
    document.revision = revision;
    document.kind = body.find("kind")->text();
    document.tenant = "demo";
    document.contract = "aqua-2026";
    document.connector = options_.name;
    document.currency = "EUR";
    document.state = DocumentState::approved;
    document.body = body.dump();
    document.created_at = clock_.now();
    CommercialChanges changes;
    changes.deliveries.push_back(new_delivery(document, clock_.now()));
    changes.documents.push_back({document, revision - 1});
    REQUIRE(store_->put_documents(changes));
  }

  /// What a person does who has mended the cause.
  void release(const DeliveryRow& row) {
    REQUIRE(store_->release_delivery({.id = row.id,
                                      .expected = row.state,
                                      .state = DeliveryState::retry,
                                      .next_attempt_at = clock_.now(),
                                      .at = clock_.now()}));
  }

  /// A collector's life: until nothing moves any more, or a minute at most.
  DispatchCounters work() {
    std::string failure;
    const auto counters = live([this] { return is_quiet(); }, failure);
    CHECK(failure.empty());
    return counters;
  }

  /// A collector's life until `over` (asked on the storage thread) or the failure of the store.
  DispatchCounters live(const std::function<bool()>& over, std::string& failure) {
    io::Runtime runtime;
    auto engine = Engine::open(runtime.context().get_executor(), clock_, options_);
    INFO((engine ? std::string() : engine.error().text()));
    REQUIRE(engine);
    Dispatcher dispatcher(runtime, clock_, *store_, std::move(*engine),
                          {.holder = "collector",
                           .idle = Duration(1),
                           .random =
                               [this] {
                                 // Drawn once per attempt, when it is over.
                                 if (after_attempt_) after_attempt_();
                                 return static_cast<uint32_t>(random_());
                               },
                           .on_store_failure =
                               [&](const Error& error) {
                                 failure = error.text();
                                 runtime.stop(74);
                               },
                           .work = work_book_,
                           .work_interval = Duration(1000)});
    runtime.spawn("dispatch", dispatcher.run());
    runtime.spawn("watch", watch(runtime, over));
    runtime.run();
    return dispatcher.counters();
  }

  /// Claims what is due and dies before a byte leaves.
  void crash_before_sending() {
    const auto lease = store_
                           ->acquire_lease({.name = "outbox/" + options_.name,
                                            .holder = "collector",
                                            .now = clock_.now(),
                                            .lifetime = std::chrono::minutes(15)})
                           .value();
    REQUIRE(store_
                ->claim_deliveries({.connector = options_.name,
                                    .lease = lease.name,
                                    .lease_epoch = lease.epoch,
                                    .now = clock_.now()})
                .value()
                .size() == 1);
  }

  /// Claims what is due, has it created there, and dies before it is written down here.
  void crash_after_creating(const Json& document) {
    crash_before_sending();
    boost::asio::io_context context;
    const auto engine = Engine::open(context.get_executor(), clock_, options_);
    REQUIRE(engine);
    const auto outcome = wait_for(context, (*engine)->deliver(document));
    REQUIRE(std::holds_alternative<AttemptConfirmed>(outcome));
  }

  DeliveryRow delivery(const std::string& document) {
    const auto rows = store_->list_deliveries({.document = document}).value();
    REQUIRE(rows.size() == 1);
    return rows.front();
  }

  EngineOptions options_;
  std::shared_ptr<MemoryDatabase> database_ = make_memory_database();
  std::unique_ptr<Store> store_;
  HastyClock clock_;
  std::mt19937 random_{7};
  WorkBook* work_book_ = nullptr;
  std::function<void()> after_attempt_;

 private:
  bool is_quiet() {
    const auto rows = store_->list_deliveries({}).value();
    return std::none_of(rows.begin(), rows.end(), [](const DeliveryRow& row) {
      return row.state == DeliveryState::pending || row.state == DeliveryState::in_flight ||
             row.state == DeliveryState::retry || row.state == DeliveryState::unknown;
    });
  }

  boost::asio::awaitable<void> watch(io::Runtime& runtime, std::function<bool()> over) {
    boost::asio::steady_timer timer(runtime.context());
    for (int i = 0; i < 6000; ++i) {
      timer.expires_after(std::chrono::milliseconds(10));
      co_await timer.async_wait(boost::asio::use_awaitable);
      const bool is_over = co_await io::storage_call(runtime, over);
      if (is_over) break;
    }
    runtime.stop(0);
  }
};

/// The document as the dispatcher hands it to a profile.
inline Json as_sent(Json document) {
  document.set("body", Json::string(document.dump()));
  return document;
}

}  // namespace ledgerline::collector::testing
