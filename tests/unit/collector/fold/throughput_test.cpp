// Hidden: test-collector-fold "[.throughput]" prints events per second of custody and fold on this
// machine.

#include <chrono>
#include <ctime>
#include <filesystem>
#include <iostream>

#include "collector/fold/folder.h"
#include "collector/store/lmdb_store.h"
#include "tests/unit/collector/fold/fold_device.h"
#include "tests/unit/collector/fold/fold_world.h"

namespace ledgerline::collector {

namespace {

constexpr size_t kDevices = 20;
constexpr size_t kGroup = 64;  // batches per admit transaction

/// Elapsed and processor seconds since the construction: the latter also count on a busy machine.
class Stopwatch {
 public:
  [[nodiscard]] double elapsed() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  [[nodiscard]] double processor() const {
    return static_cast<double>(std::clock() - clock_) / CLOCKS_PER_SEC;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::clock_t clock_ = std::clock();
};

void print(const char* what, double events, const Stopwatch& watch) {
  std::cout << "  " << what << ": " << events / watch.elapsed() / 1e6 << " M events/s elapsed, "
            << events / watch.processor() / 1e6 << " M events/s per processor\n";
}

void measure(size_t per_batch, size_t batches_per_device) {
  std::string folder =
      (std::filesystem::temp_directory_path() / "ledgerline-bench-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  auto store = value_of(open_lmdb_store({.folder = folder, .map_size_bytes = uint64_t{8} << 30}));
  std::vector<std::unique_ptr<FoldDevice>> devices;
  std::vector<std::pair<size_t, LinkedBatch>> arriving;
  for (size_t d = 0; d < kDevices; ++d) {
    devices.push_back(
        std::make_unique<FoldDevice>(static_cast<uint8_t>(d + 1), "d" + std::to_string(d)));
    enroll(*store, *devices.back());
  }
  size_t sealed_bytes = 0;
  for (size_t n = 0; n < batches_per_device; ++n) {
    for (size_t d = 0; d < kDevices; ++d) {
      auto builder = devices[d]->begin();
      for (size_t i = 0; i < per_batch; ++i) {
        const auto offset = static_cast<int64_t>(n * per_batch + i);
        builder.add(
            FoldDevice::reading(1 + offset % 7, kNoon + offset * 10, "c" + std::to_string(i % 3)));
      }
      auto sealed = devices[d]->seal(builder.take());
      sealed_bytes += sealed.bytes.size();
      arriving.push_back({d,
                          {.number = n + 1,
                           .id = sealed.id,
                           .sealed = sealed.bytes,
                           .received_at = Timestamp(kNoon)}});
    }
  }

  const size_t events = arriving.size() * per_batch;
  std::cout << per_batch << " per batch, " << events << " events, "
            << static_cast<double>(sealed_bytes) / static_cast<double>(events) << " B/event\n";
  const Stopwatch custody;
  for (size_t at = 0; at < arriving.size(); at += kGroup) {
    std::map<size_t, AdmitChange> group;
    for (size_t i = at; i < std::min(at + kGroup, arriving.size()); ++i) {
      AdmitChange& change = group[arriving[i].first];
      if (change.links.empty()) {
        change.stream = devices[arriving[i].first]->stream();
        change.expected_revision = value_of(store->stream(change.stream)).revision;
      }
      change.links.push_back(std::move(arriving[i].second));
    }
    std::vector<AdmitChange> changes;
    for (auto& [device, change] : group) changes.push_back(std::move(change));
    value_of(store->admit(changes));
  }
  print("custody", static_cast<double>(events), custody);

  const Stopwatch fold;
  Folder folder_of_log(*store);
  const auto step = value_of(folder_of_log.run_to_end());
  print("fold", static_cast<double>(step.readings), fold);
  REQUIRE(step.exceptions == 0);
  std::filesystem::remove_all(folder);
}

}  // namespace

TEST_CASE("throughput of custody and fold", "[.throughput]") {
  measure(100, 500);
  measure(1000, 100);
}

}  // namespace ledgerline::collector
