// collector/core/folding, which is pure; here because it shares the sealing device with the
// folder's tests.

#include "collector/core/folding.h"

#include "tests/unit/collector/fold/fold_device.h"

namespace ledgerline::collector {

namespace {

const SeriesUsage* find(const BatchFold& fold, const std::string& subject, int32_t quarter) {
  for (const auto& usage : fold.usage) {
    if (usage.key.subject == subject && usage.quarter.index == quarter) return &usage;
  }
  return nullptr;
}

const ExceptionRow* find_exception(const BatchFold& fold, std::string_view kind,
                                   std::string_view meter = "requests") {
  for (const auto& exception : fold.exceptions) {
    if (exception.row.kind == kind && exception.row.meter == meter) return &exception.row;
  }
  return nullptr;
}

constexpr int32_t kNoonQuarter = static_cast<int32_t>(kNoon / QuarterHour::kLengthMs);

BatchContext of_diagnostics(BatchContext context) {
  context.stream_class = StreamClass::diagnostic;
  return context;
}

}  // namespace

TEST_CASE("readings add up per series and quarter hour", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  const auto batch =
      device.seal({FoldDevice::reading(5), FoldDevice::reading(7, kNoon + 899'999),
                   FoldDevice::reading(1, kNoon + 900'000), FoldDevice::reading(3, kNoon, "b"),
                   FoldDevice::reading(-4, kNoon, "a", 2)});

  const auto fold = fold_batch(state, device.context(), batch.bytes);

  REQUIRE(fold.exceptions.empty());
  REQUIRE(fold.readings == 5);
  REQUIRE(fold.usage.size() == 4);
  const auto* usage = find(fold, "a", kNoonQuarter);
  REQUIRE(usage != nullptr);
  REQUIRE(usage->key.meter == "requests");
  REQUIRE(usage->key.tenant == "demo");
  REQUIRE(usage->value.sum == 12);
  REQUIRE(usage->value.count == 2);
  REQUIRE(usage->value.last == 7);
  REQUIRE(usage->earliest == Timestamp(kNoon));
  REQUIRE(find(fold, "a", kNoonQuarter + 1)->value.sum == 1);
  REQUIRE(find(fold, "b", kNoonQuarter)->value.sum == 3);
  REQUIRE(state.next_seq == 6);
  REQUIRE(state.folded_number == 1);
  REQUIRE(state.meters.size() == 2);
}

TEST_CASE("values whose sum needs more than 64 bits fold exactly", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  const int64_t most = std::numeric_limits<int64_t>::max();

  const auto fold = fold_batch(
      state, device.context(),
      device.seal({FoldDevice::reading(most), FoldDevice::reading(most), FoldDevice::reading(2)})
          .bytes);

  REQUIRE(fold.exceptions.empty());
  REQUIRE(fold.usage[0].value.sum == Int128(most) * 2 + 2);
}

TEST_CASE("totals that do not add up are an exception with the difference, and the readings count",
          "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  fold_batch(state, device.context(0), device.seal({FoldDevice::reading(5)}).bytes);

  const auto lie =
      fold_batch(state, device.context(1), device.seal({FoldDevice::reading(5)}, {{1, 100}}).bytes);
  const auto after =
      fold_batch(state, device.context(2), device.seal({FoldDevice::reading(5)}).bytes);

  const auto* exception = find_exception(lie, exception_kind::kTotalsMismatch);
  REQUIRE(exception != nullptr);
  REQUIRE(exception->value.text() == "100");
  REQUIRE(exception->first_leaf == LeafNumber{1});
  REQUIRE(lie.usage[0].value.sum == 5);
  REQUIRE(after.exceptions.empty());
}

TEST_CASE("totals at the edge of 128 bits are a mismatch, not an end", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  state.totals = {{1, Int128("-170141183460469231731687303715884105727")}};
  auto builder = device.begin();
  builder.add(FoldDevice::reading(1));
  device.seal(builder.columns(), {});
  const auto batch =
      device.seal(std::vector<Reading>{FoldDevice::reading(std::numeric_limits<int64_t>::max())});

  const auto fold = fold_batch(state, device.context(), batch.bytes);

  REQUIRE_FALSE(fold.exceptions.empty());
}

TEST_CASE(
    "a batch that cannot be read is an exception with what its totals grew by, and the next one "
    "folds",
    "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  fold_batch(state, device.context(0), device.seal({FoldDevice::reading(5)}).bytes);
  const auto damaged =
      with_frame_damaged(device.seal({FoldDevice::reading(40), FoldDevice::reading(2)}).bytes);

  const auto bad = fold_batch(state, device.context(1), damaged);
  const auto next =
      fold_batch(state, device.context(2), device.seal({FoldDevice::reading(6)}).bytes);

  REQUIRE(bad.usage.empty());
  REQUIRE(find_exception(bad, exception_kind::kUndecodableBatch)->value.text() == "42");
  REQUIRE(find_exception(bad, exception_kind::kUndecodableBatch, "")->count == 2);
  REQUIRE(next.exceptions.empty());
  REQUIRE(next.usage[0].value.sum == 6);
  REQUIRE(state.next_seq == 5);
}

TEST_CASE("bytes that are no envelope are an exception", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;

  const auto fold = fold_batch(state, device.context(), Bytes{1, 2, 3});

  REQUIRE(fold.usage.empty());
  REQUIRE(find_exception(fold, exception_kind::kUndecodableBatch, "") != nullptr);
}

TEST_CASE("readings merged by a full journal count in full, and a person is told", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  auto builder = device.begin();
  builder.add(Coarsened{.readings = 1,
                        .measurements = 40,
                        .from = Timestamp(kNoon),
                        .to = Timestamp(kNoon + 60'000),
                        .step = std::chrono::minutes(15)});
  builder.add(FoldDevice::reading(5));

  const auto fold = fold_batch(state, device.context(), device.seal(builder.take()).bytes);

  REQUIRE(fold.usage[0].value.sum == 5);
  const auto* exception = find_exception(fold, exception_kind::kCoarsened, "");
  REQUIRE(exception != nullptr);
  REQUIRE(exception->count == 40);
  REQUIRE_THAT(exception->detail, Catch::Contains("40 measurements became 1 readings"));
}

TEST_CASE("a hole or an overlap of seqs is an exception", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  const auto batch = device.seal({FoldDevice::reading(5)});
  state.next_seq = 3;

  const auto fold = fold_batch(state, device.context(), batch.bytes);

  REQUIRE(find_exception(fold, exception_kind::kSeqMismatch, "") != nullptr);
  REQUIRE(fold.usage.size() == 1);
  REQUIRE(state.next_seq == 3);
}

TEST_CASE("times that cannot be true are kept out of usage, counted and valued", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  const int64_t day_ahead = device.context().received_at.unix_ms() + 86'400'000;
  const auto batch =
      device.seal({FoldDevice::reading(1, 946'684'799'999), FoldDevice::reading(2, day_ahead + 1),
                   FoldDevice::reading(4, 946'684'800'000), FoldDevice::reading(8, day_ahead)});

  const auto fold = fold_batch(state, device.context(), batch.bytes);

  REQUIRE(fold.exceptions.size() == 1);
  const auto* exception = find_exception(fold, exception_kind::kImplausibleTime);
  REQUIRE(exception->count == 2);
  REQUIRE(exception->value.text() == "3");
  REQUIRE(fold.usage.size() == 2);
}

TEST_CASE("monotonic times are placed by the boot's anchors, also afterwards within the boot",
          "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  const auto monotonic = [](int64_t ms) {
    Reading out = FoldDevice::reading(1, ms, "m" + std::to_string(ms));
    out.monotonic_time = true;
    return out;
  };
  auto first = device.begin();
  first.add(BootRecord{});
  first.add(monotonic(1'000));  // before the boot's first anchor
  first.add(ClockAnchor{{2'000}, Timestamp(kNoon), true});
  first.add(monotonic(3'000));
  const auto one = fold_batch(state, device.context(0), device.seal(first.take()).bytes);
  REQUIRE(one.exceptions.empty());
  REQUIRE(find(one, "m1000", kNoonQuarter - 1)->earliest == Timestamp(kNoon - 1'000));
  REQUIRE(find(one, "m3000", kNoonQuarter)->earliest == Timestamp(kNoon + 1'000));
  REQUIRE_FALSE(one.clock_note.has_value());

  // The anchor holds in later batches, which are noted to need it; it ends with the boot.
  auto second = device.begin();
  second.add(monotonic(4'000));
  second.add(BootRecord{});
  second.add(monotonic(5));
  const auto sealed = device.seal(second.take());
  const auto two = fold_batch(state, device.context(1), sealed.bytes);
  REQUIRE(find(two, "m4000", kNoonQuarter)->earliest == Timestamp(kNoon + 2'000));
  REQUIRE(two.clock_note == ClockAnchor{{2'000}, Timestamp(kNoon), true});
  REQUIRE(find_exception(two, exception_kind::kUnplacedTime)->count == 1);
  REQUIRE_FALSE(state.anchor.has_value());

  const auto back = read_back(device.context(1), sealed.bytes, state.meters, two.clock_note,
                              Timestamp(kNoon + 2'000), Timestamp(kNoon + 2'001));
  REQUIRE(back);
  REQUIRE(back->size() == 1);
  REQUIRE((*back)[0].key.subject == "m4000");
}

TEST_CASE("a monotonic time that overflows the calendar is unplaced", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  auto builder = device.begin();
  builder.add(ClockAnchor{{-5}, Timestamp(kNoon), true});
  Reading reading = FoldDevice::reading(1, std::numeric_limits<int64_t>::max());
  reading.monotonic_time = true;
  builder.add(reading);
  const auto sealed = device.seal(builder.take());

  const auto fold = fold_batch(state, device.context(), sealed.bytes);

  REQUIRE(fold.usage.empty());
  REQUIRE(fold.exceptions.size() == 1);
}

TEST_CASE("reading back gives the usage between two instants, to the millisecond", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  std::vector<Reading> readings;
  for (int64_t i = 0; i < 100; ++i) readings.push_back(FoldDevice::reading(i, kNoon + i));
  const auto sealed = device.seal(readings);
  fold_batch(state, device.context(), sealed.bytes);

  const auto back = read_back(device.context(), sealed.bytes, state.meters, {},
                              Timestamp(kNoon + 10), Timestamp(kNoon + 13));

  REQUIRE(back);
  REQUIRE((*back)[0].value.sum == 10 + 11 + 12);
  REQUIRE((*back)[0].value.count == 3);
}

TEST_CASE("a small batch whose usage would need much text cannot be read, and the next one folds",
          "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  const DimensionSet long_ones = {{"a", std::string(1023, 'v')},
                                  {"b", std::string(1023, 'v')},
                                  {"c", std::string(1023, 'v')},
                                  {"d", std::string(1022, 'v')}};
  auto builder = device.begin();
  for (int64_t i = 0; i < 4096; ++i) {
    Reading reading = FoldDevice::reading(1, kNoon - i * QuarterHour::kLengthMs);
    reading.dimensions = long_ones;
    builder.add(reading);
  }
  const auto sealed = device.seal(builder.take());
  REQUIRE(sealed.bytes.size() < 16'384);

  const auto fold = fold_batch(state, device.context(0), sealed.bytes);
  const auto next =
      fold_batch(state, device.context(1), device.seal({FoldDevice::reading(6)}).bytes);

  REQUIRE(fold.usage.empty());
  REQUIRE(find_exception(fold, exception_kind::kUndecodableBatch)->value.text() == "4096");
  REQUIRE(find_exception(fold, exception_kind::kUndecodableBatch, "")->count == 4096);
  REQUIRE(next.exceptions.empty());
  REQUIRE(next.usage[0].value.sum == 6);
}

TEST_CASE("the exceptions of one batch are limited, and none is left uncounted", "[folding]") {
  std::vector<ExceptionUpsert> exceptions;
  const auto add = [&](std::string_view kind, const std::string& meter) {
    ExceptionRow row = stream_exception(kind, {}, meter);
    row.count = 2;
    exceptions.push_back({UpsertMode::add, row});
  };
  for (int i = 0; i < 100; ++i) add(exception_kind::kTotalsMismatch, "m" + std::to_string(i));
  for (int i = 0; i < 100; ++i) add(exception_kind::kImplausibleTime, "m" + std::to_string(i));

  limit_exceptions(exceptions, {});

  REQUIRE(exceptions.size() <= kBatchExceptionsMax);
  std::map<std::string, uint64_t> counts;
  for (const auto& exception : exceptions) counts[exception.row.kind] += exception.row.count;
  REQUIRE(counts ==
          std::map<std::string, uint64_t>{{"implausible_time", 200}, {"totals_mismatch", 200}});
  const auto& rest = exceptions.back().row;
  REQUIRE(rest.meter.empty());
  REQUIRE(rest.id == stream_exception(rest.kind, {}, "").id);
  const auto before = exceptions.size();
  limit_exceptions(exceptions, {});
  REQUIRE(exceptions.size() == before);
}

TEST_CASE("an exception of a stream is one per kind, stream and meter, and has an owner",
          "[folding]") {
  const BatchContext here{.tenant = "demo", .device = "d", .leaf = 7};
  const ExceptionRow row = stream_exception(exception_kind::kCoarsened, here, "m");
  REQUIRE(row.owner == "operator");
  REQUIRE(row.first_leaf == 7);
  REQUIRE(row.id == stream_exception(exception_kind::kCoarsened, here, "m").id);
  REQUIRE(row.id != stream_exception(exception_kind::kCoarsened, here, "n").id);
  REQUIRE(row.id != stream_exception(exception_kind::kSeqMismatch, here, "m").id);
  REQUIRE(row.id.size() <= kNameSizeMax);
}

TEST_CASE("the fold goes on behind a tombstone, and says what it misses", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  // Batches 1 and 2 were given up: with them the meter table, which the tombstone brings.
  device.seal({FoldDevice::reading(5), FoldDevice::reading(6)});
  device.seal({FoldDevice::reading(7)});
  const auto dropped = fold_tombstone(state, of_diagnostics(device.context(4)),
                                      device.tombstone(1, 1, device.first_previous()));

  const auto* row = find_exception(dropped, "diagnostics_dropped", "");
  REQUIRE(row != nullptr);
  CHECK(row->count == 3);
  CHECK(row->device == "d");
  CHECK(row->owner == "operator");
  CHECK_THAT(row->detail, Catch::Contains("seq 1 to 3") && Catch::Contains("no room"));
  CHECK(dropped.usage.empty());
  CHECK(state.folded_number == 2);
  CHECK(state.next_seq == 4);

  const auto next =
      fold_batch(state, device.context(5), device.seal({FoldDevice::reading(9)}).bytes);
  CHECK(next.exceptions.empty());  // seqs and totals add up
  REQUIRE(next.usage.size() == 1);
  CHECK(next.usage[0].value.sum == 9);
}

TEST_CASE("a tombstone for batches that had come counts only the rest as dropped", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  fold_batch(state, device.context(0), device.seal({FoldDevice::reading(5)}).bytes);
  device.seal({FoldDevice::reading(6), FoldDevice::reading(7)});

  const auto fold = fold_tombstone(state, of_diagnostics(device.context(1)),
                                   device.tombstone(1, 1, device.first_previous()));

  CHECK(find_exception(fold, "diagnostics_dropped", "")->count == 2);
  CHECK(fold.exceptions.size() == 1);
  CHECK(state.next_seq == 4);
}

TEST_CASE("a boot that was given up ends the clock anchor of the one before", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  auto first = device.begin();
  first.add(BootRecord{.boot_id = {}, .software = "a", .configuration_hash = {}});
  first.add(ClockAnchor{.monotonic = {0}, .wall = Timestamp(kNoon), .synchronised = true});
  first.add(FoldDevice::reading(1));
  fold_batch(state, device.context(0), device.seal(first.take()).bytes);
  device.seal({FoldDevice::reading(2)});
  const BootRecord boot{.boot_id = {}, .software = "b", .configuration_hash = {}};
  Reading monotonic = FoldDevice::reading(4, 1000);
  monotonic.monotonic_time = true;

  SECTION("with an anchor of its own the readings behind it are placed") {
    const ClockAnchor anchor{
        .monotonic = {0}, .wall = Timestamp(kNoon + 10'000), .synchronised = true};
    fold_tombstone(state, of_diagnostics(device.context(1)),
                   device.tombstone(2, 2, device.first_previous(), {{3, boot}, {3, anchor}}));
    const auto fold = fold_batch(state, device.context(2), device.seal({monotonic}).bytes);
    REQUIRE(fold.usage.size() == 1);
    CHECK(fold.usage[0].earliest == Timestamp(kNoon + 11'000));
  }
  SECTION("without one they are not placed by the old one") {
    fold_tombstone(state, of_diagnostics(device.context(1)),
                   device.tombstone(2, 2, device.first_previous(), {{3, boot}}));
    const auto fold = fold_batch(state, device.context(2), device.seal({monotonic}).bytes);
    CHECK(fold.usage.empty());
    CHECK(find_exception(fold, "unplaced_time") != nullptr);
  }
}

TEST_CASE("what this store lost and the device forgot is named meter by meter", "[folding]") {
  FoldDevice device(1);
  StreamFoldState state;
  fold_batch(state, device.context(0), device.seal({FoldDevice::reading(5)}).bytes);
  device.seal({FoldDevice::reading(6), FoldDevice::reading(7)});

  const auto fold =
      fold_tombstone(state, device.context(1), device.tombstone(1, 1, device.first_previous()));

  CHECK(fold.usage.empty());
  CHECK(find_exception(fold, "diagnostics_dropped", "") == nullptr);
  const auto* whole = find_exception(fold, "lost_batches", "");
  REQUIRE(whole != nullptr);
  CHECK(whole->count == 2);
  CHECK(whole->owner == "finance");
  const auto* meter = find_exception(fold, "lost_batches", "requests");
  REQUIRE(meter != nullptr);
  CHECK(meter->value == Decimal(13, 0));
  CHECK_THAT(meter->detail, Catch::Contains("seq 2 to 3"));
  // What comes behind it adds up from the totals that it left.
  const auto next =
      fold_batch(state, device.context(2), device.seal({FoldDevice::reading(9)}).bytes);
  CHECK(next.exceptions.empty());
}

}  // namespace ledgerline::collector
