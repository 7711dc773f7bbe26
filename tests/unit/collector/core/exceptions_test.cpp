#include "collector/core/exceptions.h"

#include <catch2/catch.hpp>
#include <set>

#include "collector/core/exception_upsert.h"

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
        exception_kind::kDeliveryConflict, exception_kind::kDeliveryHeld,
        exception_kind::kDeliveryUnapproved, exception_kind::kNewEpoch}) {
    INFO(kind);
    const ExceptionPolicy* policy = exception_policy(kind);
    REQUIRE(policy != nullptr);
    CHECK_FALSE(policy->owner.empty());
    CHECK_FALSE(policy->remedy.empty());
    CHECK(policy->within > Duration::zero());
    CHECK(allowed(kind, ExceptionActionKind::assign));
  }
  CHECK(exception_policy("nope") == nullptr);
}

TEST_CASE("what holds money cannot be ignored") {
  for (const auto kind :
       {exception_kind::kLate, exception_kind::kNotRated, exception_kind::kNewEpoch}) {
    CHECK(allowed(kind, ExceptionActionKind::assign));
    CHECK(allowed(kind, ExceptionActionKind::ignore).error().code() == Errc::reject);
  }
}

TEST_CASE("a new exception is open, owned and dated") {
  const ExceptionRow row =
      new_exception(exception_kind::kLate, {"demo", "c"}, "demo", Timestamp(5));

  CHECK(row.state == ExceptionState::open);
  CHECK(row.owner == "finance");
  CHECK(row.first_seen == Timestamp(5));
  CHECK(row.tenant == "demo");
}

ExceptionUpsert sighting(Timestamp now, uint64_t count) {
  ExceptionUpsert out{UpsertMode::replace,
                      new_exception(exception_kind::kLate, {"demo", "c"}, "demo", now)};
  out.row.count = count;
  return out;
}

TEST_CASE("a deadline counts from the first sighting, and anew when it opens again") {
  const Duration within = exception_policy(exception_kind::kLate)->within;
  const auto first = upserted(std::nullopt, sighting(Timestamp(5), 1));
  CHECK(first->deadline == Timestamp(5) + within);
  const auto second = upserted(first, sighting(Timestamp(9), 2));
  CHECK(second->deadline == Timestamp(5) + within);

  const auto done = acted(*second, {.kind = ExceptionActionKind::ignore, .by = "ann"});
  CHECK_FALSE(upserted(done, sighting(Timestamp(12), 2)));
  const auto again = upserted(done, sighting(Timestamp(20), 3));
  CHECK(again->state == ExceptionState::open);
  CHECK(again->deadline == Timestamp(20) + within);
  CHECK(again->first_seen == Timestamp(5));
}

TEST_CASE("who an exception is assigned to stays with it over new sightings") {
  const auto first = upserted(std::nullopt, sighting(Timestamp(5), 1));
  const auto assigned = acted(*first, {.kind = ExceptionActionKind::assign, .detail = "bob"});
  CHECK(assigned.state == ExceptionState::open);
  CHECK(upserted(assigned, sighting(Timestamp(9), 2))->assignee == "bob");
}

TEST_CASE("only the actions of a kind are allowed, and the others are told of") {
  CHECK(allowed(exception_kind::kUnmappedSubject, ExceptionActionKind::map));
  CHECK(allowed(exception_kind::kDeliveryHeld, ExceptionActionKind::requeue));
  const auto refused = allowed(exception_kind::kFork, ExceptionActionKind::map);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().text().find("it has: assign, ignore") != std::string::npos);
}

}  // namespace
}  // namespace ledgerline::collector
