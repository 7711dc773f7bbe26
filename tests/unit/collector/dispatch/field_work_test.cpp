// How closing an order in the external system comes back: the dispatcher asks, the work book
// closes.

#include <algorithm>

#include "tests/support/fault_erp/fault_erp.h"
#include "tests/support/fault_erp/fault_receiver.h"
#include "tests/unit/collector/dispatch/dispatch_world.h"

namespace ledgerline::collector {
namespace {

using ledgerline::testing::Fault;
using ledgerline::testing::FaultErp;
using ledgerline::testing::FaultReceiver;
using namespace testing;  // NOLINT: the world of the connectors' tests

/// Who keeps the open orders, in memory. Outlives the collectors that use it.
class FieldBook final : public WorkBook {
 public:
  struct Closing {
    std::string document;
    WorkProgress progress;
  };

  void open(const std::string& connector, const DeliveryRow& delivery) {
    open_.emplace_back(connector, OpenWork{.document = delivery.document,
                                           .revision = delivery.revision,
                                           .external_id = delivery.external_id,
                                           .rule = "compressor",
                                           .asset = "pump-7",
                                           .number = 3});
  }

  Result<std::vector<OpenWork>> open_work(const std::string& connector) override {
    ++looks_;
    std::vector<OpenWork> out;
    for (const auto& [name, work] : open_) {
      if (name == connector) out.push_back(work);
    }
    if (after_look_) after_look_();
    return out;
  }

  Status close_work(const OpenWork& work, const WorkProgress& progress, Timestamp) override {
    if (crashes_ > 0) {
      --crashes_;
      return fail(Errc::internal, "the disk is gone");
    }
    const size_t gone = std::erase_if(
        open_, [&](const auto& entry) { return entry.second.document == work.document; });
    if (gone == 0) return fail(Errc::conflict, "the order is not open any more");
    closings_.push_back({work.document, progress});
    return {};
  }

  std::vector<std::pair<std::string, OpenWork>> open_;
  std::vector<Closing> closings_;
  int looks_ = 0;    // at the whole book
  int crashes_ = 0;  // of the closings to come
  std::function<void()> after_look_;
};

/// Orders that Tryton has, and a book in which they are open.
struct Erp {
  FaultErp erp_;
};
struct World : Erp, DispatchWorld {
  World() : DispatchWorld(tryton_options(erp_.url())) {}

  void order(const std::string& id) {
    add(id, example_order(id));
    work();
    book_.open("tryton", delivery(id));
  }

  DispatchCounters live_until(const std::function<bool()>& over) {
    if (work_book_ == nullptr) work_book_ = &book_;
    std::string failure;
    const auto counters = live(over, failure);
    CHECK(failure.empty());
    return counters;
  }
  DispatchCounters live_for_looks(int looks) {
    const int until = book_.looks_ + looks;
    return live_until([this, until] { return book_.looks_ >= until; });
  }

