#include "collector/core/delivery.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace ledgerline::collector {
namespace {

constexpr Timestamp kNow(1'000'000);

DeliveryRow in_flight(uint32_t attempt = 1) {
  DeliveryRow row;
  row.id = "bs-1.r1.erp";
  row.document = "bs-1";
  row.connector = "erp";
  row.tenant = "demo";
  row.state = DeliveryState::in_flight;
  row.attempt = attempt;
  return row;
}

/// Claimed again after its outcome was not known.
DeliveryRow looking(uint32_t lookups = 0) {
  DeliveryRow row = in_flight(2);
  row.lookup_first = true;
  row.lookups = lookups;
  return row;
}

DeliveryRules unique() {
  DeliveryRules rules;
  rules.unique_ref = true;
  return rules;
}

bool raises(const DeliveryDecision& decision, std::string_view kind) {
  return std::any_of(decision.exceptions.begin(), decision.exceptions.end(),
                     [&](const auto& upsert) {
                       return upsert.mode == UpsertMode::add && upsert.row.kind == kind &&
                              upsert.row.document == "bs-1";
                     });
}

TEST_CASE("what was never sent is delivered, what may have arrived is looked up") {
  CHECK(next_step(in_flight()) == DeliveryStep::deliver);
  CHECK(next_step(looking()) == DeliveryStep::look_up);
}

TEST_CASE("a confirmed delivery confirms its document and clears what stood in the way") {
  const auto decision =
      on_outcome(in_flight(), AttemptConfirmed{"17", "draft", "12.77 EUR"}, unique(), kNow, 0);

  CHECK(decision.state == DeliveryState::confirmed);
  CHECK(decision.external_id == "17");
  CHECK(decision.document_state == DocumentState::confirmed);
  CHECK(decision.exceptions.size() == 4);
  for (const auto& upsert : decision.exceptions) CHECK(upsert.mode == UpsertMode::clear);
}

TEST_CASE(
    "an unknown outcome is never sent again before it was looked up, later than the commit lag") {
  DeliveryRules rules = unique();
  rules.commit_lag = Duration(6000);

  const auto decision = on_outcome(in_flight(), AttemptUnknown{"timed out"}, rules, kNow, 0);

  CHECK(decision.state == DeliveryState::unknown);
  CHECK(decision.lookup_first);
  CHECK(decision.lookups == 0);
  CHECK(decision.next_attempt_at - kNow > rules.commit_lag);
}

TEST_CASE("what nobody approved is held for a person, who can release it") {
  const auto decision =
      on_outcome(in_flight(), AttemptUnapproved{"approved by nobody"}, unique(), kNow, 0);

  CHECK(decision.state == DeliveryState::held);
  CHECK_FALSE(decision.lookup_first);
  CHECK(decision.reply == "approved by nobody");
  CHECK(raises(decision, exception_kind::kDeliveryUnapproved));
}

TEST_CASE("absent once is looked up once more, also later than the commit lag") {
  const auto decision = on_outcome(looking(0), AttemptAbsent{}, unique(), kNow, 0);

  CHECK(decision.state == DeliveryState::unknown);
  CHECK(decision.lookup_first);
  CHECK(decision.lookups == 1);
  CHECK(decision.next_attempt_at - kNow > unique().commit_lag);
}

TEST_CASE("absent twice is sent again only where the id is unique there") {
  const auto again = on_outcome(looking(1), AttemptAbsent{}, unique(), kNow, 0);
  CHECK(again.state == DeliveryState::retry);
  CHECK_FALSE(again.lookup_first);
  CHECK(again.next_attempt_at > kNow);
  CHECK(again.resends == 1);

  const auto held = on_outcome(looking(1), AttemptAbsent{}, DeliveryRules{}, kNow, 0);
  CHECK(held.state == DeliveryState::held);
  CHECK_FALSE(held.lookup_first);
  CHECK(raises(held, exception_kind::kDeliveryHeld));
}

TEST_CASE("a system that never finishes a document gets it a few times, then a person looks") {
  DeliveryRow row = looking(1);
  Timestamp waited = kNow;
  uint32_t sent = 1;
  for (;; ++sent) {
    const auto decision = on_outcome(row, AttemptAbsent{}, unique(), kNow, 0);
    if (decision.state == DeliveryState::held) {
      CHECK(raises(decision, exception_kind::kDeliveryHeld));
      break;
    }
    CHECK(decision.next_attempt_at >= waited);
    waited = decision.next_attempt_at;
    row.resends = decision.resends;
    const auto lost = on_outcome(row, AttemptUnknown{"500"}, unique(), kNow, 0);
    CHECK(lost.resends == row.resends);
  }
  CHECK(sent == unique().resends_max + 1);
}

TEST_CASE("attempts count from the last time a person released it") {
  DeliveryRow row = in_flight(2'001);
  row.released_at_attempt = 2'000;
  const auto decision = on_outcome(row, AttemptRetry{{}, "busy"}, unique(), kNow, 0);
  CHECK(decision.state == DeliveryState::retry);
  CHECK(decision.next_attempt_at - kNow <= unique().backoff.first);
}

TEST_CASE("a look-up that fails stays a look-up and forgets nothing") {
  const auto decision =
      on_outcome(looking(1), AttemptRetry{std::nullopt, "no route", true}, unique(), kNow, 0);

  CHECK(decision.state == DeliveryState::unknown);
  CHECK(decision.lookup_first);
  CHECK(decision.lookups == 1);
}

TEST_CASE("a look-up that is refused does not prove that nothing was created") {
  const auto decision = on_outcome(looking(), AttemptRejected{"no access"}, unique(), kNow, 0);

  CHECK(decision.state == DeliveryState::held);
  CHECK(raises(decision, exception_kind::kDeliveryHeld));
}

TEST_CASE("retries wait as long as they are told to, within reason, else longer each time") {
  const auto delay = [](uint32_t attempt, std::optional<Duration> after) {
    const auto decision = on_outcome(in_flight(attempt), AttemptRetry{after, "busy", true},
                                     unique(), kNow, 0xffffffff);
    CHECK(decision.state == DeliveryState::retry);
    return decision.next_attempt_at - kNow;
  };
  CHECK(delay(1, Duration(7000)) == Duration(7000));
  CHECK(delay(1, Duration(0)) == Duration(0));
  CHECK(delay(1, Duration(999'999'999)) == unique().retry_after_max);
  CHECK(delay(1, std::nullopt) == Duration(2000));
  CHECK(delay(2, std::nullopt) == Duration(4000));
  CHECK(delay(50, std::nullopt) == unique().backoff.cap);
}

TEST_CASE("the last attempt goes to a person") {
  DeliveryRules rules = unique();
  rules.attempts_max = 3;

  const auto decision =
      on_outcome(in_flight(3), AttemptRetry{std::nullopt, "busy", true}, rules, kNow, 0);

  CHECK(decision.state == DeliveryState::held);
  CHECK(raises(decision, exception_kind::kDeliveryHeld));
}

TEST_CASE("rejected and conflicting deliveries stand still and say so") {
  const auto rejected = on_outcome(in_flight(), AttemptRejected{"no party C-9"}, unique(), kNow, 0);
  CHECK(rejected.state == DeliveryState::rejected);
  CHECK(raises(rejected, exception_kind::kDeliveryRejected));
  CHECK_FALSE(rejected.document_state);

  const auto conflict =
      on_outcome(in_flight(), AttemptConflict{"17", "amount 1 instead of 2"}, unique(), kNow, 0);
  CHECK(conflict.state == DeliveryState::conflict);
  CHECK(conflict.external_id == "17");
  CHECK(raises(conflict, exception_kind::kDeliveryConflict));
}

TEST_CASE("a reply of any length is kept within its limit") {
  const auto decision =
      on_outcome(in_flight(), AttemptRejected{std::string(100'000, 'x')}, unique(), kNow, 0);
  CHECK(decision.reply.size() == DeliveryRow::kReplySizeMax);
}

TEST_CASE("each revision has an id of its own there") {
  CHECK(external_reference("bs-1", 1) == "bs-1");
  CHECK(external_reference("bs-1", 2) == "bs-1/r2");
}

}  // namespace
}  // namespace ledgerline::collector
