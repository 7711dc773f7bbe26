// The outbox's worker: store, dispatcher, engine and profile together against an ERP with its own
// truth. What every profile must survive is in tests/conformance.

#include "collector/dispatch/dispatcher.h"

#include <map>

#include "tests/support/fault_erp/fault_erp.h"
#include "tests/unit/collector/dispatch/dispatch_world.h"

namespace ledgerline::collector {
namespace {

using ledgerline::testing::Fault;
using ledgerline::testing::FaultErp;
using namespace testing;  // NOLINT: the world of the connectors' tests

struct Erp {
  FaultErp erp_;
};

struct World : Erp, DispatchWorld {
  World() : DispatchWorld(tryton_options(erp_.url())) {}
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
  world.crash_after_creating(example_document("bs-1"));
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
  world.crash_before_sending();

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
  world.options_.profile.replace(world.options_.profile.find("unique_ref = true"), 17,
                                 "unique_ref = false");
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
