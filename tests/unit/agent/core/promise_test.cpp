#include "agent/core/promise.h"

#include <catch2/catch.hpp>

#include "agent/core/promise_holds.h"

namespace ledgerline::agent {
namespace {

using std::chrono::minutes;

/// The time that a heartbeat `at` minutes after the first counts from, where the clock shows
/// `wall` minutes.
struct Beats {
  PromiseClock clock;
  int64_t beat(int64_t at, int64_t wall, bool synchronised = false) {
    const Timestamp base(1'700'000'000'000);
    return std::chrono::duration_cast<minutes>(
               clock.time(base + minutes(wall), {at * 60'000}, synchronised) - base)
        .count();
  }
};

TEST_CASE("a promise counts from the clock as it runs") {
  Beats beats;
  CHECK(beats.beat(0, 0) == 0);
  CHECK(beats.beat(5, 5) == 5);
  CHECK(beats.beat(10, 11) == 11);  // a slow drift is followed
  CHECK(beats.beat(15, 9) == 9);    // and a step back: the promise itself is never taken back
  CHECK(beats.beat(20, 14) == 14);
}

TEST_CASE("a step ahead is doubted until a time source vouches for it or it lasts") {
  Beats wrong;
  wrong.beat(0, 0);
  CHECK(wrong.beat(1, 5'000'000) == 1);
  CHECK(wrong.beat(2, 5'000'001) == 2);
  CHECK(wrong.beat(3, 3) == 3);

  Beats vouched;
  vouched.beat(0, 0);
  CHECK(vouched.beat(1, 600) == 1);
  CHECK(vouched.beat(2, 601, true) == 601);

  Beats by_hand;
  by_hand.beat(0, 0);
  CHECK(by_hand.beat(1, 600) == 1);
  CHECK(by_hand.beat(10, 609) == 10);
  CHECK(by_hand.beat(11, 610) == 610);
}

}  // namespace

TEST_CASE("a hold is of one stream, or of both where an input has meters of either class") {
  PromiseHolds holds;
  holds.hold("file:a", Timestamp(5), StreamClass::diagnostic);
  CHECK_FALSE(holds.earliest());
  CHECK(holds.earliest(StreamClass::diagnostic) == Timestamp(5));

  holds.hold_both("statsd", Timestamp(3));
  CHECK(holds.earliest() == Timestamp(3));
  CHECK(holds.earliest(StreamClass::diagnostic) == Timestamp(3));
  holds.release_both("statsd");
  CHECK_FALSE(holds.earliest());
  CHECK(holds.earliest(StreamClass::diagnostic) == Timestamp(5));
}

}  // namespace ledgerline::agent
