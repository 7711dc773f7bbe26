#include "collector/connectors/throttle.h"

#include <catch2/catch.hpp>

namespace ledgerline::collector {
namespace {

TEST_CASE("a bucket lets a burst through and then spaces requests") {
  TokenBucket bucket(10, 3);
  const Monotonic now{1000};
  CHECK(bucket.take(now) == Duration(0));
  CHECK(bucket.take(now) == Duration(0));
  CHECK(bucket.take(now) == Duration(0));
  CHECK(bucket.take(now) == Duration(100));
  CHECK(bucket.take(now) == Duration(200));
  CHECK(bucket.take(Monotonic{1200}) == Duration(100));
}

TEST_CASE("an idle bucket holds no more than its burst, whatever the clock does") {
  TokenBucket bucket(10, 1);
  CHECK(bucket.take(Monotonic{0}) == Duration(0));
  CHECK(bucket.take(Monotonic{INT64_MAX / 2}) == Duration(0));
  CHECK(bucket.take(Monotonic{0}) == Duration(100));
}

TEST_CASE("a breaker opens after failures in a row and waits longer each time") {
  CircuitBreaker breaker({.failures_max = 2, .open_first = Duration(10), .open_max = Duration(30)});
  CHECK_FALSE(breaker.failed(Monotonic{0}));
  breaker.succeeded();
  CHECK_FALSE(breaker.failed(Monotonic{0}));
  CHECK(breaker.wait(Monotonic{0}) == Duration(0));
  CHECK(breaker.failed(Monotonic{0}));
  CHECK(breaker.wait(Monotonic{4}) == Duration(6));

  CHECK(breaker.wait(Monotonic{10}) == Duration(0));
  CHECK_FALSE(breaker.failed(Monotonic{10}));
  CHECK(breaker.wait(Monotonic{10}) == Duration(20));
  CHECK_FALSE(breaker.failed(Monotonic{30}));
  CHECK(breaker.wait(Monotonic{30}) == Duration(30));

  breaker.succeeded();
  CHECK_FALSE(breaker.is_open());
  CHECK(breaker.wait(Monotonic{30}) == Duration(0));
}

}  // namespace
}  // namespace ledgerline::collector
