#include "collector/fold/folder.h"

#include "collector/fold/evidence.h"
#include "collector/store/keys.h"
#include "tests/unit/collector/fold/fold_device.h"
#include "tests/unit/collector/fold/fold_world.h"

namespace ledgerline::collector {

TEST_CASE("the folder folds what is in the log, slice by slice, and then has nothing to do",
          "[folder]") {
  auto store = make_memory_store();
  FoldDevice a(1, "a");
  FoldDevice b(2, "b");
  enroll(*store, a);
  enroll(*store, b);
  for (int i = 0; i < 5; ++i) {
    admit(*store, a, a.seal({FoldDevice::reading(i), FoldDevice::reading(1, kNoon, "x")}));
    admit(*store, b, b.seal({FoldDevice::reading(10)}));
  }

  Folder folder(*store, {.slice = {.count = 3}});
  const auto step = value_of(folder.step());
  REQUIRE(step.leaves == 3);
  REQUIRE(step.cursor == 3);
  const auto rest = value_of(folder.run_to_end());
  REQUIRE(rest.leaves == 7);
  REQUIRE(rest.readings + step.readings == 15);
  REQUIRE(value_of(folder.step()).leaves == 0);

  REQUIRE(sum_of(*store, "a", "a") == 10);
  REQUIRE(sum_of(*store, "a", "x") == 5);
  REQUIRE(sum_of(*store, "b", "a") == 50);
  REQUIRE(value_of(store->list_exceptions({})).empty());
}

TEST_CASE("a replay from leaf 0 gives the same usage as the live fold", "[folder]") {
  auto live = make_memory_store();
  auto replay = make_memory_store();
  FoldDevice device(1);
  enroll(*live, device);
  enroll(*replay, device);
  Folder folder(*live);
  for (int i = 0; i < 20; ++i) {
    const auto batch =
        device.seal({FoldDevice::reading(i, kNoon + i * 500'000), FoldDevice::reading(2)});
    admit(*live, device, batch);
    admit(*replay, device, batch);
    value_of(folder.step());
  }
  Folder again(*replay, {.slice = {.count = 7}});
  value_of(again.run_to_end());

  const auto series = value_of(live->list_series({.tenant = "demo"}));
  REQUIRE(series == value_of(replay->list_series({.tenant = "demo"})));
  for (const auto& row : series) {
    REQUIRE(value_of(live->usage(row.id, {0}, {10'000'000})) ==
            value_of(replay->usage(row.id, {0}, {10'000'000})));
    REQUIRE(value_of(live->evidence(row.id, {0}, {10'000'000})) ==
            value_of(replay->evidence(row.id, {0}, {10'000'000})));
  }
}

TEST_CASE("two folders that take turns drop what they remember and count everything once",
          "[folder]") {
  auto database = make_memory_database();
  auto first = open_memory_store(database);
  auto second = open_memory_store(database);
  FoldDevice device(1);
  enroll(*first, device);
  Folder one(*first);
  Folder two(*second);
  for (int i = 0; i < 10; ++i) {
    admit(*first, device,
          device.seal(
              {FoldDevice::reading(1), FoldDevice::reading(1, kNoon, "s" + std::to_string(i))}));
    value_of((i % 2 == 0 ? one : two).step());
  }
  REQUIRE(sum_of(*first, "d", "a") == 10);
  REQUIRE(value_of(first->series_count("demo", "d")) == 11);
  REQUIRE(value_of(first->list_exceptions({})).empty());
}

TEST_CASE("series beyond the device's limit are an exception with count and value", "[folder]") {
  auto store = make_memory_store();
  FoldDevice device(1);
  enroll(*store, device);
  Folder folder(*store, {.series_per_device_max = 2});
  admit(*store, device,
        device.seal({FoldDevice::reading(1, kNoon, "a"), FoldDevice::reading(1, kNoon, "b"),
                     FoldDevice::reading(30, kNoon, "c"), FoldDevice::reading(4, kNoon, "c")}));
  value_of(folder.step());
  admit(*store, device,
        device.seal({FoldDevice::reading(1, kNoon, "b"), FoldDevice::reading(2, kNoon, "d"),
                     FoldDevice::reading(4, kNoon, "e")}));
  REQUIRE(value_of(folder.step()).exceptions == 1);  // one row however many series

  REQUIRE(value_of(store->series_count("demo", "d")) == 2);
  REQUIRE(sum_of(*store, "d", "b") == 2);
  const auto exceptions = value_of(store->list_exceptions({.kind = "series_limit"}));
  REQUIRE(exceptions.size() == 1);
  REQUIRE(exceptions[0].count == 4);
  REQUIRE(exceptions[0].value.text() == "40");
}

TEST_CASE("a batch nobody can read stops neither its stream nor the fold", "[folder]") {
  auto store = make_memory_store();
  FoldDevice device(1);
  enroll(*store, device);
  Folder folder(*store);
  admit(*store, device, device.seal({FoldDevice::reading(1)}));
  auto bad = device.seal({FoldDevice::reading(40)});
  bad.bytes = with_frame_damaged(bad.bytes);
  admit(*store, device, bad);
  admit(*store, device, device.seal({FoldDevice::reading(2)}));

  REQUIRE(value_of(folder.run_to_end()).leaves == 3);

  REQUIRE(sum_of(*store, "d", "a") == 3);
  const auto exceptions = value_of(store->list_exceptions({.kind = "undecodable_batch"}));
  REQUIRE(exceptions.size() == 2);
  REQUIRE(exceptions[1].value.text() == "40");
  REQUIRE(exceptions[1].first_leaf == LeafNumber{1});
  REQUIRE(value_of(store->progress("demo", "d"))[0].folded_number == 3);
}

TEST_CASE("a batch with lies about many meters makes few exceptions", "[folder]") {
  auto store = make_memory_store();
  FoldDevice device(1);
  enroll(*store, device);
  Folder folder(*store);
  std::vector<std::pair<uint32_t, int64_t>> lies;
  for (uint32_t meter = 1; meter <= 1000; ++meter) lies.emplace_back(meter, 5);
  admit(*store, device, device.seal({FoldDevice::reading(1)}, lies));

  REQUIRE(value_of(folder.step()).exceptions <= kBatchExceptionsMax);
}

TEST_CASE("a slice ends early where it would take too much memory, and nothing is lost",
          "[folder]") {
  for (const Folder::Options options :
       {Folder::Options{.series_bytes_max = 1000}, Folder::Options{.slice_usage_max = 12}}) {
    auto store = make_memory_store();
    FoldDevice device(1);
    enroll(*store, device);
    for (int i = 0; i < 6; ++i) {
      std::vector<Reading> readings;
      for (int64_t n = 0; n < 10; ++n)
        readings.push_back(FoldDevice::reading(n, kNoon, "s" + std::to_string(n + i)));
      admit(*store, device, device.seal(readings));
    }
    Folder folder(*store, options);

    const auto first = value_of(folder.step());
    REQUIRE(first.leaves < 6);
    REQUIRE(first.leaves + value_of(folder.run_to_end()).leaves == 6);

    REQUIRE(value_of(store->series_count("demo", "d")) == 15);
    REQUIRE(sum_of(*store, "d", "s5") == 5 + 4 + 3 + 2 + 1);
    REQUIRE(value_of(store->list_exceptions({})).empty());
  }
}

TEST_CASE("a damaged leaf stops the fold there, not before, and says where", "[folder]") {
  auto database = make_memory_database();
  auto store = open_memory_store(database);
  FoldDevice device(1);
  enroll(*store, device);
  for (int i = 0; i < 5; ++i) admit(*store, device, device.seal({FoldDevice::reading(1)}));
  REQUIRE(flip_bit(*database, static_cast<uint8_t>(Table::leaf), 3, 77));
  Folder folder(*store);

  while (value_of(store->fold_cursor()).cursor < 3) value_of(folder.step());
  for (int i = 0; i < 2; ++i) {
    const auto stopped = folder.step();
    REQUIRE_FALSE(stopped);
    REQUIRE(stopped.error().code() == Errc::corrupt);
    REQUIRE_THAT(stopped.error().text(), Catch::Contains("leaf"));
  }
  REQUIRE(sum_of(*store, "d", "a") == 3);
  admit(*store, device, device.seal({FoldDevice::reading(1)}));  // intake goes on

  REQUIRE(flip_bit(*database, static_cast<uint8_t>(Table::leaf), 3, 77));
  Folder restarted(*store);
  value_of(restarted.run_to_end());
  REQUIRE(sum_of(*store, "d", "a") == 6);
}

TEST_CASE("exact usage cuts quarter hours at any instant", "[evidence]") {
  auto store = make_memory_store();
  FoldDevice device(1);
  enroll(*store, device);
  Folder folder(*store);
  const int64_t step = 70'001;  // about a minute, so that no reading lies on a boundary twice
  for (int64_t i = 0; i < 100; i += 10) {
    std::vector<Reading> readings;
    for (int64_t j = i; j < i + 10; ++j)
      readings.push_back(FoldDevice::reading(j + 1, kNoon - 4'000'000 + j * step));
    admit(*store, device, device.seal(readings));
  }
  value_of(folder.run_to_end());
  const std::vector<SeriesId> series{1};

  for (const auto& [from, to] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 0}, {0, 1}, {3, 4}, {0, 5}, {2, 60}, {13, 27}, {0, 99}, {0, 100}, {40, 41}}) {
    INFO(from << " " << to);
    const auto usage =
        value_of(exact_usage(*store, series, Timestamp(kNoon - 4'000'000 + from * step),
                             Timestamp(kNoon - 4'000'000 + to * step)));
    Int128 expected = 0;
    for (int64_t j = from; j < to; ++j) expected += j + 1;
    REQUIRE((usage.empty() ? Int128(0) : usage.at(1).sum) == expected);
    REQUIRE((usage.empty() ? 0U : usage.at(1).count) == static_cast<uint64_t>(to - from));
  }
}

TEST_CASE("the folder takes a tombstone leaf like the batches it stands for", "[folder]") {
  auto store = make_memory_store();
  FoldDevice device(1);
  enroll(*store, device, StreamClass::diagnostic);
  admit(*store, device, device.seal({FoldDevice::reading(1)}));
  for (int i = 0; i < 3; ++i) device.seal({FoldDevice::reading(100)});
  AdmitChange change{.stream = device.stream(),
                     .expected_revision = value_of(store->stream(device.stream())).revision};
  const Bytes tombstone = device.tombstone(2, 2, device.first_previous());
  change.links = {{.number = 4,
                   .id = device.head_id(),
                   .sealed = tombstone,
                   .received_at = Timestamp(kNoon + 60'000),
                   .tombstone = sha256(tombstone)}};
  value_of(store->admit(std::span(&change, 1)));
  admit(*store, device, device.seal({FoldDevice::reading(2)}));

  Folder folder(*store);
  REQUIRE(value_of(folder.run_to_end()).leaves == 3);

  CHECK(sum_of(*store, "d", "a") == 3);
  const auto exceptions = value_of(store->list_exceptions({}));
  REQUIRE(exceptions.size() == 1);
  CHECK(exceptions[0].kind == "diagnostics_dropped");
  CHECK(exceptions[0].count == 3);
  const auto progress = value_of(store->progress("demo", "d"));
  CHECK(progress[0].folded_number == 5);
  CHECK(progress[0].folded_seq == 5);
}

}  // namespace ledgerline::collector
