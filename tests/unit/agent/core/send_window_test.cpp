#include "agent/core/send_window.h"

#include <catch2/catch.hpp>

namespace ledgerline::agent {
namespace {

constexpr size_t kSize = 1000;

Moment at(int64_t ms) { return {Monotonic{ms}, 0xffffffff}; }  // the longest delay

/// Answers a fetch as a journal does that holds batches up to `head`.
SendWindow::Actions give(SendWindow& window, Moment when, const SendWindow::Fetch& fetch,
                         BatchNumber head, size_t size = kSize) {
  std::vector<SendWindow::Fetched> out;
  size_t bytes = 0;
  for (BatchNumber n = fetch.after + 1; n <= head && out.size() < fetch.batches_max; ++n) {
    bytes += size;
    if (!out.empty() && bytes > fetch.bytes_max) break;
    out.push_back({n, size});
  }
  return window.on_fetched(when, fetch.id, out);
}

/// A window whose collector has answered "nothing so far", with batches 1 to 20 on their way.
SendWindow sending(BatchNumber head) {
  SendWindow window;
  CHECK(window.on_connected(at(0)).ask);
  auto actions = window.on_answer(at(0), {0, {}}, head);
  REQUIRE(actions.fetch);
  give(window, at(0), *actions.fetch, head);
  return window;
}

std::vector<BatchNumber> numbers(BatchNumber from, BatchNumber to) {
  std::vector<BatchNumber> out;
  for (BatchNumber n = from; n <= to; ++n) out.push_back(n);
  return out;
}

}  // namespace

TEST_CASE("send window: nothing is read before the collector has answered") {
  SendWindow window;
  CHECK_FALSE(window.on_sealed(at(0), 5).fetch);
  const auto asked = window.on_connected(at(0));
  CHECK(asked.ask);
  CHECK_FALSE(asked.fetch);
  CHECK_FALSE(window.on_sealed(at(1), 6).fetch);

  const auto open = window.on_answer(at(2), {2, {}}, 6);
  REQUIRE(open.fetch);
  CHECK(open.fetch->after == 2);
  CHECK(open.fetch->batches_max == 4);
}

TEST_CASE("send window: an unanswered resume is asked again, later each time") {
  SendWindow window;
  auto actions = window.on_connected(at(0));
  CHECK(actions.wake_at == Monotonic{5000});
  CHECK_FALSE(window.on_time(at(4999)).ask);
  actions = window.on_time(at(5000));
  CHECK(actions.ask);
  CHECK(actions.wake_at == Monotonic{15000});
}

TEST_CASE("send window: a verdict that ends sending is asked about again, later each time") {
  SendWindow window;
  window.on_connected(at(0));

  CHECK(window.on_verdict(at(10)).wake_at == Monotonic{60'010});
  CHECK_FALSE(window.on_sealed(at(20), 7).fetch);
  CHECK(window.on_sealed(at(20), 7).wake_at == Monotonic{60'010});
  CHECK_FALSE(window.on_time(at(60'009)).ask);
  CHECK(window.on_time(at(60'010)).ask);
  CHECK(window.on_verdict(at(60'020)).wake_at == Monotonic{180'020});
  int64_t now = 60'020;
  for (int i = 0; i < 10; ++i) {
    const auto wake = window.on_verdict(at(now)).wake_at;
    REQUIRE(wake);
    CHECK(wake->ms <= now + 15 * 60'000);
    now = wake->ms;
    CHECK(window.on_time(at(now)).ask);
  }

  CHECK(window.on_answer(at(now), {0, {}}, 7).fetch);
  window.on_disconnected(at(now));
  window.on_connected(at(now));
  CHECK(window.on_verdict(at(now)).wake_at == Monotonic{now + 60'000});
}

TEST_CASE("send window: a new connection asks at once after a verdict, never after a stop") {
  SendWindow window;
  window.on_connected(at(0));
  window.on_verdict(at(0));
  window.on_disconnected(at(1));
  CHECK_FALSE(window.on_time(at(1'000'000)).ask);
  CHECK(window.on_connected(at(1'000'001)).ask);

  window.stop();
  CHECK_FALSE(window.on_connected(at(2'000'000)).ask);
  CHECK_FALSE(window.on_verdict(at(2'000'000)).wake_at);
  CHECK_FALSE(window.on_time(at(9'000'000)).ask);
}

TEST_CASE("send window: at most twenty batches are on their way, and a receipt makes room") {
  auto window = sending(100);
  CHECK(window.in_flight() == 20);

  auto actions = window.on_receipt(at(1), {5, {}});
  REQUIRE(actions.fetch);
  CHECK(actions.fetch->after == 20);
  CHECK(actions.fetch->batches_max == 5);
  CHECK_FALSE(window.on_receipt(at(1), {6, {}}).fetch);  // one read at a time

  actions = give(window, at(2), *actions.fetch, 100);
  CHECK(actions.publish == numbers(21, 25));
  REQUIRE(actions.fetch);
  CHECK(actions.fetch->batches_max == 1);
}

TEST_CASE("send window: at most two and a half megabytes are on their way") {
  SendWindow window;
  window.on_connected(at(0));
  auto actions = window.on_answer(at(0), {0, {}}, 100);
  const size_t large = SendLimits().bytes_max / 4;
  actions = give(window, at(0), *actions.fetch, 100, large);
  CHECK(window.in_flight() == 4);
  CHECK(window.bytes_in_flight() <= SendLimits().bytes_max);
  CHECK_FALSE(actions.fetch);
  CHECK(window.on_receipt(at(1), {1, {}}).fetch);
}

TEST_CASE("send window: parked batches are not sent again, what was overtaken is") {
  auto window = sending(10);

  auto actions = window.on_receipt(at(1), {2, {4, 5}});

  REQUIRE(actions.fetch);  // 3 was sent before 4 and 5 and is not there; 6 to 10 may still come
  CHECK(actions.fetch->after == 2);
  CHECK(actions.fetch->batches_max == 1);
  actions = give(window, at(1), *actions.fetch, 10);
  CHECK(actions.publish == numbers(3, 3));
  CHECK(window.resent() == 1);
  CHECK_FALSE(
      window.on_receipt(at(2), {2, {4, 5}}).fetch);  // the same receipt again proves nothing new
  CHECK_FALSE(window.on_receipt(at(3), {10, {}}).fetch);
  CHECK(window.in_flight() == 0);
}

TEST_CASE("send window: nothing is sent that a collector would have no place to park") {
  SendWindow window(SendLimits{.batches_max = 100});
  window.on_connected(at(0));
  auto actions = window.on_answer(at(0), {0, {}}, 500);
  actions = give(window, at(0), *actions.fetch, 500);
  CHECK(window.in_flight() == Receipt::kParkedMax);
  CHECK_FALSE(actions.fetch);
}

TEST_CASE(
    "send window: a receipt that stays away makes us ask, and the answer decides what goes out "
    "again") {
  auto window = sending(10);
  CHECK_FALSE(window.on_time(at(9999)).ask);

  auto actions = window.on_time(at(10000));
  CHECK(actions.ask);
  CHECK_FALSE(actions.fetch);

  actions = window.on_answer(at(10001), {7, {9}}, 10);
  REQUIRE(actions.fetch);
  CHECK(actions.fetch->after == 7);
  CHECK(actions.fetch->batches_max == 1);
  actions = give(window, at(10001), *actions.fetch, 10);
  CHECK(actions.publish == numbers(8, 8));
  REQUIRE(actions.fetch);
  CHECK(actions.fetch->after == 9);
}

TEST_CASE("send window: without progress the patience doubles, with progress it starts again") {
  auto window = sending(10);
  int64_t now = 0;
  for (const int64_t patience : {10'000, 20'000, 40'000}) {
    now += patience;
    CHECK_FALSE(window.on_time(at(now - 1)).ask);
    CHECK(window.on_time(at(now)).ask);
    const auto actions = window.on_answer(at(now), {0, {}}, 10);
    give(window, at(now), *actions.fetch, 10);
  }
  window.on_receipt(at(now + 1), {1, {}});
  CHECK_FALSE(window.on_time(at(now + 10'000)).ask);
  CHECK(window.on_time(at(now + 10'001)).ask);
}

TEST_CASE("send window: a refused batch waits and goes again") {
  auto window = sending(3);
  auto actions = window.on_not_sent(at(1), 2);
  CHECK_FALSE(actions.fetch);
  CHECK(actions.wake_at == Monotonic{1001});
  actions = window.on_time(at(1001));
  REQUIRE(actions.fetch);
  CHECK(actions.fetch->after == 1);
  CHECK(actions.fetch->batches_max == 1);
  CHECK(give(window, at(1001), *actions.fetch, 3).publish == numbers(2, 2));
}

TEST_CASE(
    "send window: a broken connection forgets what was on its way, also what was being read") {
  auto window = sending(100);
  auto actions = window.on_receipt(at(1), {5, {}});
  REQUIRE(actions.fetch);
  window.on_disconnected(at(2));
  CHECK(window.in_flight() == 0);
  CHECK(give(window, at(3), *actions.fetch, 100).publish.empty());

  CHECK(window.on_connected(at(4)).ask);
  actions = window.on_answer(at(5), {12, {}}, 100);
  REQUIRE(actions.fetch);
  CHECK(actions.fetch->after == 12);
}

TEST_CASE("send window: a collector that lost batches gets them again") {
  auto window = sending(30);
  window.on_receipt(at(1), {20, {}});
  window.on_disconnected(at(2));
  window.on_connected(at(3));
  const auto actions = window.on_answer(at(4), {8, {}}, 30);
  REQUIRE(actions.fetch);
  CHECK(actions.fetch->after == 8);
}

TEST_CASE("send window: news that change nothing do not lose the time to wake") {
  auto window = sending(10);
  CHECK(window.on_not_sent(at(1), 99).wake_at == Monotonic{10'000});
  CHECK(window.on_answer(at(1), {0, {}}, 10).wake_at == Monotonic{10'000});
  CHECK(window.on_fetched(at(1), 77, {}).wake_at == Monotonic{10'000});
  window.on_connected(at(2));
  CHECK(window.on_not_sent(at(3), 1).wake_at == Monotonic{5002});
}

TEST_CASE("send window: an old receipt moves nothing, a stopped window does nothing") {
  auto window = sending(100);
  window.on_receipt(at(1), {5, {}});
  window.on_receipt(at(2), {3, {}});
  CHECK(window.linked_upto() == 5);

  window.stop();
  CHECK_FALSE(window.on_connected(at(3)).ask);
  CHECK_FALSE(window.on_sealed(at(3), 200).fetch);
  CHECK_FALSE(window.on_time(at(1'000'000)).ask);
}

TEST_CASE("send window: a tombstone goes out in the place of the batches it stands for") {
  SendWindow window;
  window.on_connected(at(0));
  auto actions = window.on_answer(at(0), {4, {}}, 200);
  REQUIRE(actions.fetch);
  CHECK(actions.fetch->after == 4);

  actions = window.on_fetched(at(0), actions.fetch->id, {{100, kSize, 5}});

  CHECK(actions.publish == std::vector<BatchNumber>{100});
  CHECK_FALSE(actions.fetch);  // what follows lies beyond what a collector parks
  CHECK(window.in_flight() == 1);
  actions = window.on_receipt(at(1), {100, {}});
  REQUIRE(actions.fetch);
  CHECK(actions.fetch->after == 100);
}

TEST_CASE("send window: batches on their way that were given up meanwhile are not asked for") {
  SendWindow window = sending(40);  // 1 to 20
  auto actions = window.on_not_sent(at(1), 7);
  actions = window.on_time(at(2000));
  REQUIRE(actions.fetch);
  CHECK(actions.fetch->after == 6);

  actions = window.on_fetched(at(2000), actions.fetch->id, {{30, kSize, 1}});

  CHECK(actions.publish == std::vector<BatchNumber>{30});
  CHECK(window.in_flight() == 1);
  CHECK(window.bytes_in_flight() == kSize);
  CHECK(window.resent() == 1);
  REQUIRE(actions.fetch);
  CHECK(actions.fetch->after == 30);
}

TEST_CASE("send window: a tombstone that grew before it was sent again is one step still") {
  SendWindow window;
  window.on_connected(at(0));
  auto actions = window.on_answer(at(0), {4, {}}, 200);
  window.on_fetched(at(0), actions.fetch->id, {{100, kSize, 5}});
  window.on_not_sent(at(1), 100);
  actions = window.on_time(at(2000));
  REQUIRE(actions.fetch);
  CHECK(actions.fetch->after == 99);

  actions = window.on_fetched(at(2000), actions.fetch->id, {{150, kSize, 5}});

  CHECK(actions.publish == std::vector<BatchNumber>{150});
  CHECK(window.in_flight() == 1);
  CHECK_FALSE(actions.fetch);  // nothing is left to be sent again
}

}  // namespace ledgerline::agent
