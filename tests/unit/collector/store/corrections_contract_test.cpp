#include "collector/core/correction.h"
#include "collector/store/keys.h"
#include "tests/unit/collector/store/store_backends.h"

namespace ledgerline::collector {

namespace {

constexpr int32_t kQuarter = 1000;
Timestamp start_of(int32_t quarter) { return QuarterHour{quarter}.start(); }

SeriesKey key_of(const std::string& subject, DimensionSet dimensions = {}) {
  SeriesKey key{.tenant = "demo", .device = "d", .subject = subject, .meter = "m", .unit = "1"};
  key.dimensions = std::move(dimensions);
  return key;
}

UsageDelta delta(SeriesId series, int32_t quarter, LeafNumber leaf) {
  UsageDelta out;
  out.series = series;
  out.quarter = {quarter};
  out.earliest = start_of(quarter);
  out.value.add(1, {.time_ms = out.earliest.unix_ms(), .stream = stream_id(1), .seq = leaf});
  out.leaves = {leaf};
  return out;
}

CorrectionRow row(uint8_t n, CorrectionAction action, LeafNumber leaf,
                  const std::string& subject = "a") {
  return {.id = id_of<Digest>(n),
          .tenant = "demo",
          .device = "d",
          .subject = subject,
          .meter = "m",
          .action = action,
          .from = start_of(kQuarter) + Duration(5),
          .until = start_of(kQuarter + 2),
          .withdraws = std::nullopt,
          .leaf = leaf};
}

/// Six leaves; two series of subject "a" and one of "b" have usage in four quarter hours each, the
/// first three of which some contract has closed.
template <class Backend>
std::unique_ptr<Store> with_usage(Backend& backend) {
  auto store = backend.open();
  enroll(*store, {1});
  for (BatchNumber n = 1; n <= 6; ++n) admit_links(*store, 1, {link(n, static_cast<uint8_t>(n))});
  FoldChanges changes;
  changes.cursor_after = 2;
  changes.new_series = {{1, key_of("a")}, {2, key_of("a", {{"x", "y"}})}, {3, key_of("b")}};
  for (SeriesId series = 1; series <= 3; ++series) {
    for (int32_t quarter = kQuarter - 1; quarter < kQuarter + 3; ++quarter)
      changes.usage.push_back(delta(series, quarter, 0));
  }
  must(store->fold(changes));
  PeriodRow period;
  period.tenant = "demo";
  period.contract = "c";
  period.to = start_of(kQuarter + 2);
  period.revision = 1;
  period.closed = true;
  CommercialChanges closes;
  closes.periods.push_back({period, 0});
  must(store->put_documents(closes));
  return store;
}

FoldChanges folding(LeafNumber cursor, const CorrectionRow& correction) {
  FoldChanges changes;
  changes.cursor_before = cursor;
  changes.cursor_after = cursor + 1;
  changes.corrections = {correction};
  return changes;
}

}  // namespace

TEMPLATE_TEST_CASE("corrections are stored with the cursor and read by device", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = with_usage(backend);
  CorrectionRow withdraw = row(1, CorrectionAction::withdraw, 3, "b");
  withdraw.withdraws = id_of<Digest>(9);

  must(store->fold(folding(2, row(2, CorrectionAction::add, 2))));
  must(store->fold(folding(3, withdraw)));

  REQUIRE(failed_with(store->fold(folding(3, row(4, CorrectionAction::add, 3))), Errc::conflict));
  auto other = backend.open();
  REQUIRE(must(other->corrections("demo", "d")) ==
          std::vector<CorrectionRow>{withdraw, row(2, CorrectionAction::add, 2)});
  REQUIRE(must(other->corrections("demo", "dd")).empty());
  REQUIRE(must(other->correction("demo", "d", withdraw.id)) == withdraw);
  REQUIRE_FALSE(must(other->correction("demo", "d", id_of<Digest>(4))).has_value());
}

TEMPLATE_TEST_CASE("a void touches the closed quarter hours of its span once per unit and kind",
                   "[store]", MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = with_usage(backend);
  CorrectionRow voided = row(1, CorrectionAction::void_usage, 2);
  voided.until = start_of(kQuarter + 3);

  must(store->fold(folding(2, voided)));

  const auto touched = must(store->touched_usage());
  REQUIRE(touched.size() == 2);
  REQUIRE(touched[0].series == 1);
  REQUIRE(touched[0].quarter == QuarterHour{kQuarter});
  REQUIRE(touched[0].earliest == voided.from);
  REQUIRE(touched[0].last_leaf == 2);
  REQUIRE(touched[0].added == UsageValue{});
  REQUIRE(touched[1].quarter == QuarterHour{kQuarter + 1});
}

TEMPLATE_TEST_CASE("a withdraw touches what the correction that it ends had changed", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = with_usage(backend);
  must(store->fold(folding(2, row(1, CorrectionAction::void_usage, 2))));
  CommercialChanges settle;
  settle.settled_touches = must(store->touched_usage());
  must(store->put_documents(settle));
  CorrectionRow unknown = row(2, CorrectionAction::withdraw, 3);
  unknown.withdraws = id_of<Digest>(77);
  CorrectionRow withdraw = row(3, CorrectionAction::withdraw, 4);
  withdraw.withdraws = id_of<Digest>(1);

  must(store->fold(folding(3, unknown)));
  REQUIRE(must(store->touched_usage()).empty());
  must(store->fold(folding(4, withdraw)));

  REQUIRE(must(store->touched_usage()).size() == 2);
}

TEMPLATE_TEST_CASE("the series of corrections count for no device's limit", "[store]",
                   MemoryBackend, LmdbBackend) {
  TestType backend;
  auto store = with_usage(backend);
  REQUIRE(must(store->series_count("demo", "d")) == 3);
  FoldChanges changes;
  changes.cursor_before = 2;
  changes.cursor_after = 3;
  changes.new_series = {{4, key_of("a", {{std::string(kCorrectionDimension), "1f"}})}};
  must(store->fold(changes));
  REQUIRE(must(store->series_count("demo", "d")) == 3);
  REQUIRE(must(store->list_series({.tenant = "demo", .device = "d"})).size() == 4);
}

TEST_CASE("a flipped bit in a correction is noticed", "[store]") {
  for (size_t bit = 0; bit < 800; bit += 7) {
    auto database = make_memory_database();
    auto store = open_memory_store(database);
    enroll(*store, {1});
    admit_links(*store, 1, {link(1, 1)});
    must(store->fold(folding(0, row(1, CorrectionAction::add, 0))));
    REQUIRE(flip_bit(*database, static_cast<uint8_t>(Table::correction), 0, bit));
    REQUIRE(failed_with(store->corrections("demo", "d"), Errc::corrupt));
    REQUIRE(failed_with(store->correction("demo", "d", id_of<Digest>(1)), Errc::corrupt));
  }
}

}  // namespace ledgerline::collector
