#include "collector/core/exceptions.h"

#include <catch2/catch.hpp>
#include <set>

namespace ledgerline::collector {
namespace {

TEST_CASE("the same cause has the same id, another cause another") {
  CHECK(exception_id("late", {"demo", "c"}) == exception_id("late", {"demo", "c"}));
  const std::set<std::string> ids{
      exception_id("late", {"demo", "c"}), exception_id("late", {"democ"}),
      exception_id("late", {"dem", "oc"}), exception_id("late", {"demo", "c", ""}),
      exception_id("latedemo", {"c"}),     exception_id("fork", {"demo", "c"})};
  CHECK(ids.size() == 6);
  CHECK(exception_id("late", {"demo", "c"}) == "ex-a92cb8673f20ad5dab882851c533b94b");
}

TEST_CASE("every kind in use has an owner and an action") {
  for (const std::string_view kind :
       {exception_kind::kUndecodableBatch, exception_kind::kTotalsMismatch,
        exception_kind::kSeqMismatch, exception_kind::kImplausibleTime,
        exception_kind::kUnplacedTime, exception_kind::kCoarsened, exception_kind::kSeriesLimit,
        exception_kind::kFork, exception_kind::kUnmappedSubject, exception_kind::kUnknownMeter,
        exception_kind::kWrongUnit, exception_kind::kLate, exception_kind::kSilentDevice,
        exception_kind::kNotRated, exception_kind::kDeliveryRejected,
        exception_kind::kDeliveryConflict, exception_kind::kDeliveryHeld}) {
    INFO(kind);
    const ExceptionPolicy* policy = exception_policy(kind);
    REQUIRE(policy != nullptr);
    CHECK_FALSE(policy->owner.empty());
    CHECK_FALSE(policy->action.empty());
  }
  CHECK(exception_policy("nope") == nullptr);
}

TEST_CASE("a new exception is open, owned and dated") {
  const ExceptionRow row =
      new_exception(exception_kind::kLate, {"demo", "c"}, "demo", Timestamp(5));

  CHECK(row.state == ExceptionState::open);
  CHECK(row.owner == "finance");
  CHECK(row.first_seen == Timestamp(5));
  CHECK(row.tenant == "demo");
}

}  // namespace
}  // namespace ledgerline::collector
