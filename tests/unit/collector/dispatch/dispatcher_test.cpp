// The conformance suite of delivery: store, dispatcher, engine and profile together against an ERP
// with its own truth. Each document exists there exactly once, whatever happens on the way.

#include "collector/dispatch/dispatcher.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "collector/core/documents.h"
#include "collector/store/memory_store.h"
#include "common/io/log.h"
#include "tests/support/fault_erp/fault_erp.h"
#include "tests/unit/collector/connectors/connector_world.h"

namespace ledgerline::collector {
namespace {

using ledgerline::testing::Fault;
using ledgerline::testing::FaultErp;
using namespace testing;  // NOLINT: the world of the connectors' tests

class World {
 public:
  World() : store_(open_memory_store(database_)) {
    // Faults are what these tests are made of: their warnings would bury a failure.
    REQUIRE(io::set_log_level("error"));
  }

  void add(const std::string& id, const Json& body, uint32_t revision = 1) {
    DocumentRow document;
    document.id = id;
    document.revision = revision;
    document.kind = body.find("kind")->text();
    document.tenant = "demo";
    document.contract = "aqua-2026";
    document.connector = "tryton";
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
    io::Runtime runtime;
    auto options = tryton_options(erp_.url());
    if (!unique_ref_) {
      options.profile.replace(options.profile.find("unique_ref = true"), 17, "unique_ref = false");
    }
    auto engine = Engine::open(runtime.context().get_executor(), clock_, options);
    REQUIRE(engine);
    std::string failure;
    Dispatcher dispatcher(runtime, clock_, *store_, std::move(*engine),
                          {.holder = "collector",
                           .idle = Duration(1),
                           .random = [this] { return static_cast<uint32_t>(random_()); },
                           .on_store_failure =
                               [&](const Error& error) {
                                 failure = error.text();
                                 runtime.stop(74);
                               }});
    runtime.spawn("dispatch", dispatcher.run());
    runtime.spawn("watch", watch(runtime));
    runtime.run();
    CHECK(failure.empty());
    return dispatcher.counters();
  }

  DeliveryRow delivery(const std::string& document) {
    const auto rows = store_->list_deliveries({.document = document}).value();
    REQUIRE(rows.size() == 1);
    return rows.front();
  }

  std::shared_ptr<MemoryDatabase> database_ = make_memory_database();
  std::unique_ptr<Store> store_;
  FaultErp erp_;
  HastyClock clock_;
  std::mt19937 random_{7};
  bool unique_ref_ = true;

 private:
  static bool moves(const DeliveryRow& row) {
    return row.state == DeliveryState::pending || row.state == DeliveryState::in_flight ||
           row.state == DeliveryState::retry || row.state == DeliveryState::unknown;
  }

