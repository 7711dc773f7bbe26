#include "agent/journal/group_commit.h"

#include "tests/unit/agent/journal/fixture.h"

using namespace ledgerline;
using namespace ledgerline::agent;
using namespace ledgerline::agent::test;

namespace {

RecordRequest of_size(size_t readings) {
  return request(std::vector<RecordItem>(readings, calls(1)));
}

/// Runs the io thread until `done` says so.
void run_until(io::Runtime& runtime, const std::function<bool()>& done) {
  while (!done()) {
    if (runtime.context().stopped()) runtime.context().restart();
    runtime.context().run_one();
  }
}

}  // namespace

TEST_CASE("the first request starts a commit at once, those behind it wait for its end") {
  GroupGate gate({});
  REQUIRE(!gate.start_in({0}));
  gate.enqueue(of_size(1));
  REQUIRE(gate.start_in({0}) == Duration(0));
  REQUIRE(gate.begin({0}) == 1);

  gate.enqueue(of_size(1));
  gate.enqueue(of_size(1));
  REQUIRE(!gate.start_in({5}));
  gate.end();
  REQUIRE(gate.start_in({5}) == Duration(0));
  REQUIRE(gate.begin({5}) == 2);
}

TEST_CASE("commits begin an interval apart, and after a longer pause at once") {
  GroupGate gate({.commit_interval = Duration(20)});
  gate.enqueue(of_size(1));
  REQUIRE(gate.start_in({1'000}) == Duration(0));
  gate.begin({1'000});
  gate.enqueue(of_size(1));
  gate.end();
  REQUIRE(gate.start_in({1'003}) == Duration(17));
  REQUIRE(gate.start_in({1'020}) == Duration(0));
  gate.begin({1'020});
  gate.end();
  gate.enqueue(of_size(1));
  REQUIRE(gate.start_in({1'041}) == Duration(0));
}

TEST_CASE(
    "nothing waits for the interval once a group is full, half the queue is, or an input catches "
    "up") {
  const auto waiting = [](GroupCommitOptions options) {
    options.commit_interval = Duration(20);
    GroupGate gate(options);
    gate.enqueue(of_size(1));
    gate.begin({1'000});
    gate.end();
    return gate;
  };
  GroupGate by_readings = waiting({.group_readings_max = 100});
  by_readings.enqueue(of_size(99));
  REQUIRE(by_readings.start_in({1'001}) == Duration(19));
  by_readings.enqueue(of_size(1));
  REQUIRE(by_readings.start_in({1'001}) == Duration(0));

  GroupGate by_requests = waiting({.queue_requests_max = 4});
  by_requests.enqueue(of_size(1));
  REQUIRE(by_requests.start_in({1'001}) == Duration(19));
  by_requests.enqueue(of_size(1));
  REQUIRE(by_requests.start_in({1'001}) == Duration(0));

  GroupGate behind = waiting({.catch_up_readings = 10});
  RecordRequest lines = of_size(9);
  lines.bookmark = Bookmark{.name = "file:/a", .value = {1}};
  behind.enqueue(lines);
  REQUIRE(behind.start_in({1'001}) == Duration(19));
  lines.items.push_back(calls(1));
  behind.enqueue(lines);
  REQUIRE(behind.start_in({1'001}) == Duration(0));
  behind.begin({1'001});
  behind.end();
  behind.enqueue(of_size(10));
  REQUIRE(behind.start_in({1'002}) == Duration(19));
}

TEST_CASE("a group takes requests up to its size, at least one") {
  GroupGate gate({.group_readings_max = 100});
  for (const size_t size : {60, 50, 200, 10}) gate.enqueue(of_size(size));
  for (const size_t expected : {1, 1, 1, 1}) {
    REQUIRE(gate.begin({0}) == expected);
    gate.end();
  }
  for (const size_t size : {60, 40, 1}) gate.enqueue(of_size(size));
  REQUIRE(gate.begin({0}) == 2);
}

TEST_CASE("the queue is bounded in requests and in readings") {
  GroupGate by_requests({.queue_requests_max = 2});
  by_requests.enqueue(of_size(1));
  by_requests.enqueue(of_size(1));
  REQUIRE(!by_requests.admits(of_size(1)));
  by_requests.begin({0});
  REQUIRE(by_requests.admits(of_size(1)));

  GroupGate by_readings({.queue_readings_max = 10});
  by_readings.enqueue(of_size(8));
  REQUIRE(!by_readings.admits(of_size(3)));
  REQUIRE(by_readings.admits(of_size(2)));
}

TEST_CASE("every request is answered after its commit, in order, and full batches are sealed") {
  Device device({.batch = {.readings_max = 100}});
  io::Runtime runtime;
  bool failed = false;
  GroupCommit commits(runtime, device.clock, *device.journal, *device.signer, {},
                      [&](const Error&) { failed = true; });
  int sealed = 0;
  commits.on_sealed([&] { ++sealed; });
  std::vector<Seq> last;

  for (int i = 0; i < 50; ++i) {
    commits.record(of_size(10), [&](const RecordResult& result) {
      REQUIRE(result.has_value());
      last.push_back(result->seqs.back());
    });
  }
  run_until(runtime, [&] { return last.size() == 50 && commits.counters().batches_sealed > 0; });

  for (size_t i = 0; i < last.size(); ++i) REQUIRE(last[i] == (i + 1) * 10);
  REQUIRE(sealed > 0);
  REQUIRE(commits.counters().readings == 500);
  REQUIRE(commits.counters().groups < 50);
  REQUIRE(!failed);
  runtime.storage().join();
  REQUIRE(device.status().next_seq == 501);
}

TEST_CASE("a tick seals by age without a new reading") {
  Device device;
  io::Runtime runtime;
  GroupCommit commits(runtime, device.clock, *device.journal, *device.signer, {},
                      [](const Error&) {});
  bool sealed = false;
  commits.on_sealed([&] { sealed = true; });

  device.clock.advance(std::chrono::seconds(6));
  commits.tick();
  run_until(runtime, [&] { return sealed; });

  runtime.storage().join();
  REQUIRE(device.status().head_batch == 1);
}

TEST_CASE("a request beyond the queue is pushed back at once and the others are recorded") {
  Device device;
  io::Runtime runtime;
  GroupCommit commits(runtime, device.clock, *device.journal, *device.signer,
                      {.queue_readings_max = 20}, [](const Error&) {});
  int recorded = 0;
  int pushed_back = 0;

  for (int i = 0; i < 10; ++i) {
    commits.record(of_size(10), [&](const RecordResult& result) {
      if (result) {
        ++recorded;
      } else {
        REQUIRE(result.error().code == Errc::retry);
        ++pushed_back;
      }
    });
  }
  run_until(runtime, [&] { return recorded + pushed_back == 10; });

  REQUIRE(recorded == 3);  // one in flight, two waiting
  REQUIRE(pushed_back == 7);
  REQUIRE(commits.counters().pushed_back == 7);
  runtime.storage().join();
}

TEST_CASE("where storage fails no answer is given and the caller is told once") {
  JournalOptions options;
  bool broken = false;
  options.disk_free = [&broken](const std::string&) -> Result<uint64_t> {
    if (broken) return fail(Errc::internal, "the disk is gone");
    return uint64_t{1} << 30;
  };
  Device device(options);
  io::Runtime runtime;
  int failures = 0;
  GroupCommit commits(runtime, device.clock, *device.journal, *device.signer, {},
                      [&](const Error&) { ++failures; });
  broken = true;
  int answers = 0;

  commits.record(of_size(1), [&](const RecordResult&) { ++answers; });
  run_until(runtime, [&] { return failures > 0; });
  commits.tick();

  REQUIRE(answers == 0);
  commits.record(of_size(1), [&](const RecordResult& result) {
    REQUIRE(!result.has_value());
    ++answers;
  });
  REQUIRE(answers == 1);
  REQUIRE(failures == 1);
  runtime.storage().join();
}

TEST_CASE("what cannot be asked for again is recorded at the end, also without an answer") {
  Device device;
  io::Runtime runtime;
  GroupCommit commits(runtime, device.clock, *device.journal, *device.signer,
                      {.commit_interval = Duration(1000)}, [](const Error&) {});
  const auto unexpected = [](const RecordResult&) { FAIL("nobody waits any more"); };
  RecordRequest urgent = of_size(2);
  urgent.can_wait = false;
  commits.record(of_size(1), unexpected);  // committed at once; the others wait for the interval
  commits.record(of_size(5), unexpected);
  commits.record(urgent, unexpected);

  runtime.storage().join();
  commits.record_the_rest();
  commits.record_the_rest();

  CHECK(device.status().next_seq == 4);
}
