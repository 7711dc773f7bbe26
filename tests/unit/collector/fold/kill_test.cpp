// A process that admits and folds is killed at random moments; what it had acknowledged must be
// there each time.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <set>

#include "common/merkle.h"
#include "collector/fold/folder.h"
#include "collector/store/lmdb_store.h"
#include "tests/unit/collector/fold/fold_device.h"
#include "tests/unit/collector/fold/fold_world.h"

namespace ledgerline::collector {

namespace {

constexpr int kBatches = 1500;
constexpr int kKills = 50;

std::unique_ptr<Store> open(const std::string& folder) {
  return value_of(open_lmdb_store({.folder = folder, .map_size_bytes = 1 << 30}));
}

/// The child: goes on where the store stands and tells each acknowledged batch number to the
/// parent. No Catch2 in here: a failure is an exit code.
[[noreturn]] void work(const std::string& folder, const StreamId& stream,
                       const std::vector<SealedBatch>& batches, int out) {
  auto store = open_lmdb_store({.folder = folder, .map_size_bytes = 1 << 30});
  if (!store) ::_exit(10);
  Folder folder_of_log(**store, {.slice = {.count = 5}});
  while (true) {
    const auto row = (*store)->stream(stream);
    if (!row) ::_exit(11);
    if (row->head_number < batches.size()) {
      AdmitChange change;
      change.stream = stream;
      change.expected_revision = row->revision;
      // Groups of one to three batches.
      for (BatchNumber n = row->head_number + 1;
           n <= std::min(row->head_number + 1 + row->head_number % 3, batches.size()); ++n) {
        change.links.push_back({.number = n,
                                .id = batches[n - 1].id,
                                .sealed = batches[n - 1].bytes,
                                .received_at = Timestamp(kNoon)});
      }
      if (!(*store)->admit(std::span(&change, 1))) ::_exit(12);
      const BatchNumber acknowledged = change.links.back().number;
      if (::write(out, &acknowledged, sizeof acknowledged) != sizeof acknowledged) ::_exit(13);
    }
    if (row->head_number % 4 == 0 && !folder_of_log.step()) ::_exit(14);
    if (row->head_number == batches.size()) ::pause();
  }
}

/// Everything that must hold whenever the store is opened.
void check(Store& store, const FoldDevice& device, const std::vector<SealedBatch>& batches,
           BatchNumber acknowledged) {
  const auto row = value_of(store.stream(device.stream()));
  REQUIRE(row.head_number >= acknowledged);
  const auto head = value_of(store.log_head());
  REQUIRE(head.size == row.head_number);
  const auto cursor = value_of(store.fold_cursor());
  REQUIRE(cursor.cursor <= head.size);
  LogTree tree;
  Int128 folded = 0;
  for (const auto& entry : value_of(store.read_log(0, {.count = 100'000, .bytes = 1 << 30}))) {
    REQUIRE(entry.leaf == tree.size());
    REQUIRE(entry.sealed == batches[entry.number - 1].bytes);
    if (entry.leaf < cursor.cursor) folded += static_cast<int64_t>(entry.number);
    tree.append(entry.data.view());
  }
  REQUIRE(LogHead{tree.size(), tree.root()} == head);
  REQUIRE(sum_of(store, "d", "a") == folded);
}

}  // namespace

TEST_CASE("50 kills while admitting and folding lose nothing acknowledged and count nothing twice",
          "[kill]") {
  std::string folder = (std::filesystem::temp_directory_path() / "ledgerline-kill-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  FoldDevice device(1);
  std::vector<SealedBatch> batches;
  // Batch n is worth n, so that a lost and a doubled one cannot make up for each other by chance.
  for (int64_t n = 1; n <= kBatches; ++n) {
    batches.push_back(
        device.seal({FoldDevice::reading(n - 7, kNoon + n * 1000), FoldDevice::reading(7)}));
  }
  enroll(*open(folder), device);

  const uint32_t seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  BatchNumber acknowledged = 0;
  std::set<BatchNumber> heads;
  for (int kill = 0; kill < kKills; ++kill) {
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) work(folder, device.stream(), batches, pipe_ends[1]);
    ::close(pipe_ends[1]);
    // After a few acknowledgements, and then anywhere in the next transaction.
    BatchNumber told = 0;
    for (auto n = random() % 12; n != 0 && acknowledged < kBatches; --n) {
      if (::read(pipe_ends[0], &told, sizeof told) == sizeof told)
        acknowledged = std::max(acknowledged, told);
    }
    ::usleep(static_cast<useconds_t>(random() % 1500));
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    while (::read(pipe_ends[0], &told, sizeof told) == sizeof told)
      acknowledged = std::max(acknowledged, told);
    ::close(pipe_ends[0]);
    auto store = open(folder);
    check(*store, device, batches, acknowledged);
    heads.insert(value_of(store->stream(device.stream())).head_number);
  }
  CHECK(heads.size() > 20);  // the kills met the work at different places

  auto store = open(folder);
  Folder rest(*store);
  value_of(rest.run_to_end());
  check(*store, device, batches, acknowledged);
  REQUIRE(value_of(store->list_exceptions({})).empty());
  std::filesystem::remove_all(folder);
}

}  // namespace ledgerline::collector