  boost::asio::awaitable<void> watch(io::Runtime& runtime) {
    boost::asio::steady_timer timer(runtime.context());
    for (int i = 0; i < 6000; ++i) {
      timer.expires_after(std::chrono::milliseconds(10));
      co_await timer.async_wait(boost::asio::use_awaitable);
      auto list = [this] { return store_->list_deliveries({}); };
      const auto rows = co_await io::storage_call(runtime, list);
      if (std::none_of(rows->begin(), rows->end(), moves)) break;
    }
    runtime.stop(0);
  }
};

TEST_CASE("a document is delivered, and the store knows where it is") {
  World world;
  world.add("bs-1", example_document("bs-1"));

  const auto counters = world.work();

  CHECK(counters.confirmed == 1);
  const auto delivery = world.delivery("bs-1");
  CHECK(delivery.state == DeliveryState::confirmed);
  CHECK(delivery.external_id == "1");
  CHECK(delivery.attempt == 1);
  const auto document = world.store_->document("bs-1").value();
  CHECK(document.state == DocumentState::confirmed);
  CHECK(document.external_id == "1");
  CHECK(world.erp_.invoices().front().external_id == "bs-1");
}

TEST_CASE("whatever one request meets, the document exists exactly once") {
  struct Case {
    Fault fault;
    DeliveryState state;
    size_t invoices;
  };
  const auto confirmed = DeliveryState::confirmed;
  const std::vector<Case> cases = {
      {Fault::slow, confirmed, 1},
      {Fault::too_many_requests, confirmed, 1},
      {Fault::session_expired, confirmed, 1},
      {Fault::refuse_connection, confirmed, 1},
      {Fault::reset_before, confirmed, 1},
      {Fault::reset_after, confirmed, 1},
      {Fault::half_reply_after, confirmed, 1},
      {Fault::silence_before, confirmed, 1},
      {Fault::silence_after, confirmed, 1},
      {Fault::error_500_before, confirmed, 1},
      {Fault::error_500_after, confirmed, 1},
      {Fault::not_json, confirmed, 1},
      {Fault::wrong_echo, DeliveryState::conflict, 1},
      {Fault::user_error, DeliveryState::rejected, 0},
  };
  for (const Case& row : cases) {
    INFO(static_cast<int>(row.fault));
    World world;
    world.erp_.queue("invoice.create", row.fault);
    world.add("bs-1", example_document("bs-1"));

    world.work();

    CHECK(world.delivery("bs-1").state == row.state);
    CHECK(world.erp_.invoices().size() == row.invoices);
    CHECK(world.erp_.faults_left() == 0);
    const auto exceptions = world.store_->list_exceptions({}).value();
    CHECK(exceptions.size() == (row.state == confirmed ? 0 : 1));
    if (!exceptions.empty()) CHECK(exceptions.front().owner == "finance");
  }
}

TEST_CASE("whatever an update meets, the order exists once and in its newest revision") {
  for (const Fault fault :
       {Fault::none, Fault::too_many_requests, Fault::session_expired, Fault::refuse_connection,
        Fault::reset_before, Fault::reset_after, Fault::half_reply_after, Fault::silence_before,
        Fault::silence_after, Fault::error_500_before, Fault::error_500_after, Fault::not_json}) {
    INFO(static_cast<int>(fault));
    World world;
    world.add("mo-1", example_order("mo-1"));
    world.work();
    world.erp_.queue("work.write", fault);
    world.add("mo-1", example_order("mo-1", 2), 2);

    world.work();

    const auto deliveries = world.store_->list_deliveries({.document = "mo-1"}).value();
    CHECK(deliveries.size() == 2);
    for (const auto& delivery : deliveries) CHECK(delivery.state == DeliveryState::confirmed);
    const auto works = world.erp_.works();
    REQUIRE(works.size() == 1);
    CHECK(works[0].values.find("external_revision")->text() == "2");
    CHECK(world.erp_.faults_left() == 0);
  }
}

TEST_CASE("a hundred documents through a storm of faults exist exactly once each") {
  World world;
  const std::vector<Fault> faults = {
      Fault::reset_before,  Fault::reset_after,       Fault::half_reply_after,
      Fault::silence_after, Fault::error_500_after,   Fault::error_500_before,
      Fault::not_json,      Fault::too_many_requests, Fault::session_expired};
  const auto any = [&] {
    return world.random_() % 5 < 4 ? Fault::none : faults[world.random_() % faults.size()];
  };
  for (int i = 0; i < 150; ++i) {
    world.erp_.queue("invoice.create", any());
    world.erp_.queue("invoice.search_read", any());
  }
  for (int i = 0; i < 100; ++i) {
    const std::string id = "bs-" + std::to_string(i);
    world.add(id, example_document(id, "C-" + std::to_string(1000 + i % 7)));
  }

  const auto counters = world.work();

  std::map<std::string, int> seen;
  for (const auto& invoice : world.erp_.invoices()) ++seen[invoice.external_id];
  CHECK(seen.size() == 100);
  for (const auto& [id, count] : seen) CHECK(count == 1);
  CHECK(counters.confirmed == 100);
  CHECK(counters.unknown > 10);
  CHECK(counters.look_ups > 10);
}

TEST_CASE("a document that becomes visible only after the first look is found by the second") {
  World world;
  world.add("bs-1", example_document("bs-1"));
  world.erp_.queue("invoice.create", Fault::late_commit);

  const auto counters = world.work();

  CHECK(counters.look_ups == 2);
  CHECK(world.erp_.calls("invoice.create") == 1);
  CHECK(world.delivery("bs-1").state == DeliveryState::confirmed);
  CHECK(world.erp_.invoices().size() == 1);
}

TEST_CASE("a crash after the creation is looked up and not sent again") {
  World world;
  world.add("bs-1", example_document("bs-1"));
  const auto lease = world.store_
                         ->acquire_lease({.name = "outbox/tryton",
                                          .holder = "collector",
                                          .now = world.clock_.now(),
                                          .lifetime = std::chrono::minutes(15)})
                         .value();
  REQUIRE(world.store_
              ->claim_deliveries({.connector = "tryton",
                                  .lease = lease.name,
                                  .lease_epoch = lease.epoch,
                                  .now = world.clock_.now()})
              .value()
              .size() == 1);
  boost::asio::io_context context;
  const auto engine =
      Engine::open(context.get_executor(), world.clock_, tryton_options(world.erp_.url()));
  wait_for(context, (*engine)->deliver(example_document("bs-1")));
  REQUIRE(world.erp_.calls("invoice.create") == 1);

  const auto counters = world.work();

  CHECK(counters.recovered == 1);
  CHECK(counters.look_ups == 1);
  CHECK(counters.attempts == 0);
  CHECK(world.delivery("bs-1").state == DeliveryState::confirmed);
  CHECK(world.erp_.calls("invoice.create") == 1);
}

TEST_CASE("a crash before the creation is looked up twice and then sent") {
  World world;
  world.add("bs-1", example_document("bs-1"));
  const auto lease = world.store_
                         ->acquire_lease({.name = "outbox/tryton",
                                          .holder = "collector",
                                          .now = world.clock_.now(),
                                          .lifetime = std::chrono::minutes(15)})
                         .value();
  REQUIRE(world.store_
              ->claim_deliveries({.connector = "tryton",
                                  .lease = lease.name,
                                  .lease_epoch = lease.epoch,
                                  .now = world.clock_.now()})
              .value()
              .size() == 1);

  const auto counters = world.work();

  CHECK(counters.look_ups == 2);
  CHECK(counters.attempts == 1);
  CHECK(world.delivery("bs-1").state == DeliveryState::confirmed);
  CHECK(world.erp_.invoices().size() == 1);
}

TEST_CASE("a rejected document holds up no other, and goes on when a person has mended the cause") {
  World world;
  world.add("bs-1", example_document("bs-1"));
  world.add("bs-2", example_document("bs-2"));
  world.erp_.queue("invoice.create", Fault::user_error);
  world.work();
  CHECK(world.erp_.invoices().size() == 1);
  const auto rejected = world.store_->list_deliveries({.state = DeliveryState::rejected}).value();
  REQUIRE(rejected.size() == 1);
  CHECK(world.store_->list_exceptions({}).value().size() == 1);

  world.release(rejected.front());
  world.work();

  CHECK(world.erp_.invoices().size() == 2);
  CHECK(world.store_->list_exceptions({}).value().empty());
}

TEST_CASE("where an id is not unique a lost document is held, and sent when a person releases it") {
  World world;
  world.unique_ref_ = false;
  world.add("bs-1", example_document("bs-1"));
  world.erp_.queue("invoice.create", Fault::reset_before);
  const auto counters = world.work();
  CHECK(counters.look_ups == 2);
  CHECK(world.erp_.invoices().empty());
  REQUIRE(world.delivery("bs-1").state == DeliveryState::held);

  world.release(world.delivery("bs-1"));
  world.work();

  CHECK(world.delivery("bs-1").state == DeliveryState::confirmed);
  CHECK(world.erp_.invoices().size() == 1);
  CHECK(world.store_->list_exceptions({}).value().empty());
}

}  // namespace
}  // namespace ledgerline::collector