  FieldBook book_;
};

TEST_CASE("what field service closed is closed here, once, with who, when and how long") {
  World world;
  world.order("mo-1");
  world.live_for_looks(3);
  CHECK(world.book_.closings_.empty());

  world.erp_.close_works();
  const auto counters = world.live_for_looks(4);

  CHECK(counters.work_closed == 1);
  REQUIRE(world.book_.closings_.size() == 1);
  const auto& [document, progress] = world.book_.closings_.front();
  CHECK(document == "mo-1");
  CHECK(progress.by == "Field service");
  CHECK(to_rfc3339(progress.closed_at.value()) == "2026-11-21T09:05:07.000Z");
  CHECK(progress.effort_minutes == 90);
  CHECK(world.erp_.works().size() == 1);
}

TEST_CASE("a question about progress that fails closes nothing and is asked again") {
  for (const Fault fault :
       {Fault::reset_after, Fault::silence_after, Fault::half_reply_after, Fault::error_500_after,
        Fault::not_json, Fault::too_many_requests, Fault::session_expired, Fault::field_missing,
        Fault::field_renamed, Fault::user_error}) {
    INFO(static_cast<int>(fault));
    World world;
    world.order("mo-1");
    world.erp_.close_works();
    world.book_.after_look_ = [&] {
      if (world.book_.looks_ == 1) world.erp_.queue("work.search_read", fault);
    };

    const auto counters = world.live_until([&] { return !world.book_.closings_.empty(); });

    CHECK(world.erp_.faults_left() == 0);
    CHECK(world.book_.closings_.size() == 1);
    // An expired session is renewed within the question.
    CHECK(counters.work_unanswered == (fault == Fault::session_expired ? 0 : 1));
  }
}

TEST_CASE("an order that is unknown there stays open and holds up no other") {
  World world;
  world.order("mo-1");
  world.order("mo-2");
  world.book_.open_.front().second.external_id = "99";
  world.erp_.close_works();

  const auto counters = world.live_for_looks(3);

  CHECK(counters.work_unanswered >= 2);
  REQUIRE(world.book_.closings_.size() == 1);
  CHECK(world.book_.closings_.front().document == "mo-2");
  CHECK(world.book_.open_.size() == 1);
}

TEST_CASE("an order that was closed here meanwhile is left alone, and the others are asked") {
  World world;
  world.order("mo-1");
  world.order("mo-2");
  world.erp_.close_works();
  world.book_.after_look_ = [&] {
    if (world.book_.looks_ == 1) world.book_.open_.erase(world.book_.open_.begin());
  };

  const auto counters = world.live_for_looks(2);

  CHECK(counters.work_closed == 1);
  REQUIRE(world.book_.closings_.size() == 1);
  CHECK(world.book_.closings_.front().document == "mo-2");
}

TEST_CASE("each connector asks its own system about its own orders") {
  World world;
  world.order("mo-1");
  FaultReceiver receiver;
  DispatchWorld other(webhook_options(receiver.url(), FaultReceiver::kSecret));
  other.add("mo-2", example_order("mo-2"));
  other.work();
  world.book_.open("webhook", other.delivery("mo-2"));
  other.work_book_ = &world.book_;
  world.erp_.close_works();

  world.live_for_looks(3);
  REQUIRE(world.book_.closings_.size() == 1);
  CHECK(world.book_.closings_.front().document == "mo-1");

  receiver.close_orders();
  std::string failure;
  other.live([&] { return world.book_.open_.empty(); }, failure);
  CHECK(failure.empty());
  REQUIRE(world.book_.closings_.size() == 2);
  CHECK(world.book_.closings_.back().document == "mo-2");
  CHECK(world.book_.closings_.back().progress.effort_minutes == 90);
}

TEST_CASE("a crash between the answer and the closing is repeated and closes once") {
  World world;
  world.order("mo-1");
  world.erp_.close_works();
  world.book_.crashes_ = 1;

  world.work_book_ = &world.book_;
  std::string failure;
  world.live([] { return false; }, failure);
  CHECK_THAT(failure, Catch::Contains("the disk is gone"));
  CHECK(world.book_.closings_.empty());

  world.live_for_looks(3);
  CHECK(world.book_.closings_.size() == 1);
  CHECK(world.erp_.works().size() == 1);
}

TEST_CASE("a delivery that comes up meanwhile goes before the orders that are still to be asked") {
  World world;
  for (const char* id : {"mo-1", "mo-2", "mo-3", "mo-4", "mo-5"}) world.order(id);
  const size_t before = world.erp_.operations().size();
  world.book_.after_look_ = [&] {
    if (world.book_.looks_ == 1) world.add("bs-1", example_document("bs-1"));
  };

  world.live_for_looks(2);

  const auto operations = world.erp_.operations();
  const auto begin = operations.begin() + static_cast<ptrdiff_t>(before);
  const auto created = std::find(begin, operations.end(), "model.account.invoice.create");
  REQUIRE(created != operations.end());
  CHECK(std::count(begin, created, "model.project.work.search_read") == 1);
  CHECK(std::count(created, operations.end(), "model.project.work.search_read") >= 4);
}

}  // namespace
}  // namespace ledgerline::collector
