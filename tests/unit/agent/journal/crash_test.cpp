// A recording process that is killed at any moment loses nothing it has acknowledged and doubles
// nothing that is sent again.

#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include "tests/unit/agent/journal/fixture.h"

using namespace ledgerline;
using namespace ledgerline::agent;
using namespace ledgerline::agent::test;

namespace {

constexpr int kKills = 100;

/// What the sender knows: event n has value n % 97 and key "e<n>"; its answers are written before
/// anything follows.
struct Acknowledged {
  uint64_t event = 0;
  Seq seq = 0;
};

RecordRequest events(uint64_t first, uint64_t count) {
  RecordRequest out;
  for (uint64_t n = first; n < first + count; ++n) {
    out.items.push_back(calls(static_cast<int64_t>(n % 97), "e" + std::to_string(n)));
  }
  return out;
}

/// Records from `first` until it is killed, writing each answer into the pipe; seals and trims on
/// the way.
[[noreturn]] void record_until_killed(Device& device, uint64_t first, int pipe) {
  // The parent's environment must not be used behind a fork: this process opens its own.
  device.open();
  for (uint64_t n = first;; n += 7) {
    const auto answer = device.record(events(n, 7));
    if (!answer) ::_exit(2);
    for (size_t i = 0; i < answer->seqs.size(); ++i) {
      const Acknowledged line{.event = n + i, .seq = answer->seqs[i]};
      if (::write(pipe, &line, sizeof line) != sizeof line) ::_exit(3);
    }
    device.clock.advance(Duration(300));
    device.seal(SealWhen::due);
    if (!device.journal->trim()) ::_exit(4);
  }
}

std::vector<Acknowledged> read_all(int pipe) {
  std::vector<Acknowledged> out;
  Acknowledged line;
  while (::read(pipe, &line, sizeof line) == sizeof line) out.push_back(line);
  return out;
}

}  // namespace

TEST_CASE(
    "100 kills at random moments: every acknowledged event is there once, without holes, and adds "
    "up",
    "[native]") {
  // Keys are packed and merged often: 292 of them are a pack.
  JournalOptions options{.batch = {.readings_max = 50}};
  options.retention.quota_bytes = 2 << 20;
  Device device(options);
  device.journal.reset();
  std::mt19937 random(20'260'101);
  std::map<uint64_t, Seq> acknowledged;
  uint64_t next = 0;

  for (int kill = 0; kill < kKills; ++kill) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::close(ends[0]);
      record_until_killed(device, next, ends[1]);
    }
    ::close(ends[1]);
    // One in four at any moment of its start, the others once it records.
    std::vector<Acknowledged> answers(kill % 4 == 0 ? 0 : 1);
    for (auto& first : answers) REQUIRE(::read(ends[0], &first, sizeof first) == sizeof first);
    ::usleep(static_cast<useconds_t>(random() % 30'000));
    ::kill(child, SIGKILL);
    const auto rest = read_all(ends[0]);
    answers.insert(answers.end(), rest.begin(), rest.end());
    ::close(ends[0]);
    int state = 0;
    REQUIRE(::waitpid(child, &state, 0) == child);
    REQUIRE(WIFSIGNALED(state));
    ++device.boots;
    for (const auto& [event, seq] : answers) {
      const auto [found, added] = acknowledged.emplace(event, seq);
      REQUIRE((added || found->second == seq));
    }
    // Sends again what was not acknowledged, and a few that were: an app that lost an answer does.
    if (!acknowledged.empty()) next = acknowledged.rbegin()->first + 1;
    next -= std::min<uint64_t>(next, random() % 20);
  }
  device.open();
  // Every event up to the last acknowledged one, once more: the same seqs come back.
  for (const auto& [event, seq] : acknowledged) {
    if (event % 50 == 0) REQUIRE(device.seqs(events(event, 1)) == std::vector<Seq>{seq});
  }
  device.seal();

  INFO("acknowledged " << acknowledged.size());
  REQUIRE(acknowledged.size() > 300);
  Totals totals;
  const auto values = verified_values(device, &totals);
  std::set<Seq> seqs;
  for (const auto& [event, seq] : acknowledged) {
    REQUIRE(seqs.insert(seq).second);
    REQUIRE(seq <= values.size());
    REQUIRE(values[seq - 1] == static_cast<int64_t>(event % 97));
  }
  REQUIRE(device.status().next_seq == values.size() + 1);
  REQUIRE(device.status().totals == totals);
  // What was recorded without its answer getting through is at most the group in flight at each
  // kill.
  REQUIRE(values.size() <= acknowledged.size() + 7 * kKills);
}

TEST_CASE(
    "a disk that fills up refuses readings or ends the process, and keeps what was acknowledged") {
  const TemporaryFolder folder;
  if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=3m") != 0) {
    WARN("skipped: no tmpfs can be mounted here");
    return;
  }
  struct Unmount {
    const std::string& path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{folder.path()};
  // Without floor and reserve, so that the disk itself is what says no.
  Device device({.retention = {.reserve_bytes = 0, .disk_free_min = 0}});
  device.journal.reset();
  device.options.folder = folder.path() + "/journal";
  device.open();

  Seq acknowledged = 0;
  bool failed = false;
  for (uint64_t n = 0; n < 1'000'000 && !failed; n += 200) {
    const auto group = events(n, 200);
    const auto answers = device.journal->record(std::span(&group, 1));
    failed = !answers;  // a commit failed: the agent ends here
    if (failed) break;
    REQUIRE(answers->front().has_value());
    acknowledged = answers->front()->seqs.back();
  }
  REQUIRE(acknowledged > 0);
  REQUIRE(failed);

  // As the next start of the agent, with some room again.
  device.journal.reset();
  REQUIRE(::mount("tmpfs", folder.path().c_str(), "tmpfs", MS_REMOUNT, "size=64m") == 0);
  device.open();
  device.seal();
  REQUIRE(device.status().next_seq == acknowledged + 1);
  REQUIRE(verified_values(device).size() == acknowledged);
}

TEST_CASE("with its reserve, a disk that fills up refuses readings before a commit can fail") {
  const TemporaryFolder folder;
  if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=12m") != 0) {
    WARN("skipped: no tmpfs can be mounted here");
    return;
  }
  struct Unmount {
    const std::string& path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{folder.path()};
  Device device({.retention = {.reserve_bytes = 2 << 20, .disk_free_min = 0}});
  device.journal.reset();
  device.options.folder = folder.path() + "/journal";
  device.open();

  RecordResult answer;
  for (uint64_t n = 0; n < 1'000'000 && (answer = device.record(events(n, 100))); n += 100) {
  }

  REQUIRE(answer.error().code == Errc::full);
  REQUIRE(device.journal->heartbeat().has_value());
  REQUIRE(device.seal() > 0);
  REQUIRE(verified_values(device).size() == device.status().next_seq - 1);
}
